import { describe, expect, it } from 'vitest';
import { Hub } from '../../src/core/hub.ts';
import { drain, spreadMs } from '../../src/node/drain.ts';
import { createFakeClock, createSeededRandom } from '../support/fake-clock.ts';
import { createSession } from '../support/fake-connection.ts';

const SETTINGS = { drainSpreadMinMs: 5_000, drainSpreadMaxMs: 30_000 };

function begin(connections: number) {
  const clock = createFakeClock();
  const hub = new Hub();
  const sessions = Array.from({ length: connections }, (_, n) => createSession(`user ${n}`));
  for (const session of sessions) hub.add(session);
  let done = false;
  const drained = drain(hub, clock, createSeededRandom(7), SETTINGS).then(() => {
    done = true;
  });
  return { clock, sessions, drained, isDone: () => done };
}

describe('the spread of a drain', () => {
  it.each([
    [0, 0],
    [1, 5_000],
    [2_500, 5_000],
    [5_000, 10_000],
    [15_000, 30_000],
    [100_000, 30_000],
  ])('of %i connections is %i ms', (connections, ms) => {
    expect(spreadMs(connections, SETTINGS)).toBe(ms);
  });
});

describe('a drain', () => {
  it('tells every connection its own moment at once, and closes each at that moment and not before', async () => {
    const { clock, sessions, drained } = begin(100);
    const slots = sessions.map(({ connection }) => Number(connection.frames[0]?.['afterMs']));
    for (const { connection } of sessions) {
      expect(connection.frames).toMatchObject([{ type: 'closing', code: 1012, reconnect: 'after' }]);
      expect(connection.violations).toEqual([]);
    }
    for (let at = 0; at <= 5_000; at += 50) {
      sessions.forEach(({ connection }, place) => {
        expect(connection.closedWith !== undefined).toBe((slots[place] ?? 0) <= at);
      });
      await clock.advanceAsync(50);
    }
    await drained;
    expect(sessions.every(({ connection }) => connection.closedWith?.code === 1012)).toBe(true);
  });

  it('tells thousands a piece per turn, for all of them are served meanwhile', async () => {
    const { clock, sessions } = begin(1000);
    const told = () => sessions.filter(({ connection }) => connection.frames.length > 0).length;
    expect(told()).toBe(256);
    await clock.advanceAsync(0);
    expect(told()).toBe(1000);
  });

  it('spreads them evenly and in random order, none at 0 and the last at the end', () => {
    const { sessions } = begin(100);
    const slots = sessions.map(({ connection }) => Number(connection.frames[0]?.['afterMs']));
    expect([...slots].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => (n + 1) * 50));
    expect(slots).not.toEqual([...slots].sort((a, b) => a - b));
  });

  it('ends when the last was closed, and at once where nobody is there', async () => {
    const { clock, isDone } = begin(3);
    await clock.advanceAsync(4_999);
    expect(isDone()).toBe(false);
    await clock.advanceAsync(1);
    expect(isDone()).toBe(true);
    const empty = begin(0);
    await empty.clock.advanceAsync(0);
    expect(empty.isDone()).toBe(true);
  });
});
