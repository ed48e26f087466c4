/**
 * `roomcast presence`: who is in a room, once or with every change. To ask it has to be in the room itself;
 * unless it was given a name it leaves itself out of what it prints.
 */
import { printable } from '../ops/redact.ts';
import type { JoinedFrame, OkPresenceFrame, PresenceFrame } from '../protocol/messages.ts';
import { jsonLine, roomArgument } from './arguments.ts';
import { type ClientFlags, clientCommand, clientOptions, type Declaring, helpEnd } from './command.ts';
import { Follower } from './follow.ts';
import { type Change, type Member, Roster } from './roster.ts';
import { EXIT, type Terminal } from './terminal.ts';

interface PresenceOptions {
  readonly room: string;
  readonly url: string;
  readonly user?: string;
  readonly json: boolean;
  readonly watch: boolean;
}

export function addPresence(declaring: Declaring): void {
  const { terminal } = declaring;
  const lines = ['presence lobby', 'presence lobby --watch', 'presence lobby --json'];
  clientCommand(declaring, 'presence <room>', 'Print who is in a room.')
    .option('--watch', 'Go on printing who joins, leaves and changes.')
    .option('--json', 'Print JSON lines. The default where standard output is no terminal.')
    .addHelpText('after', helpEnd(terminal, lines))
    .action(async (room: string, flags: ClientFlags & { watch?: boolean }) => {
      const options = {
        ...clientOptions(flags, terminal),
        room: roomArgument(room),
        json: flags.json === true,
        watch: flags.watch === true,
      };
      declaring.done(await presence(options, terminal));
    });
}

async function presence(options: PresenceOptions, terminal: Terminal): Promise<number> {
  const { room, url, user } = options;
  const json = options.json || !terminal.isTerminal;
  const roster = new Roster();
  const others = (one: { user: string }): boolean => user !== undefined || one.user !== follower.user;
  let listed = false;

  function list(frame: JoinedFrame): void {
    listed = true;
    roster.apply(frame);
    const members = frame.members === undefined ? undefined : roster.members.filter(others);
    const count = members?.length ?? Math.max(0, (frame.count ?? 0) - (user === undefined ? 1 : 0));
    if (members === undefined)
      terminal.out(json ? jsonLine({ change: 'count', count }) : `${count} in ${room}, too many to list`);
    else if (!json) terminal.out(`${count} in ${room}`);
    for (const line of memberLines(members ?? [], json)) terminal.out(line);
    if (!options.watch) follower.stop();
  }

  function follow(frame: JoinedFrame | PresenceFrame | OkPresenceFrame): void {
    const changes = roster.apply(frame);
    if (changes === undefined) return follower.ask({ type: 'presence', room });
    for (const change of changes) {
      if (change.change === 'count' || others(change))
        terminal.out(json ? jsonLine(change) : changeLine(change));
    }
  }

  const follower = new Follower(
    { url, room, user, presence: 'full' },
    {
      joined: (frame) => (listed ? follow(frame) : list(frame)),
      presence: follow,
      note: (text) => terminal.err(`roomcast: ${text}`),
    },
    terminal,
  );
  const ignore = terminal.onSignal(() => follower.stop());
  try {
    await follower.run();
    return EXIT.done;
  } finally {
    ignore();
  }
}

function memberLines(members: readonly Member[], json: boolean): string[] {
  if (json) return members.map(({ user, state, since }) => jsonLine({ user, state, since }));
  const width = Math.max(0, ...members.map((member) => printable(member.user).length));
  return members.map((member) =>
    `${printable(member.user).padEnd(width)}  since ${timeText(member.since)}${stateText(member.state)}`.trimEnd(),
  );
}

function changeLine(change: Change): string {
  switch (change.change) {
    case 'joined':
      return `+ ${printable(change.user)}${stateText(change.state)}`;
    case 'left':
      return `- ${printable(change.user)}${change.reason === undefined ? '' : ` (${change.reason})`}`;
    case 'updated':
      return `~ ${printable(change.user)}  ${jsonLine(change.state)}`;
    case 'count':
      return `= ${change.count} users`;
  }
}

function stateText(state: object): string {
  return Object.keys(state).length === 0 ? '' : `  ${jsonLine(state)}`;
}

function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
