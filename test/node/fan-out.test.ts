import { afterEach, describe, expect, it } from 'vitest';
import { textFrame } from '../../src/core/frame.ts';
import { Hub } from '../../src/core/hub.ts';
import { FanOut } from '../../src/node/fan-out.ts';
import { Turn } from '../../src/node/turn.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSession, type FakeSession, subscribe } from '../support/fake-connection.ts';
import { createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

function begin() {
  const clock = createFakeClock();
  const hub = new Hub();
  const fanOut = new FanOut(hub, new Turn(clock), clock, { limitOutboxBytes: 0, limitOutboxMaxBytes: 0 });
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
    // Who is to be told something else first is given it now.
    for (const subscription of ann.subscriptions.values()) fanOut.flushTo(subscription);
    expect(got(ann)).toEqual([1, 2, 4, 5]);
    clock.advance(12);
    expect(got(ann)).toEqual([1, 2, 4, 5]);
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

  it('gives the members of before what waits, and a joiner only what comes after', () => {
    const { fanOut, hub, member, clock } = begin();
    const ann = member('ann', 'r');
    const late = createSession('late');
    hub.add(late);
    fanOut.append('r', frame(1));
    subscribe(hub, late, 'r', 'full', fanOut.nextItem);
    fanOut.append('r', frame(2));
    expect(got(ann)).toEqual([]);
    clock.flushTurn();
    expect([got(ann), got(late)]).toEqual([[1, 2], [2]]);
  });

  it('gives a leaver what was said before it left, and writes to nobody else for that', () => {
    const { fanOut, hub, member, clock } = begin();
    const [ann, bob] = [member('ann', 'r'), member('bob', 'r')];
    fanOut.append('r', frame(1));
    for (const subscription of ann.subscriptions.values()) fanOut.flushTo(subscription);
    hub.leave(ann, 'r');
    expect([got(ann), got(bob)]).toEqual([[1], []]);
    fanOut.append('r', frame(2));
    clock.flushTurn();
    expect([got(ann), got(bob)]).toEqual([[1], [1, 2]]);
  });

  it('hands all members of a room the same bytes, not a copy each', () => {
    const { fanOut, member, clock } = begin();
    const written = ['ann', 'bob', 'cid'].map((user) => {
      const { connection } = member(user, 'r');
      const buffers: Buffer[] = [];
      const { write } = connection;
      connection.write = (frames) => {
        buffers.push(frames);
        write.call(connection, frames);
      };
      return buffers;
    });
    const [first = [], ...others] = written;
    fanOut.append('r', frame(1));
    clock.flushTurn();
    fanOut.append('r', frame(2));
    fanOut.append('r', frame(3));
    clock.flushTurn();
    const meant = { audience: () => true };
    fanOut.append('r', frame(4), meant);
    fanOut.append('r', frame(5), { audience: () => false });
    fanOut.append('r', frame(6), meant);
    clock.flushTurn();
    expect(first).toHaveLength(3);
    for (const buffers of others) {
      expect(buffers).toHaveLength(3);
      buffers.forEach((buffer, at) => {
        expect(buffer).toBe(first[at]);
      });
    }
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
    const fanOut = new FanOut(hub, new Turn(clock), clock, {
      limitOutboxBytes: 100,
      limitOutboxMaxBytes: 1000,
    });
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
