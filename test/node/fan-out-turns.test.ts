/** However much there is to write, no turn of the event loop takes long, and everybody gets their own, once. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textFrame } from '../../src/core/frame.ts';
import { Hub } from '../../src/core/hub.ts';
import { FanOut } from '../../src/node/fan-out.ts';
import { Turn } from '../../src/node/turn.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSession, type FakeSession, subscribe } from '../support/fake-connection.ts';

/** What a write costs here, in ms. */
const WRITE_MS = 0.004;
/** The budget of a turn, and what 64 members may take beyond it. */
const TURN_MS_MAX = 8 + 64 * WRITE_MS;

function frame(seq: number): Buffer {
  return textFrame(JSON.stringify({ type: 'status', redis: 'up', seq }));
}

function got(session: FakeSession): unknown[] {
  return session.connection.frames.map((each) => each['seq']);
}

/** Turns of the event loop are taken one by one, and each write takes time. */
function turnByTurn(limitOutboxBytes = 0) {
  let waiting: (() => void)[] = [];
  const still = createFakeClock();
  let spentMs = 0;
  const clock = {
    ...still,
    now: () => still.now() + spentMs,
    afterTurn: (run: () => void) => void waiting.push(run),
  };
  const hub = new Hub();
  const turn = new Turn(clock);
  const fanOut = new FanOut(hub, turn, clock, { limitOutboxBytes, limitOutboxMaxBytes: 0 });
  const join = (session: FakeSession, room: string) => subscribe(hub, session, room, 'full', fanOut.nextItem);
  const leave = (session: FakeSession, room: string) => {
    const subscription = session.subscriptions.get(room);
    if (subscription) fanOut.flushTo(subscription);
    hub.leave(session, room);
  };
  const newSession = (user: string) => {
    const session = createSession(user);
    const { write } = session.connection;
    session.connection.write = (frames) => {
      spentMs += WRITE_MS;
      write.call(session.connection, frames);
    };
    hub.add(session);
    return session;
  };
  const members = (room: string, count: number) =>
    Array.from({ length: count }, (_, n) => {
      const session = newSession(`${room}-${n}`);
      join(session, room);
      return session;
    });
  /** Runs a turn and tells how long it took. Rests are over by then. */
  const take = () => {
    still.advance(20);
    const runs = waiting;
    waiting = [];
    const before = spentMs;
    for (const run of runs) run();
    return spentMs - before;
  };
  /** Turns until there is nothing left; the longest of them. */
  const takeAll = () => {
    let longest = 0;
    for (let turns = 0; ; turns += 1) {
      if (turns > 10_000) throw new Error('turns without an end');
      longest = Math.max(longest, take());
      if (waiting.length === 0 && still.pendingTimers() === 0) return longest;
    }
  };
  return {
    hub,
    turn,
    fanOut,
    join,
    leave,
    newSession,
    members,
    every: (ms: number, run: () => void) => still.every(ms, run),
    take,
    takeAll,
    isIdle: () => waiting.length === 0,
  };
}

/** How many members have each of these, in this order and nothing else. */
const having = (members: readonly FakeSession[], ...seqs: number[]) =>
  members.filter((member) => JSON.stringify(got(member)) === JSON.stringify(seqs)).length;

