/**
 * The command line as a whole: which commands there are, and what becomes of their errors. What a command
 * takes and does is in the file of its name.
 */
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { printable } from '../ops/redact.ts';
import { type Declaring, helpEnd } from './command.ts';
import { addConfig } from './config.ts';
import { addConformance } from './conformance.ts';
import { addPresence } from './presence.ts';
import { addPublish } from './publish.ts';
import { addServe, type ServeParts } from './serve.ts';
import { addTail } from './tail.ts';
import { EXIT, Failure, type Terminal, UsageError } from './terminal.ts';

/** Runs one command line (without the program's own name) and returns the exit code. Never rejects. */
export async function run(words: readonly string[], terminal: Terminal, parts: ServeParts): Promise<number> {
  let code: number = EXIT.done;
  const program = emptyProgram(terminal);
  const declaring: Declaring = {
    program,
    terminal,
    done: (result) => {
      code = result;
    },
  };
  addServe(declaring, parts);
  addTail(declaring);
  addPublish(declaring);
  addPresence(declaring);
  addConformance(declaring);
  addConfig(declaring);
  try {
    await program.parseAsync([...words], { from: 'user' });
    return code;
  } catch (error) {
    return report(error, terminal);
  }
}

function emptyProgram(terminal: Terminal): Command {
  const lines = ['serve', 'tail lobby', `publish lobby '"hello"'`, 'presence lobby', 'conformance', 'config'];
  return new Command('roomcast')
    .description('A realtime room server: rooms, order, recovery and presence over one raw WebSocket.')
    .version(terminal.version, '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Print this help.')
    .helpCommand('help [command]', 'Print the help of a command.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
      outputError: (text, write) => write(oneLine(text)),
    })
    .addHelpText('after', helpEnd(terminal, lines));
}

/** commander puts its suggestion ("Did you mean --port?") on a second line. */
function oneLine(text: string): string {
  const words = text
    .trim()
    .replace(/^error: /, '')
    .split('\n')
    .map(printable);
  return `roomcast: ${words.join(' ')}`;
}

function report(error: unknown, terminal: Terminal): number {
  // Help and version come as an error with code 0; commander has already written what there is to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof ConfigError) {
    for (const line of error.message.split('\n')) terminal.err(`roomcast: ${line}`);
    return EXIT.usage;
  }
  if (error instanceof UsageError || error instanceof Failure) {
    terminal.err(`roomcast: ${error.message}`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
  // A defect of ours: with its stack, or nobody can mend it.
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.err(`roomcast: internal error: ${stack.split('\n').map(printable).join('\n')}`);
  return EXIT.failed;
}
