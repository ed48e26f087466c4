import { afterEach, describe, expect, it } from 'vitest';
import { Hub } from '../../src/core/hub.ts';
import type { FanOut } from '../../src/node/fan-out.ts';
import { LinkStatus } from '../../src/node/link-status.ts';
import { Turn } from '../../src/node/turn.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSession, subscribe } from '../support/fake-connection.ts';
import { gate } from '../support/gate.ts';
import { type Client, createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

function begin(): NodeFixture {
  fixture = createNodeFixture();
  return fixture;
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

const body = (data: number) => `"data":${data}}`;

function publish(store: NodeFixture['store'], room: string, data: number): void {
  // Straight into the store, as another node would: the front of this one may be down.
  void store.broker.publish({ room, lane: 'x', user: 'eve', body: body(data) });
}

function told(client: Client): unknown[] {
  return client.connection.frames.flatMap((frame) => {
    if (frame.type === 'status') return [frame['redis']];
    if (frame.type === 'message') return [frame['seq']];
    return frame.type === 'reset' || frame.type === 'epoch' ? [`${frame.type} ${String(frame['seq'])}`] : [];
  });
}

describe('who is gone', () => {
  it('is not looked for when Redis is back: each that ended meanwhile was kept until then', () => {
    const clock = createFakeClock();
    const hub = new Hub();
    const asked: string[] = [];
    const fanOut = { flushTo: () => undefined } as unknown as FanOut;
    const status = new LinkStatus(hub, fanOut, new Turn(clock), (room) => {
      asked.push(room);
      return true;
    });
    const [ann, bob] = [createSession('ann'), createSession('bob')];
    for (const session of [ann, bob]) {
      hub.add(session);
      subscribe(hub, session, `room of ${session.user}`);
      status.greet(session);
    }
    hub.remove(ann);
    status.forget(ann);
    status.change('up');
    clock.flushTurn();
    expect(asked).toEqual(['room of bob']);
    // Nobody is left to be told: the sweep has nothing to do.
    asked.length = 0;
    status.sweep();
    clock.flushTurn();
    expect(asked).toEqual([]);
  });
});

describe('while Redis is away', () => {
  it('every connection is told down once, stays open, and is refused at once', async () => {
    const { hello, store, settle, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.goDown();
    store.goDown();
    await settle();
    expect(told(ann)).toEqual(['down']);
    expect(await ann.publish('r', 1)).toMatchObject({ code: 'unavailable', retryable: true });
    expect(await ann.join('s')).toMatchObject({ code: 'unavailable' });
    await advance(600_000);
    expect(ann.connection.closedWith).toBeUndefined();
    expect(await ann.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
  });

  it('nothing waits behind a publish that is still tried, but for a leave', async () => {
    // Answered after seconds, and only in the room of that publish: elsewhere it was refused at once.
    const { hello, store, settle } = begin();
    const [ann, bob] = [await hello('ann'), await hello('bob')];
    for (const client of [ann, bob]) await client.join('r');
    const held = gate();
    store.before('publish', () => held.opened);
    ann.say({ type: 'publish', id: 'p', room: 'r', data: 1 });
    store.goDown();
    ann.say(
      { type: 'state', id: 's', room: 'r', state: {} },
      { type: 'history', id: 'h', room: 'r' },
      { type: 'presence', id: 'w', room: 'r' },
      { type: 'join', id: 'j', room: 'r' },
      { type: 'signal', id: 'g', room: 'r', data: 'here' },
      { type: 'leave', id: 'l', room: 'r' },
    );
    await settle();
    for (const id of ['s', 'h', 'w', 'j'])
      expect(ann.connection.reply(id)).toMatchObject({ type: 'error', code: 'unavailable' });
    expect(ann.connection.reply('g')).toMatchObject({ type: 'ok' });
    expect(bob.connection.of('signal')).toMatchObject([{ data: 'here' }]);
    expect(ann.connection.reply('l')).toBeUndefined();
    held.open();
    await settle();
    expect(ann.connection.reply('p')).toBeDefined();
    expect(ann.connection.reply('l')).toMatchObject({ type: 'ok' });
  });

  it('the node is not ready, and is again afterwards', async () => {
    const { node, store } = begin();
    expect(node.ready).toBe(true);
    store.goDown();
    expect(node.ready).toBe(false);
    store.comeUp();
    expect(node.ready).toBe(true);
  });
});

describe('when Redis is back', () => {
  it('up comes after what was missed', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.goDown();
    store.comeUp();
    publish(store, 'r', 1);
    await settle();
    expect(told(ann)).toEqual(['down']);
    store.relink();
    await settle();
    expect(told(ann)).toEqual(['down', 1, 'up']);
  });

  it('up comes after the reset, where the store came back empty', async () => {
    const { hello, store, settle, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await ann.publish('r', 1);
    store.goDown();
    store.empty();
    store.comeUp();
    store.relink();
    await settle();
    expect(told(ann)).toEqual([1, 'down', 'reset 0', 'up']);
    expect(ann.connection.of('reset')).toMatchObject([{ reason: 'lost', room: 'r' }]);
    await advance(30_000);
    expect(await ann.publish('r', 2)).toMatchObject({ type: 'ok', seq: 1 });
    expect(told(ann)).toEqual([1, 'down', 'reset 0', 'up', 1]);
  });

  it('up reaches who is in no room at once, and each of the others after the last of its rooms', async () => {
    const { hello, store, settle } = begin();
    const [idle, one, two] = [await hello('idle'), await hello('one'), await hello('two')];
    await one.join('a');
    await two.join('a');
    await two.join('b');
    const held = gate();
    store.goDown();
    store.comeUp();
    await settle();
    expect([told(idle), told(one)]).toEqual([['down', 'up'], ['down']]);
    store.before('read', (room) => (room === 'b' ? held.opened : undefined));
    store.relink();
    await settle();
    expect([told(one), told(two)]).toEqual([['down', 'up'], ['down']]);
    held.open();
    await settle();
    expect(told(two)).toEqual(['down', 'up']);
  });

  it('up is told where the last room that is not healed is left', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('a');
    await ann.join('b');
    store.goDown();
    store.comeUp();
    store.before('read', (room) => (room === 'b' ? new Promise(() => undefined) : undefined));
    store.relink();
    await settle();
    expect(told(ann)).toEqual(['down']);
    await ann.request({ type: 'leave', room: 'b' });
    expect(told(ann)).toEqual(['down', 'up']);
  });

  it('up reaches who came while it was away', async () => {
    const { hello, store, settle } = begin();
    store.goDown();
    const ann = await hello('ann');
    store.comeUp();
    await settle();
    expect(told(ann)).toEqual(['down', 'up']);
  });

  it('and away again before all is healed, down is not told twice and up not too early', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    const held = gate();
    store.goDown();
    store.comeUp();
    store.before('read', () => held.opened);
    store.relink();
    await settle();
    store.goDown();
    held.open();
    await settle();
    expect(told(ann)).toEqual(['down']);
    store.before('read', undefined);
    store.comeUp();
    store.relink();
    await settle();
    expect(told(ann)).toEqual(['down', 'up']);
  });

  it('a subscription link that was lost alone is healed without a word of status', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.loseLink();
    publish(store, 'r', 1);
    await settle();
    expect(told(ann)).toEqual([]);
    store.relink();
    await settle();
    expect(told(ann)).toEqual([1]);
  });
});
