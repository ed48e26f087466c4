/** `roomcast tail`: the messages of a room, one per line, for as long as wanted. */
import { printable } from '../ops/redact.ts';
import type { OkPresenceFrame, PresenceFrame } from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
import { countOption, jsonLine, roomArgument, sinceOption } from './arguments.ts';
import { type ClientFlags, clientCommand, clientOptions, type Declaring, helpEnd } from './command.ts';
import { Follower } from './follow.ts';
import type { PlacedMessage } from './subscription.ts';
import { EXIT, type Terminal, UsageError } from './terminal.ts';

interface TailFlags extends ClientFlags {
  readonly history?: string;
  readonly since?: string;
  readonly count?: string;
  readonly presence?: boolean;
}

interface TailOptions {
  readonly room: string;
  readonly url: string;
  readonly user?: string;
  readonly history?: number;
  readonly since?: Position;
  readonly presence: boolean;
  readonly json: boolean;
  /** Ends after so many messages. */
  readonly count?: number;
}

export function addTail(declaring: Declaring): void {
  const { terminal } = declaring;
  const lines = [
    'tail lobby',
    'tail lobby --history 20',
    'tail lobby --count 1 --json',
    'tail lobby --url wss://chat.example/ws',
  ];
  clientCommand(
    declaring,
    'tail <room>',
    'Print the messages of a room, one per line, and go on over reconnects.',
  )
    .option('--history <n>', 'Begin with the last n messages.')
    .option('--since <epoch:seq>', 'Begin after this position, as an earlier tail printed it.')
    .option('--count <n>', 'End after n messages.')
    .option('--presence', 'Also print who joins and leaves.')
    .option('--json', 'Print JSON lines. The default where standard output is no terminal.')
    .addHelpText('after', helpEnd(terminal, lines))
    .action(async (room: string, flags: TailFlags) => {
      if (flags.history !== undefined && flags.since !== undefined) {
        throw new UsageError('--history and --since exclude each other: both say where to begin');
      }
      const options = {
        ...clientOptions(flags, terminal),
        room: roomArgument(room),
        history: countOption('--history', flags.history, 0),
        since: sinceOption(flags.since),
        count: countOption('--count', flags.count, 1),
        presence: flags.presence === true,
        json: flags.json === true,
      };
      declaring.done(await tail(options, terminal));
    });
}

async function tail(options: TailOptions, terminal: Terminal): Promise<number> {
  const { room, url, user, history, since, count } = options;
  const json = options.json || !terminal.isTerminal;
  const note = (text: string): void => terminal.err(`roomcast: ${text}`);
  let shown = 0;
  const follower = new Follower(
    { url, room, user, history, since, presence: options.presence ? 'full' : 'none' },
    {
      message: (message) => {
        terminal.out(json ? jsonLine({ type: 'message', room, ...message }) : messageLine(message));
        if (++shown === count) follower.stop();
      },
      presence: (frame) => {
        if (json) terminal.out(jsonLine(frame));
        else for (const line of presenceLines(frame)) terminal.out(line);
      },
      note,
    },
    terminal,
  );
  const ignore = terminal.onSignal(() => {
    const at = follower.position;
    if (at !== undefined) note(`continue with --since ${printable(at.epoch)}:${at.seq}`);
    follower.stop();
  });
  try {
    await follower.run();
    return EXIT.done;
  } finally {
    ignore();
  }
}

function messageLine(message: PlacedMessage): string {
  const from = message.from === undefined ? '-' : printable(message.from.user);
  return `${message.seq}  ${from}: ${jsonLine(message.data)}`;
}

function presenceLines(frame: PresenceFrame | OkPresenceFrame): string[] {
  if (!('previous' in frame)) return [`--  ${frame.count} in the room`];
  return [
    ...(frame.joined ?? []).map((member) => `--  ${printable(member.user)} joined`),
    ...(frame.left ?? []).map((gone) => `--  ${printable(gone.user)} left (${gone.reason})`),
    ...(frame.updated ?? []).map((member) => `--  ${printable(member.user)} ${jsonLine(member.state)}`),
  ];
}
