/** All there is to check, in the order of docs/PROTOCOL.md; the worked sessions last. */
import type { Topic } from './check.ts';
import { drain } from './sessions/drain.ts';
import { everyError } from './sessions/errors.ts';
import { helloJoinPublish, withoutWaiting } from './sessions/first-steps.ts';
import { inboxWhileOffline } from './sessions/inbox.ts';
import { publishTwice } from './sessions/publish-twice.ts';
import { resumeElsewhere, resumeSame, tooFar, tooLate } from './sessions/recovery.ts';
import { noAnswer, restartedEmpty, restartedWithData } from './sessions/redis-away.ts';
import { tokenExpiry } from './sessions/token-expiry.ts';
import { twoTabs } from './sessions/two-tabs.ts';
import { closes } from './topics/closes.ts';
import { idempotency } from './topics/idempotency.ts';
import { limits } from './topics/limits.ts';
import { presence } from './topics/presence.ts';
import { promises } from './topics/promises.ts';
import { rooms } from './topics/rooms.ts';
import { session } from './topics/session.ts';
import { signals } from './topics/signals.ts';
import { transport } from './topics/transport.ts';
import { users } from './topics/users.ts';

const sessions: Topic = {
  title: 'worked session',
  checks: [
    helloJoinPublish,
    resumeSame,
    resumeElsewhere,
    tooLate,
    tooFar,
    publishTwice,
    twoTabs,
    inboxWhileOffline,
    tokenExpiry,
    ...everyError,
    noAnswer,
    restartedWithData,
    restartedEmpty,
    // Last of all: the node is gone afterwards.
    drain,
    withoutWaiting,
  ],
};

export const SUITE: readonly Topic[] = [
  transport,
  session,
  rooms,
  signals,
  presence,
  users,
  limits,
  promises,
  idempotency,
  closes,
  sessions,
];
