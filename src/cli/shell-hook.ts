/** The operator's hand as a shell command: what the conformance suite may do to a node and to Redis. */
import { spawn } from 'node:child_process';
import { Deviation, show } from '../conformance/outcome.ts';

/** A command that takes longer hangs, and the check that waits for it with it. */
const COMMAND_MAX_MS = 120_000;
const OUTPUT_MAX = 4096;

/** Undefined where no command was given. The hook rejects with a `Deviation` where the command fails. */
export function shellHook(command: string | undefined): (() => Promise<void>) | undefined {
  return command === undefined ? undefined : () => runShell(command);
}

function runShell(command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'], timeout: COMMAND_MAX_MS });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_MAX);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    // `exit`, not `close`: a command that starts a server in the background leaves it the streams.
    child.on('exit', (code) => {
      if (code === 0) resolve();
    });
    // What it said of its failure has arrived only then.
    child.on('close', (code, signal) => {
      const came = `${String(code ?? signal)} ${show(output.trim())}`;
      if (code !== 0) reject(new Deviation(`the command to end with 0: ${command}`, came));
    });
  });
}