describe('a turn of the event loop', () => {
  it('is short with one large room, which goes on in the turns after', () => {
    const { fanOut, members, take, takeAll } = turnByTurn();
    const big = members('big', 10_000);
    fanOut.append('big', frame(1));
    expect(take()).toBeLessThanOrEqual(TURN_MS_MAX);
    expect(having(big, 1)).toBeGreaterThan(1500);
    expect(having(big, 1)).toBeLessThan(2500);
    expect(takeAll()).toBeLessThanOrEqual(TURN_MS_MAX);
    expect(having(big, 1)).toBe(big.length);
  });

  it('is short with many rooms that are told something at the same time', () => {
    const { fanOut, members, takeAll } = turnByTurn();
    const rooms = Array.from({ length: 30 }, (_, n) => members(`room-${n}`, 1000));
    for (const n of rooms.keys()) fanOut.append(`room-${n}`, frame(n));
    expect(takeAll()).toBeLessThanOrEqual(TURN_MS_MAX);
    for (const [n, room] of rooms.entries()) expect(having(room, n)).toBe(room.length);
  });

  it('is short while members join and leave a large room that is being written to', () => {
    const { fanOut, members, join, leave, newSession, take, takeAll } = turnByTurn();
    const big = members('big', 10_000);
    fanOut.append('big', frame(1));
    let longest = take();
    for (let n = 2; n < 8; n += 1) {
      fanOut.append('big', frame(n));
      join(newSession(`late-${n}`), 'big');
      const leaver = big.pop();
      if (!leaver) throw new Error('no members');
      leave(leaver, 'big');
      // Its own and nobody else's: all that was said while it was here.
      expect(got(leaver)).toEqual(Array.from({ length: n }, (_, at) => at + 1));
      longest = Math.max(longest, take());
    }
    longest = Math.max(longest, takeAll());
    expect(longest).toBeLessThanOrEqual(TURN_MS_MAX);
    expect(having(big, 1, 2, 3, 4, 5, 6, 7)).toBe(big.length);
  });

  it('lets timers run and replies leave between the pieces of a large room', () => {
    const { fanOut, members, newSession, every, turn, take } = turnByTurn();
    const big = members('big', 10_000);
    const pinging = newSession('pinging');
    let beats = 0;
    every(10, () => (beats += 1));
    fanOut.append('big', frame(0));
    for (let turns = 1; turns <= 4; turns += 1) {
      turn.cork(pinging.connection);
      pinging.connection.send(JSON.stringify({ type: 'pong' }));
      take();
      expect(pinging.connection.frames).toHaveLength(turns);
      expect(beats).toBeGreaterThanOrEqual(turns);
      expect(having(big, 0)).toBeLessThan(big.length);
    }
  });

  it('brings small rooms theirs although large ones are not done', () => {
    const { fanOut, members, take } = turnByTurn();
    const big = [members('one', 10_000), members('two', 10_000), members('three', 10_000)].flat();
    const [small] = members('small', 1);
    for (const room of ['one', 'two', 'three']) fanOut.append(room, frame(1));
    for (let n = 1; n <= 5; n += 1) {
      fanOut.append('small', frame(n));
      take();
      expect(small && got(small)).toHaveLength(n);
      expect(having(big, 1)).toBeLessThan(big.length);
    }
  });

  it('does not let small rooms starve a large one', () => {
    const { fanOut, members, take } = turnByTurn();
    const big = members('big', 10_000);
    const small = Array.from({ length: 300 }, (_, n) => members(`small-${n}`, 10)).flat();
    fanOut.append('big', frame(0));
    let turns = 0;
    for (; having(big, 0) < big.length && turns < 60; turns += 1) {
      for (let n = 0; n < 300; n += 1) fanOut.append(`small-${n}`, frame(turns));
      expect(take()).toBeLessThanOrEqual(TURN_MS_MAX);
    }
    expect(turns).toBeLessThan(60);
    expect(small.every((member) => got(member).length > 0)).toBe(true);
  });

  it('goes on after a defect, with nobody left corked and the members behind it served', () => {
    const { fanOut, hub, join, members, take } = turnByTurn();
    const [ann, bob, cid] = members('r', 3);
    if (!ann || !bob || !cid) throw new Error('no members');
    join(ann, 'q');
    fanOut.append('q', frame(1));
    fanOut.append('r', frame(2), {
      audience: (member) => {
        if (member.session === bob) throw new Error('a defect');
        return true;
      },
    });
    fanOut.append('q', frame(3));
    expect(take).toThrow('a defect');
    take();
    expect(got(cid)).toEqual([2]);
    expect(ann.connection.heldBytes).toBe(0);
    expect([ann, bob, cid].flatMap(({ connection }) => connection.violations)).toEqual([]);
    expect(hub.members('r').size).toBe(3);
  });
});

