/** Hundreds of connections with hundreds of rooms each end together: all is left, and no turn takes long for it. */
import { describe, expect, it } from 'vitest';
import { Hub } from '../../src/core/hub.ts';
import { ClosedSessions } from '../../src/node/closed-sessions.ts';
import type { LeaveParts } from '../../src/node/leave.ts';
import { Turn } from '../../src/node/turn.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSession, type FakeSession, subscribe } from '../support/fake-connection.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';

/** What leaving a room costs here, in ms. */
const LEAVE_MS = 0.003;

function begin() {
  const still = createFakeClock();
  let spentMs = 0;
  let waiting: (() => void)[] = [];
  const clock = {
    ...still,
    now: () => still.now() + spentMs,
    afterTurn: (run: () => void) => void waiting.push(run),
  };
  const hub = new Hub();
  const ended: string[] = [];
  const writer = {
    close: (room: string, user: string) => {
      spentMs += LEAVE_MS;
      ended.push(`${user} held in ${room}`);
    },
    leave: (room: string, user: string) => ended.push(`${user} left ${room}`),
  };
  const released: string[] = [];
  const interest = { release: (room: string) => released.push(room) };
  const parts = { hub, writer, interest, logger: createRecordingLogger() } as unknown as LeaveParts;
  const closed = new ClosedSessions(parts, new Turn(clock));
  const member = (user: string, ...rooms: string[]): FakeSession => {
    const session = createSession(user);
    hub.add(session);
    for (const room of rooms) subscribe(hub, session, room);
    return session;
  };
  /** How long a turn took. */
  const take = () => {
    const before = spentMs;
    const runs = waiting;
    waiting = [];
    for (const run of runs) run();
    return spentMs - before;
  };
  return { hub, ended, released, closed, member, take, isIdle: () => waiting.length === 0 };
}

describe('a closed connection', () => {
  it('is gone at once, and from its rooms too: who is back a moment later is counted alone', () => {
    const { hub, ended, released, closed, member, take, isIdle } = begin();
    const ann = member('ann', 'a', 'b', '@ann');
    closed.add(ann);
    expect([ann.closed, hub.connections, hub.connectionsOf('ann')]).toEqual([true, 0, 0]);
    expect(ended).toEqual(['ann held in a', 'ann held in b']);
    expect(released).toEqual(['a', 'b', '@ann']);
    expect(hub.rooms).toBe(0);
    take();
    expect(isIdle()).toBe(true);
  });

  it('leaves its rooms in the order of the ends, and again at once when a storm is over', () => {
    const { ended, closed, member, take, isIdle } = begin();
    const many = Array.from({ length: 300 }, (_, n) => `room-${n}`);
    closed.add(member('storm', ...many));
    closed.add(member('ann', 'a'));
    expect(ended).toEqual([]);
    while (!isIdle()) take();
    expect([ended.length, ended.at(-1)]).toEqual([301, 'ann held in a']);
    for (let n = 0; n < 300; n += 1) {
      closed.add(member(`bob-${n}`, 'b'));
      expect(ended.at(-1)).toBe(`bob-${n} held in b`);
      take();
    }
  });

  it('has left where it said so before its publishes were answered, though that is forgotten a moment later', () => {
    const { ended, released, closed, member, take, isIdle } = begin();
    closed.add(member('storm', ...Array.from({ length: 300 }, (_, n) => `room-${n}`)));
    const ann = member('ann', 'a', 'b');
    ann.queue.run('a', 'publish', () => new Promise<void>(() => undefined));
    ann.queue.run('a', 'leave', () => undefined);
    closed.add(ann);
    expect(ended).toEqual(['ann left a']);
    while (!isIdle()) take();
    expect([ended[0], ended.at(-1), ended.length]).toEqual(['ann left a', 'ann held in b', 302]);
    expect(new Set(released).size).toBe(302);
  });

  it('takes no long turn together with 499 others of 200 rooms each', () => {
    const { hub, ended, released, closed, member, take, isIdle } = begin();
    const rooms = Array.from({ length: 200 }, (_, n) => `room-${n}`);
    for (const one of Array.from({ length: 500 }, (_, n) => member(`user-${n}`, ...rooms))) closed.add(one);
    let longest = 0;
    let turns = 0;
    while (!isIdle()) {
      longest = Math.max(longest, take());
      turns += 1;
    }
    // 300 ms in turns of 8.
    expect(longest).toBeLessThan(9);
    expect(turns).toBeGreaterThan(30);
    expect([ended.length, new Set(ended).size, released.length]).toEqual([100_000, 100_000, 100_000]);
    expect(hub.rooms).toBe(0);
  });
});
