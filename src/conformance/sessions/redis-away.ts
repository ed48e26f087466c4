/** Worked sessions 10 and 11, and the two errors of session 9 that only a Redis in trouble brings about. */
import type { Check } from '../check.ts';
import type { Lab, Member } from '../lab.ts';
import { Deviation, must, same, show, skip } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { agree, drainRoom, seen } from '../room-talk.ts';

/** Until a node noticed that Redis is gone, or that it is back. */
const NOTICE_MS = 15_000;
/** "At once": no request waits for a Redis that is away. */
const AT_ONCE_MS = 1500;

interface Outage {
  readonly room: string;
  readonly members: readonly [Member, Member];
}

/** Two members, on two nodes where there are two, that have seen three messages. */
async function beforeOutage(lab: Lab): Promise<Outage> {
  const room = lab.room();
  const one = await lab.member(room, 0, lab.user('anna'), { presence: 'full', state: { here: 1 } });
  const two = await lab.member(room, 1, lab.user('bob'), { presence: 'full' });
  for (const data of [1, 2, 3]) await one.peer.publish(room, data);
  for (const { peer } of [one, two]) await peer.take({ type: 'message', room, seq: 3 });
  return { room, members: [one, two] };
}

async function stopped(lab: Lab, { room, members }: Outage): Promise<void> {
  for (const { peer } of members) await peer.take({ type: 'status', redis: 'down' }, NOTICE_MS);
  const [{ peer }] = members;
  const began = lab.clock.now();
  await peer.refused({ type: 'publish', room, data: 'void' }, 'unavailable', { retryable: true, room });
  await peer.refused({ type: 'join', room: lab.room() }, 'unavailable', { retryable: true });
  await peer.refused({ type: 'history', room }, 'unavailable', { retryable: true });
  const tookMs = Math.round(lab.clock.now() - began);
  must(tookMs < AT_ONCE_MS, `unavailable at once`, `three answers in ${tookMs} ms`);
  // A proxy may keep new connections away from nodes that are not ready; then there is nothing to see.
  const late = await lab.connectNow();
  if (late === undefined) return;
  await late.ask({ type: 'hello' }, { type: 'welcome' });
  await late.take({ type: 'status', redis: 'down' });
  same(
    late.frames.map((frame) => frame.type),
    ['welcome', 'status'],
    'the first frames of a connection made meanwhile',
  );
}

/** Redis comes back however the check went: whoever runs the suite must not be left without it. */
async function thenAlways<T>(work: Promise<T>, restore: () => Promise<void>): Promise<T> {
  try {
    return await work;
  } finally {
    await restore();
  }
}

async function back(lab: Lab, members: readonly Member[]): Promise<void> {
  for (const { peer } of members) await peer.take({ type: 'status', redis: 'up' }, NOTICE_MS + lab.timeoutMs);
}

export const restartedWithData: Check = {
  name: '10. Redis restarted with its data: unavailable meanwhile, then epoch, no reset, resume across it',
  alone: true,
  async run(lab) {
    const { redisStop, redisStart } = lab.hooks;
    if (!redisStop || !redisStart) skip('needs the operator: give --redis-stop and --redis-start');
    const outage = await beforeOutage(lab);
    const { room, members } = outage;
    const [{ peer, joined }] = members;
    await thenAlways(
      redisStop().then(() => stopped(lab, outage)),
      redisStart,
    );
    await back(lab, members);
    await drainRoom(
      peer,
      room,
      members.map((member) => member.peer),
    );
    for (const member of members) {
      same(
        member.peer.frames.filter((frame) => frame.type === 'reset'),
        [],
        'reset frames',
      );
      const epoch = await member.peer.take({ type: 'epoch', room, seq: 3 });
      const frames = member.peer.frames;
      const next = frames.findIndex((frame) => frame.type === 'message' && frame.seq === 4);
      must(frames.indexOf(epoch) < next, 'epoch before the first message of the new one', show(epoch));
      must(epoch.epoch !== joined.epoch, 'a new epoch', epoch);
    }
    agree(
      members.map((member) => member.peer),
      room,
      1,
    );
    const since = { epoch: joined.epoch, seq: 2 };
    const away = await lab.member(room, 1, lab.user(), { since });
    same(
      [away.joined.recovered, away.joined.messages.map(({ seq }) => seq)],
      [true, [3, 4]],
      'recovered and messages of who was away across the restart',
    );
    for (const { peer: witness } of members) {
      const last = witness.frames.findLast((frame) => frame.type === 'epoch' && frame.room === room);
      must(last?.type === 'epoch' && last.epoch === away.joined.epoch, `epoch ${away.joined.epoch}`, last);
    }
  },
};

