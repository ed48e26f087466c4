import { afterEach, describe, expect, it } from 'vitest';
import { textFrame } from '../../src/core/frame.ts';
import { Hub } from '../../src/core/hub.ts';
import { FanOut } from '../../src/node/fan-out.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSession, type FakeSession, subscribe } from '../support/fake-connection.ts';
import { createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

function begin() {
  const clock = createFakeClock();
  const hub = new Hub();
  const fanOut = new FanOut(hub, clock, { limitOutboxBytes: 0, limitOutboxMaxBytes: 0 });
  const member = (user: string, ...rooms: string[]) => {
    const session = createSession(user);
    hub.add(session);
    for (const room of rooms) subscribe(hub, session, room);
    return session;
  };
  return { clock, hub, fanOut, member };
}

function frame(seq: number, room = 'r'): Buffer {
  return textFrame(JSON.stringify({ type: 'status', redis: 'up', seq, room }));
}

function got(session: FakeSession): unknown[] {
  return session.connection.frames.map((each) => each['seq']);
}

describe('the fan-out', () => {
  it('writes at the end of the turn, once per member, all frames of the turn in their order', () => {
    const { fanOut, member, clock } = begin();
    const [ann, bob] = [member('ann', 'r'), member('bob', 'r')];
    for (const seq of [1, 2, 3]) fanOut.append('r', frame(seq));
    expect(got(ann)).toEqual([]);
    clock.flushTurn();
    for (const session of [ann, bob]) {
      expect(got(session)).toEqual([1, 2, 3]);
      expect(session.connection.writes).toBe(1);
    }
    fanOut.append('r', frame(4));
    clock.flushTurn();
    expect(got(ann)).toEqual([1, 2, 3, 4]);
  });

  it('keeps rooms apart', () => {
    const { fanOut, member, clock } = begin();
    const [ann, bob, both] = [member('ann', 'a'), member('bob', 'b'), member('both', 'a', 'b')];
    fanOut.append('a', frame(1));
    fanOut.append('b', frame(2));
    fanOut.append('a', frame(3));
    clock.flushTurn();
    expect([got(ann), got(bob)]).toEqual([[1, 3], [2]]);
    expect(got(both).filter((seq) => seq !== 2)).toEqual([1, 3]);
  });

  it('writes once to who is in several rooms, and holds nobody back for a room of its own', () => {
    const { fanOut, member, clock } = begin();
    const [both, one] = [member('both', 'a', 'b'), member('one', 'b')];
    fanOut.append('a', frame(1));
    fanOut.append('b', frame(2));
    fanOut.append('b', frame(3), { audience: () => true });
    clock.flushTurn();
    expect([got(both), got(one)]).toEqual([
      [1, 2, 3],
      [2, 3],
    ]);
    expect([both.connection.writes, one.connection.writes]).toEqual([1, 1]);
    fanOut.append('a', frame(4));
    clock.flushTurn();
    expect(both.connection.writes).toBe(2);
    expect([both, one].flatMap(({ connection }) => connection.violations)).toEqual([]);
  });

  it('rests after a room that took long, so that what comes meanwhile shares a write, but lets small rooms pass', () => {
    const { fanOut, member, clock } = begin();
    const [ann, bob] = [member('ann', 'big'), member('bob', 'small')];
    const { write } = ann.connection;
    ann.connection.write = (frames) => {
      write.call(ann.connection, frames);
      clock.advance(4);
    };
    fanOut.append('big', frame(1));
    clock.flushTurn();
    fanOut.append('big', frame(2));
    fanOut.append('small', frame(3));
    clock.flushTurn();
    expect([got(ann), got(bob)]).toEqual([[1], [3]]);
    clock.advance(3.9);
    fanOut.append('big', frame(4));
    expect(got(ann)).toEqual([1]);
    clock.advance(0.1);
    expect(got(ann)).toEqual([1, 2, 4]);
    expect(ann.connection.writes).toBe(2);
    // Two frames came together: the room is busy, and rests for longer.
    fanOut.append('big', frame(5));
    clock.advance(5.9);
    expect(got(ann)).toEqual([1, 2, 4]);
    fanOut.flush('big');
    expect(got(ann)).toEqual([1, 2, 4, 5]);
    clock.advance(12);
    expect(clock.pendingTimers()).toBe(0);
  });

  it('keeps the order within a room whatever the kind of frame, for members who get some and members who get all', () => {
    const { fanOut, member, clock } = begin();
    const [ann, bob, cid] = [member('ann', 'r'), member('bob', 'r'), member('cid', 'r')];
    const only =
      (...users: string[]) =>
      (who: { session: { user: string } }) =>
        users.includes(who.session.user);
    fanOut.append('r', frame(1));
    fanOut.append('r', frame(2), { audience: only('ann') });
    fanOut.append('r', frame(3));
    fanOut.append('r', frame(4), { audience: only('ann', 'bob') });
    fanOut.append('r', frame(5));
    clock.flushTurn();
    expect(got(ann)).toEqual([1, 2, 3, 4, 5]);
    expect(got(bob)).toEqual([1, 3, 4, 5]);
    expect(got(cid)).toEqual([1, 3, 5]);
    expect(ann.connection.writes).toBe(1);
  });

  it('writes nothing to members for whom nothing is meant', () => {
    const { fanOut, member, clock } = begin();
    const ann = member('ann', 'r');
    fanOut.append('r', frame(1), { audience: () => false });
    clock.flushTurn();
    expect(ann.connection.writes).toBe(0);
  });

  it('asks who a member is when it writes: who left gets nothing, and nothing is kept for nobody', () => {
    const { fanOut, hub, member, clock } = begin();
    const [ann, bob] = [member('ann', 'r'), member('bob', 'r')];
    fanOut.append('r', frame(1));
    hub.leave(ann, 'r');
    clock.flushTurn();
    expect([got(ann), got(bob)]).toEqual([[], [1]]);
    fanOut.append('empty', frame(2));
    clock.flushTurn();
    subscribe(hub, ann, 'empty');
    clock.flushTurn();
    expect(got(ann)).toEqual([]);
  });

  it('flushed for a joiner gives the members of before what waits, and the joiner only what comes after', () => {
    const { fanOut, hub, member, clock } = begin();
    const ann = member('ann', 'r');
    const late = createSession('late');
    hub.add(late);
    fanOut.append('r', frame(1));
    fanOut.flush('r');
    subscribe(hub, late, 'r');
    fanOut.append('r', frame(2));
    clock.flushTurn();
    expect([got(ann), got(late)]).toEqual([[1, 2], [2]]);
  });
});

describe('a room with more members than are written to in one turn', () => {
  const SLICE = 2000;

  /** As `begin`, but turns of the event loop are taken one by one. */
  function turnByTurn(limitOutboxBytes = 0) {
    let waiting: (() => void)[] = [];
    const clock = { ...createFakeClock(), afterTurn: (run: () => void) => void waiting.push(run) };
    const hub = new Hub();
    const fanOut = new FanOut(hub, clock, { limitOutboxBytes, limitOutboxMaxBytes: 0 });
    const members = (room: string, count: number) =>
      Array.from({ length: count }, (_, n) => {
        const session = createSession(`${room}-${n}`);
        hub.add(session);
        subscribe(hub, session, room);
        return session;
      });
    const turn = () => {
      const runs = waiting;
      waiting = [];
      for (const run of runs) run();
      return runs.length;
    };
    return { hub, fanOut, members, turn };
  }

  /** How many members have each of these, in this order and nothing else. */
  const having = (members: readonly FakeSession[], ...seqs: number[]) =>
    members.filter((member) => JSON.stringify(got(member)) === JSON.stringify(seqs)).length;

  it('is written in several turns, and none is left over', () => {
    const { fanOut, members, turn } = turnByTurn();
    const big = members('big', 2 * SLICE + 1);
    fanOut.append('big', frame(1));
    for (const written of [SLICE, 2 * SLICE, 2 * SLICE + 1]) {
      expect(turn()).toBe(1);
      expect(having(big, 1)).toBe(written);
    }
    expect(turn()).toBe(0);
  });

  it('of exactly that many members is written in one', () => {
    const { fanOut, members, turn } = turnByTurn();
    const big = members('big', SLICE);
    fanOut.append('big', frame(1));
    turn();
    expect(having(big, 1)).toBe(SLICE);
    expect(turn()).toBe(0);
  });

  it('keeps the order for everybody when more comes meanwhile', () => {
    const { fanOut, members, turn } = turnByTurn();
    const big = members('big', 2 * SLICE + 500);
    let seq = 0;
    for (let n = 0; n < 5; n += 1) {
      fanOut.append('big', frame(++seq), { audience: () => true });
      fanOut.append('big', frame(++seq));
      turn();
      // Whatever a member has begins with the first frame and has no hole.
      for (const member of big) expect(got(member)).toEqual(got(member).map((_, at) => at + 1));
    }
    while (turn() > 0);
    expect(having(big, ...Array.from({ length: seq }, (_, at) => at + 1))).toBe(big.length);
  });

  it('does not hold up small rooms, whose frames are written in the turn in which they come', () => {
    const { fanOut, members, turn } = turnByTurn();
    const big = members('big', 3 * SLICE);
    const [small] = members('small', 1);
    fanOut.append('big', frame(1));
    for (let n = 1; n <= 3; n += 1) {
      fanOut.append('small', frame(n));
      turn();
      expect(small && got(small)).toHaveLength(n);
      expect(having(big, 1)).toBe(n * SLICE);
    }
  });

  it('is finished at once by a flush, with all that came meanwhile, and goes on in no later turn', () => {
    const { fanOut, members, turn } = turnByTurn();
    const big = members('big', 3 * SLICE);
    fanOut.append('big', frame(1));
    turn();
    fanOut.append('big', frame(2));
    fanOut.flush('big');
    expect(having(big, 1, 2)).toBe(big.length);
    while (turn() > 0);
    expect(having(big, 1, 2)).toBe(big.length);
    fanOut.append('big', frame(3));
    turn();
    fanOut.append('big', frame(4));
    fanOut.flushAll();
    expect(having(big, 1, 2, 3, 4)).toBe(big.length);
  });

  it('gives nothing more to who left in between, and a joiner or who joined anew nothing of the old round', () => {
    const { fanOut, hub, members, turn } = turnByTurn();
    const big = members('big', 2 * SLICE);
    const [left, again, closed] = big.slice(-3);
    if (!left || !again || !closed) throw new Error('no members');
    fanOut.append('big', frame(1));
    turn();
    hub.leave(left, 'big');
    // As `join` does, but for its flush: the round must be right by itself.
    subscribe(hub, again, 'big');
    hub.remove(closed);
    const [late] = members('big', 1);
    while (turn() > 0);
    expect([left, again, closed].map(got)).toEqual([[], [], []]);
    expect(late && got(late)).toEqual([]);
    expect(having(big, 1)).toBe(big.length - 3);
    fanOut.append('big', frame(2));
    while (turn() > 0);
    expect([left, again, closed].map(got)).toEqual([[], [2], []]);
  });

  it('tells who is full in a later slice where that member stands: before the whole round', () => {
    const { fanOut, members, turn } = turnByTurn(1000);
    const told: unknown[] = [];
    fanOut.keepSlow({
      fellBehind: ({ session }, before) => told.push([session.user, before]),
      missedPresence: ({ session }) => told.push([session.user, 'presence']),
    });
    const big = members('big', SLICE + 2);
    fanOut.append('big', frame(1), { presence: true, audience: () => true });
    fanOut.append('big', frame(2), { before: { epoch: 'e', seq: 1 } });
    fanOut.append('big', frame(3), { before: { epoch: 'e', seq: 2 } });
    turn();
    const last = big[big.length - 1];
    if (last) last.connection.queuedBytes = 1001;
    while (turn() > 0);
    expect(last && got(last)).toEqual([]);
    expect(told).toEqual([
      [last?.user, 'presence'],
      [last?.user, { epoch: 'e', seq: 1 }],
    ]);
    expect(having(big, 1, 2, 3)).toBe(big.length - 1);
  });
});

describe('over a whole node', () => {
  let fixture: NodeFixture | undefined;
  afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

  it('messages and signals of one turn keep the order in which they were heard', async () => {
    fixture = createNodeFixture({ settings: { presenceWindowMs: 0 } });
    const [ann, bob] = [await fixture.hello('ann'), await fixture.hello('bob')];
    await ann.join('r');
    await bob.join('r');
    await fixture.advance(200);
    for (const client of [ann, bob]) client.connection.take();
    const { events } = fixture.store;
    const { epoch } = ann.connection.position('r') ?? { epoch: '' };
    const body = (n: number) => Buffer.from(`"from":{"user":"eve","connection":"c"},"data":${n}}`);
    events.message('r', epoch, { seq: 1, ts: 0, body: body(1) });
    events.signal('r', { sender: 'x', body: body(2) });
    events.message('r', epoch, { seq: 2, ts: 0, body: body(3) });
    events.signal('r', { sender: 'x', to: { user: 'bob' }, body: body(4) });
    events.message('r', epoch, { seq: 3, ts: 0, body: body(5) });
    await fixture.settle();
    expect(ann.connection.frames.map((each) => each['data'])).toEqual([1, 2, 3, 5]);
    expect(bob.connection.frames.map((each) => each['data'])).toEqual([1, 2, 3, 4, 5]);
  });

  it('writes no more at once than a connection may hold: after an outage members catch up in chunks', () => {
    const clock = createFakeClock();
    const hub = new Hub();
    const fanOut = new FanOut(hub, clock, { limitOutboxBytes: 100, limitOutboxMaxBytes: 1000 });
    const behind: string[] = [];
    fanOut.keepSlow({
      fellBehind: ({ session }, before) => behind.push(`${session.user} ${before.seq}`),
      missedPresence: () => undefined,
    });
    const ann = createSession('ann');
    hub.add(ann);
    subscribe(hub, ann, 'r');
    for (let seq = 8; seq < 30; seq += 1)
      fanOut.append('r', frame(seq), { before: { epoch: 'e', seq: seq - 1 } });
    clock.flushTurn();
    expect(behind).toEqual(['ann 7']);
    expect(ann.connection.writes).toBe(0);
  });
});
