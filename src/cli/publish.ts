/** `roomcast publish`: one message into a room, and where it was stored. */
import { safeText } from '../ops/redact.ts';
import { jsonLine, keyOption, roomArgument } from './arguments.ts';
import { type ClientFlags, clientCommand, clientOptions, type Declaring, helpEnd } from './command.ts';
import { openSession } from './session.ts';
import { EXIT, Failure, type Terminal, UsageError } from './terminal.ts';

interface PublishOptions {
  readonly room: string;
  readonly url: string;
  readonly data: unknown;
  readonly user?: string;
  readonly key?: string;
}

export function addPublish(declaring: Declaring): void {
  const { terminal } = declaring;
  const lines = [
    `publish lobby '"hello"'`,
    `publish lobby '{"x": 1}' --key order-17`,
    'publish lobby --text hello',
  ];
  clientCommand(declaring, 'publish <room> <json>', 'Publish one message and print its position.')
    .option(
      '--key <key>',
      'Idempotency key: the same user publishing with it again within 2 minutes stores nothing new.',
    )
    .option('--text', 'Send the argument as a string, whatever it looks like.')
    .addHelpText('after', helpEnd(terminal, lines))
    .action(async (room: string, json: string, flags: ClientFlags & { key?: string; text?: boolean }) => {
      const options = {
        ...clientOptions(flags, terminal),
        room: roomArgument(room),
        key: keyOption(flags.key),
        data: dataArgument(json, flags.text === true),
      };
      declaring.done(await publish(options, terminal));
    });
}

/** What is published: the text itself as a string, or the JSON that it is. */
function dataArgument(text: string, asText: boolean): unknown {
  if (asText) return text;
  try {
    return JSON.parse(text);
  } catch {
    const shown = safeText(text, 64);
    // What JSON.parse says ("unexpected token h") helps nobody whose shell ate the quotes.
    throw new UsageError(
      `${shown} is not JSON: quote it for JSON and for the shell, '${safeText(JSON.stringify(text), 64)}', or add --text to send it as a string`,
    );
  }
}

async function publish(options: PublishOptions, terminal: Terminal): Promise<number> {
  const { room, url, user, key, data } = options;
  const session = await openSession({ url, user, version: terminal.version, clock: terminal.clock });
  const ignore = terminal.onSignal(() => void session.close());
  try {
    await session.request({ type: 'join', room, presence: 'none' });
    const reply = await session.request({ type: 'publish', room, data, key });
    if (reply.type !== 'ok' || !('epoch' in reply))
      throw new Failure('the server answered publish without a position');
    const duplicate = 'duplicate' in reply ? reply.duplicate : undefined;
    terminal.out(jsonLine({ epoch: reply.epoch, seq: reply.seq, duplicate }));
    return EXIT.done;
  } finally {
    ignore();
    // Refused or not: without it the room would see this user for five more seconds.
    session.tell({ type: 'leave', room });
    await session.close();
  }
}