describe('a room that is written in several turns', () => {
  it('keeps the order for everybody when more comes meanwhile', () => {
    const { fanOut, members, take, takeAll } = turnByTurn();
    const big = members('big', 5000);
    let seq = 0;
    for (let n = 0; n < 5; n += 1) {
      fanOut.append('big', frame(++seq), { audience: () => true });
      fanOut.append('big', frame(++seq));
      take();
      // Whatever a member has begins with the first frame and has no hole.
      for (const member of big) expect(got(member)).toEqual(got(member).map((_, at) => at + 1));
    }
    takeAll();
    expect(having(big, ...Array.from({ length: seq }, (_, at) => at + 1))).toBe(big.length);
  });

  it('gives who joined anew nothing of the old round, and who is gone nothing at all', () => {
    const { fanOut, hub, join, members, take, takeAll } = turnByTurn();
    const big = members('big', 5000);
    const [again, closed] = big.slice(-2);
    if (!again || !closed) throw new Error('no members');
    fanOut.append('big', frame(1));
    take();
    hub.leave(closed, 'big');
    join(again, 'big');
    takeAll();
    expect([again, closed].map(got)).toEqual([[], []]);
    expect(having(big, 1)).toBe(big.length - 2);
    fanOut.append('big', frame(2));
    takeAll();
    expect([again, closed].map(got)).toEqual([[2], []]);
  });

  it('tells who is full in a later turn where that member stands: before the whole round', () => {
    const { fanOut, members, take, takeAll } = turnByTurn(1000);
    const told: unknown[] = [];
    fanOut.keepSlow({
      fellBehind: ({ session }, before) => told.push([session.user, before]),
      missedPresence: ({ session }) => told.push([session.user, 'presence']),
    });
    const big = members('big', 5000);
    fanOut.append('big', frame(1), { presence: true, audience: () => true });
    fanOut.append('big', frame(2), { before: { epoch: 'e', seq: 1 } });
    fanOut.append('big', frame(3), { before: { epoch: 'e', seq: 2 } });
    take();
    const last = big[big.length - 1];
    if (last) last.connection.queuedBytes = 1001;
    takeAll();
    expect(last && got(last)).toEqual([]);
    expect(told).toEqual([
      [last?.user, 'presence'],
      [last?.user, { epoch: 'e', seq: 1 }],
    ]);
    expect(having(big, 1, 2, 3)).toBe(big.length - 1);
  });
});

describe('whoever joins and leaves in between, in whatever order', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), room: fc.nat(2) }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('join' as const), room: fc.nat(2), who: fc.nat(2) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('leave' as const), room: fc.nat(2), who: fc.nat(2) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('flush' as const), room: fc.nat(2), who: fc.nat(2) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('unfollow' as const), room: fc.nat(2) }) },
  );

  it('each member gets exactly what was said while it was in the room, once and in order', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) => {
        const { fanOut, hub, join, leave, members, newSession, take, takeAll } = turnByTurn();
        const rooms = ['a', 'b', 'c'];
        // Enough others that a round takes more than one turn.
        for (const room of rooms) members(room, 1200);
        const sessions = Array.from({ length: 3 }, (_, n) => newSession(`user-${n}`));
        const due = new Map(sessions.map((session) => [session, [] as string[]]));
        let seq = 0;
        for (const each of steps) {
          if (each.kind === 'turn') take();
          else {
            const room = rooms[each.room] ?? 'a';
            if (each.kind === 'append') {
              seq += 1;
              fanOut.append(room, textFrame(JSON.stringify({ type: 'status', redis: 'up', seq, room })));
              for (const { session } of hub.members(room))
                due.get(session as FakeSession)?.push(`${room} ${seq}`);
            } else if (each.kind === 'flush') {
              const subscription = sessions[each.who]?.subscriptions.get(room);
              if (subscription) fanOut.flushTo(subscription);
            } else if (each.kind === 'unfollow') {
              // Never while somebody is in it.
              if (hub.members(room).size === 0) fanOut.unfollow(room);
            } else {
              const session = sessions[each.who];
              if (!session) continue;
              // Joined again: what was said before is for the subscription that ends.
              leave(session, room);
              if (each.kind === 'join') join(session, room);
            }
          }
        }
        expect(takeAll()).toBeLessThanOrEqual(TURN_MS_MAX);
        for (const [session, expected] of due) {
          const told = session.connection.frames.map(
            (each) => `${String(each['room'])} ${String(each['seq'])}`,
          );
          for (const room of rooms) {
            const of = (all: string[]) => all.filter((one) => one.startsWith(`${room} `));
            expect(of(told)).toEqual(of(expected));
          }
          expect(session.connection.violations).toEqual([]);
        }
      }),
      { numRuns: 40 },
    );
  });
});
