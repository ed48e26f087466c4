import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import { RoomInterest } from '../../src/node/interest.ts';
import { createFakeStore } from '../support/fake-broker.ts';
import { createFakeClock, createSeededRandom } from '../support/fake-clock.ts';
import { type Gate, gate, settle } from '../support/gate.ts';

const SETTINGS = {
  historyMessages: 10,
  historyTtlS: 300,
  metaTtlS: 3_600,
  onceTtlMs: 120_000,
  inboxMessages: 10,
  inboxTtlS: 600,
};

function begin(lingerMs = 10_000) {
  const clock = createFakeClock();
  const store = createFakeStore({ clock, random: createSeededRandom(1), settings: SETTINGS });
  const followed = new Set<string>();
  const log: string[] = [];
  const follower = {
    follow(room: string) {
      log.push(`follow ${room}`);
      followed.add(room);
    },
    unfollow(room: string) {
      log.push(`unfollow ${room}`);
      followed.delete(room);
    },
  };
  store.broker.start({
    ...store.events,
    message: () => undefined,
    status: () => undefined,
    linkLost: () => undefined,
  });
  const interest = new RoomInterest(store.broker, clock, { lingerMs }, [follower]);
  return { clock, store, interest, followed, log };
}

describe('the interest of a node in a room', () => {
  it('subscribes for the first, not for those after it, and follows once it is acknowledged', async () => {
    const { store, interest, log } = begin();
    const acknowledged = gate();
    store.before('subscribe', () => acknowledged.opened);
    const both = [interest.acquire('r'), interest.acquire('r')];
    await settle();
    expect(log).toEqual([]);
    acknowledged.open();
    await Promise.all(both);
    await interest.acquire('r');
    expect(log).toEqual(['follow r']);
    expect(store.calls).toEqual(['subscribe r']);
  });

  it('ends a linger after the last, not sooner', async () => {
    const { store, interest, clock, log } = begin();
    await interest.acquire('r');
    await interest.acquire('r');
    interest.release('r');
    await clock.advanceAsync(60_000);
    expect(store.heard.has('r')).toBe(true);
    interest.release('r');
    await clock.advanceAsync(9_999);
    expect(store.heard.has('r')).toBe(true);
    await clock.advanceAsync(1);
    expect(store.heard.has('r')).toBe(false);
    expect(log).toEqual(['follow r', 'unfollow r']);
    expect(interest.size).toBe(0);
  });

  it('that comes back within the linger costs no subscription', async () => {
    const { store, interest, clock } = begin();
    await interest.acquire('r');
    interest.release('r');
    await clock.advanceAsync(5_000);
    await interest.acquire('r');
    await clock.advanceAsync(60_000);
    expect(store.calls).toEqual(['subscribe r']);
  });

  it('that comes back in the very turn in which the linger ends is not forgotten', async () => {
    const { store, interest, clock, followed } = begin();
    await interest.acquire('r');
    interest.release('r');
    // The end of the linger is under way, and waits for its turn.
    clock.advance(10_000);
    await interest.acquire('r');
    await settle();
    expect([store.heard.has('r'), followed.has('r')]).toEqual([true, true]);
    expect(interest.size).toBe(1);
  });

  it('that comes back while the room is unsubscribed waits for that, and subscribes anew', async () => {
    const { store, interest, clock, log } = begin();
    const gone = gate();
    store.before('unsubscribe', () => gone.opened);
    await interest.acquire('r');
    interest.release('r');
    await clock.advanceAsync(10_000);
    const again = interest.acquire('r');
    await settle();
    expect(store.calls).toEqual(['subscribe r', 'unsubscribe r']);
    gone.open();
    await again;
    expect(store.calls).toEqual(['subscribe r', 'unsubscribe r', 'subscribe r']);
    expect(log).toEqual(['follow r', 'unfollow r', 'follow r']);
    expect(store.heard.has('r')).toBe(true);
  });

  it('that fails is told to all who waited, holds nothing, and may be tried again', async () => {
    const { store, interest, followed } = begin();
    store.before('subscribe', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    const results = await Promise.allSettled([interest.acquire('r'), interest.acquire('r')]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect([interest.size, followed.size]).toEqual([0, 0]);
    store.before('subscribe', undefined);
    await interest.acquire('r');
    expect(followed.has('r')).toBe(true);
  });

  it('that fails for one, who tries again at once, does not fail twice for the others', async () => {
    const { store, interest, followed } = begin();
    let tries = 0;
    store.before('subscribe', () => {
      tries += 1;
      if (tries === 1) throw new BrokerError('unavailable', 'no answer');
    });
    const first = interest.acquire('r').catch(() => interest.acquire('r'));
    const second = interest.acquire('r');
    await expect(second).rejects.toThrow('no answer');
    await first;
    expect([tries, followed.has('r'), interest.size]).toEqual([2, true, 1]);
  });

  it('is one per room', async () => {
    const { store, interest, clock } = begin();
    await Promise.all(['a', 'b'].map((room) => interest.acquire(room)));
    interest.release('a');
    await clock.advanceAsync(10_000);
    expect([...store.heard]).toEqual(['b']);
  });
});

/** Each call of the broker is answered when chance says so, now and then with a refusal. */
function answeredByChance(store: ReturnType<typeof begin>['store']) {
  const open: { gate: Gate; fails: boolean }[] = [];
  let fails = false;
  const wait = async () => {
    const call = { gate: gate(), fails };
    open.push(call);
    await call.gate.opened;
    if (call.fails) throw new BrokerError('unavailable', 'no answer');
  };
  store.before('subscribe', wait);
  store.before('unsubscribe', async () => {
    const call = { gate: gate(), fails: false };
    open.push(call);
    await call.gate.opened;
  });
  return {
    open,
    nextFails(value: boolean) {
      fails = value;
    },
  };
}

const step = fc.record({
  what: fc.constantFrom('join', 'join', 'leave', 'answer', 'answer', 'wait'),
  room: fc.constantFrom('a', 'b'),
  pick: fc.nat(50),
  fails: fc.constantFrom(false, false, false, true),
});

describe('a storm of joins and leaves', () => {
  it.each([0, 10, 1000])(
    'never ends joined but not heard, nor heard for ever (linger of %i ms)',
    async (lingerMs) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
          const { clock, store, interest, followed } = begin(lingerMs);
          const calls = answeredByChance(store);
          const holders: Record<string, number> = { a: 0, b: 0 };
          for (const { what, room, pick, fails } of steps) {
            if (what === 'join') {
              calls.nextFails(fails);
              interest.acquire(room).then(
                () => {
                  holders[room] = (holders[room] ?? 0) + 1;
                  // Whoever is told that the room is heard can rely on it from this moment on.
                  expect(followed.has(room)).toBe(true);
                },
                () => undefined,
              );
            } else if (what === 'leave') {
              if (!holders[room]) continue;
              holders[room] -= 1;
              interest.release(room);
            } else if (what === 'answer') {
              calls.open.splice(pick % Math.max(1, calls.open.length), 1)[0]?.gate.open();
            } else {
              await clock.advanceAsync(pick * 30);
            }
            if (pick % 2) await settle();
            for (const [name, count] of Object.entries(holders)) {
              if (count > 0 && !(store.heard.has(name) && followed.has(name)))
                throw new Error(`${name} is joined and not heard`);
            }
          }
          for (let round = 0; round < 100; round += 1) {
            for (const call of calls.open.splice(0)) call.gate.open();
            await clock.advanceAsync(lingerMs);
          }
          for (const [name, count] of Object.entries(holders)) {
            expect([name, store.heard.has(name), followed.has(name)]).toEqual([name, count > 0, count > 0]);
          }
        }),
        { numRuns: 60 },
      );
    },
  );
});
