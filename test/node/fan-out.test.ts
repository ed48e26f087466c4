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
  const fanOut = new FanOut(hub, clock, { limitOutboxBytes: 0 });
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
});