export const restartedEmpty: Check = {
  name: '11. Redis restarted empty: status down, reset lost, status up, presence back, no reconnect',
  alone: true,
  async run(lab) {
    const { redisStop, redisStart, redisEmpty } = lab.hooks;
    if (!redisStop || !redisStart || !redisEmpty) {
      skip('needs the operator: give --redis-stop, --redis-empty and --redis-start');
    }
    const outage = await beforeOutage(lab);
    const { room, members } = outage;
    await thenAlways(
      redisStop().then(() => stopped(lab, outage)),
      () => thenAlways(redisEmpty(), redisStart),
    );
    await back(lab, members);
    for (const { peer, user, joined } of members) {
      const reset = await peer.take({ type: 'reset', room, reason: 'lost', seq: 0 });
      must(reset.epoch !== joined.epoch, 'a new epoch', reset);
      const statuses = peer.frames.findIndex((frame) => frame.type === 'status' && frame.redis === 'up');
      must(
        peer.frames.indexOf(reset) < statuses,
        `reset before status up at ${user}`,
        show(peer.frames.slice(-5)),
      );
    }
    await presenceBack(lab, outage);
    const [{ peer }, other] = members;
    same((await peer.publish(room, 'anew')).seq, 1, 'seq of the first message');
    for (const member of [peer, other.peer])
      await member.take({ type: 'message', room, seq: 1, data: 'anew' });
    const left = members.flatMap((member) =>
      member.peer.left({ type: 'presence', members: ABSENT, previous: ABSENT }),
    );
    same(left, [], 'presence degraded to counts');
  },
};

/** Everybody is listed again, and nobody was said to have left. */
async function presenceBack(lab: Lab, { room, members }: Outage): Promise<void> {
  const [{ peer, user }, other] = members;
  const until = lab.clock.now() + NOTICE_MS;
  for (;;) {
    const told = await peer.presence(room);
    const listed = told.members ?? [];
    const mine = listed.find((one) => one.user === user);
    if (listed.length === 2 && show(mine?.state) === show({ here: 1 })) break;
    must(lab.clock.now() < until, `${user} and ${other.user} listed again, with their state`, told);
    await lab.sleep(100);
  }
  for (const member of members) {
    const gone = member.peer.frames.filter((frame) => frame.type === 'presence' && 'left' in frame);
    same(gone, [], 'diffs with left');
  }
}

export const noAnswer: Check = {
  name: '9. unknown_outcome: Redis gives no answer; repeated with the key it is stored once',
  alone: true,
  async run(lab) {
    const { redisPause, redisResume } = lab.hooks;
    if (!redisPause || !redisResume) skip('needs the operator: give --redis-pause and --redis-resume');
    const room = lab.room();
    const { peer, joined } = await lab.member(room);
    const frame = { type: 'publish', room, data: 'perhaps', key: 'k8' };
    const told = await thenAlways(
      redisPause().then(() => peer.request(frame, NOTICE_MS)),
      redisResume,
    );
    if (told.type !== 'error' || told.code !== 'unknown_outcome') {
      throw new Deviation('unknown_outcome while Redis gives no answer', show(told));
    }
    const until = lab.clock.now() + NOTICE_MS;
    for (;;) {
      const reply = await peer.request(frame, NOTICE_MS);
      if (reply.type === 'ok') break;
      const retryable = reply.type === 'error' && reply.retryable;
      must(retryable && lab.clock.now() < until, 'ok in the end, and retryable errors until then', reply);
      await lab.sleep(200);
    }
    const marker = await drainRoom(peer, room, [peer]);
    const copies = seen(peer, room).filter(({ data }) => data === 'perhaps');
    same([copies.length, marker], [1, joined.seq + 2], 'copies of the message, seq of the next');
  },
};
