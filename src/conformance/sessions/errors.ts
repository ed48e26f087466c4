/** Worked session 9: every error code, each on a connection that is still usable afterwards. */
import type { ErrorCode } from '../../protocol/codes.ts';
import { cannotBeSeen, type Check, NEEDS_AUTHENTICATION } from '../check.ts';
import type { Lab } from '../lab.ts';
import { same, skip } from '../outcome.ts';
import type { Pattern } from '../pattern.ts';
import type { Peer } from '../peer.ts';
import { drainRoom } from '../room-talk.ts';
import { limits } from '../topics/limits.ts';
import { historyOfOthers } from '../topics/users.ts';

interface Setting {
  readonly peer: Peer;
  readonly room: string;
  readonly lab: Lab;
}

/** Frames that have to be refused with one code by a connection that is in one room. */
type Provoke = (setting: Setting) => readonly Pattern[];

function refused(code: ErrorCode, provoke: Provoke): Check {
  return {
    name: `9. ${code}, and the connection and its rooms are as before`,
    async run(lab) {
      const room = lab.room();
      const { peer } = await lab.member(room);
      for (const frame of provoke({ peer, room, lab })) {
        await peer.refused(frame, code);
        await peer.alive();
      }
      same(await drainRoom(peer, room, [peer]), 1, 'seq of the first message: nothing refused was applied');
    },
  };
}

const badRequest: Provoke = ({ room }) => [
  { type: 'publish', room },
  { type: 'publish', room: 'no such', data: 1 },
  { type: 'publish', room, data: 1, key: '' },
  { type: 'state', room, state: 5 },
  { type: 'signal', room, data: 1, to: {} },
  { type: 'history', room, limit: -1 },
  { type: 'leave' },
  { type: 'presence', room: 9 },
];

const notJoined: Provoke = ({ lab }) => {
  const room = lab.room();
  return [
    { type: 'publish', room, data: 1 },
    { type: 'signal', room, data: 1 },
    { type: 'state', room, state: {} },
    { type: 'leave', room },
    { type: 'history', room },
    { type: 'presence', room },
  ];
};

const tooLarge: Provoke = ({ peer, room }) => {
  const { payloadBytes } = peer.welcome.limits;
  if (payloadBytes === 0 || payloadBytes > 64_000) skip(`payloads of ${payloadBytes} bytes`);
  return [{ type: 'publish', room, data: 'x'.repeat(payloadBytes) }];
};

const limitExceeded: Provoke = ({ room }) => [{ type: 'state', room, state: { x: 'x'.repeat(60_000) } }];

/** The code that a rate brings is the check of the limit itself. */
const rateLimited: Check = {
  name: '9. rate_limited, and the connection and its rooms are as before',
  run: async (lab) => limits.checks.find(({ name }) => name.includes('rate_limited'))?.run(lab),
};

/** The one thing that is forbidden also where everything is allowed: what was sent to somebody else. */
const forbidden: Check = {
  name: '9. forbidden, and the connection is as before',
  run: (lab) => historyOfOthers.run(lab),
};

export const everyError: readonly Check[] = [
  refused('bad_request', badRequest),
  refused('unsupported', () => [{ type: 'no-such-type' }]),
  refused('not_joined', notJoined),
  refused('too_large', tooLarge),
  refused('limit_exceeded', limitExceeded),
  rateLimited,
  forbidden,
  cannotBeSeen('9. unauthorized', NEEDS_AUTHENTICATION),
  cannotBeSeen('9. internal', 'a server without a defect has no way to show it'),
];
