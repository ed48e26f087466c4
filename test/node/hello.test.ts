import { afterEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../src/node/refusal.ts';
import { gate } from '../support/gate.ts';
import { createNodeFixture, type FixtureOptions, type NodeFixture } from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

function begin(options?: FixtureOptions): NodeFixture {
  fixture = createNodeFixture(options);
  return fixture;
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

describe('hello', () => {
  it('is answered by welcome with the name asked for, the id given and the limits of the node', async () => {
    const { connect } = begin();
    const client = connect();
    client.say({ type: 'hello', id: 7, user: 'ann' });
    const [welcome] = client.connection.frames;
    expect(welcome).toMatchObject({
      type: 'welcome',
      id: 7,
      user: 'ann',
      connection: client.id,
      node: 'node-1',
      protocol: 1,
      pingIntervalMs: 25_000,
      reconnect: { minMs: 0, maxMs: 2_000 },
      limits: {
        payloadBytes: 32_768,
        roomsPerConnection: 200,
        publishPerSecond: 1000,
        batch: 64,
        historyMessages: 100,
      },
    });
  });

  it.each([
    ['the limit', { limitPayloadBytes: 1000, limitFrameBytes: 65_536 }, 1000],
    [
      'what fits into a frame, where there is none',
      { limitPayloadBytes: 0, limitFrameBytes: 65_536 },
      63_488,
    ],
    ['what fits into a frame, where it is larger', { limitPayloadBytes: 1000, limitFrameBytes: 1024 }, 512],
    ['that there is none', { limitPayloadBytes: 0, limitFrameBytes: 0 }, 0],
  ])('tells of payloads %s', async (_what, settings, payloadBytes) => {
    // A client that believed the first of these alone sent what ended its connection for good.
    const { hello } = begin({ settings });
    const ann = await hello('ann');
    expect(ann.connection.frames[0]).toMatchObject({ limits: { payloadBytes } });
  });

  it('without a user names the connection, and gives an anonymous name back when asked for', async () => {
    const { hello } = begin();
    const anonymous = await hello();
    const name = anonymous.connection.frames[0]?.['user'];
    expect(name).toBe(`anon-${anonymous.id}`);
    const again = await hello(String(name));
    expect(again.connection.frames[0]).toMatchObject({ type: 'welcome', user: name });
  });

  it('that is missing is made up for whatever comes first, and answered without an id', async () => {
    const { connect } = begin();
    const client = connect();
    client.say({ type: 'ping', id: 'p' });
    expect(client.connection.frames).toMatchObject([{ type: 'welcome' }, { type: 'pong', id: 'p' }]);
    expect(client.connection.frames[0]).not.toHaveProperty('id');
  });

  it('that is missing is made up also for what is no frame at all', async () => {
    const { connect } = begin();
    const client = connect();
    client.text('{not json');
    expect(client.connection.frames).toMatchObject([
      { type: 'welcome' },
      { type: 'error', code: 'bad_request' },
    ]);
  });

  it('that is malformed is refused and may be said again', async () => {
    const { connect } = begin();
    const client = connect();
    client.say({ type: 'hello', id: 'h', user: '{brace}' });
    expect(client.connection.frames).toMatchObject([{ type: 'error', code: 'bad_request', id: 'h' }]);
    client.say({ type: 'hello', user: 'ann' });
    expect(client.connection.frames[1]).toMatchObject({ type: 'welcome', user: 'ann' });
  });

  it('said a second time is a bad request, and the session goes on as it was', async () => {
    const { hello } = begin();
    const client = await hello('ann');
    expect(await client.request({ type: 'hello', user: 'eve' })).toMatchObject({
      type: 'error',
      code: 'bad_request',
    });
    expect(client.connection.of('welcome')).toHaveLength(1);
    expect(await client.join('r')).toMatchObject({ type: 'joined', members: [{ user: 'ann' }] });
  });

  it('that does not come in time closes with 4001; the timer ends with the hello', async () => {
    const { connect, hello, advance } = begin();
    const silent = connect();
    const polite = await hello('ann');
    await advance(4_999);
    expect(silent.connection.closedWith).toBeUndefined();
    await advance(1);
    expect(silent.connection.closedWith?.code).toBe(4001);
    expect(silent.connection.frames).toMatchObject([{ type: 'closing', code: 4001, reconnect: 'after' }]);
    await advance(60_000);
    expect(polite.connection.closedWith).toBeUndefined();
  });

  it('that is only ever malformed does not put the timeout off', async () => {
    const { connect, advance } = begin();
    const client = connect();
    client.say({ type: 'hello', user: '' });
    await advance(3_000);
    client.say({ type: 'hello', user: '' });
    await advance(2_000);
    expect(client.connection.closedWith?.code).toBe(4001);
  });

  it('that comes after the timeout begins no session', async () => {
    const { connect, advance, node } = begin();
    const client = connect();
    await advance(5_000);
    client.say({ type: 'hello', user: 'late' });
    expect(node.hub.connections).toBe(0);
  });

  it('of a connection that went away before does nothing', async () => {
    const { connect, advance, clock } = begin();
    const timers = clock.pendingTimers();
    const client = connect();
    client.drop();
    expect(clock.pendingTimers()).toBe(timers);
    await advance(10_000);
    expect(client.connection.frames).toEqual([]);
  });

  it('while the store is away is answered by status down right after welcome', async () => {
    const { connect, store } = begin();
    store.goDown();
    const client = connect();
    client.say({ type: 'hello', user: 'ann' });
    expect(client.connection.frames).toMatchObject([{ type: 'welcome' }, { type: 'status', redis: 'down' }]);
  });
});

describe('the connections of a user', () => {
  it('over the limit of this node are closed with 4509, the others stay', async () => {
    const { hello } = begin({ settings: { limitUserConnections: 2 } });
    const first = await hello('ann');
    await hello('ann');
    const third = await hello('ann');
    expect(third.connection.frames).toMatchObject([{ type: 'closing', code: 4509, reconnect: 'never' }]);
    expect(third.connection.closedWith?.code).toBe(4509);
    expect(first.connection.closedWith).toBeUndefined();
    expect((await hello('bob')).connection.closedWith).toBeUndefined();
  });

  it('that was refused can say nothing more', async () => {
    const { hello, node } = begin({ settings: { limitUserConnections: 1 } });
    await hello('ann');
    const second = await hello('ann');
    second.say({ type: 'hello', user: 'bob' });
    expect(node.hub.connections).toBe(1);
    second.drop();
    expect(node.hub.connections).toBe(1);
  });

  it('over the limit of the cluster are closed once the store said so', async () => {
    const { connect, settle, store } = begin({ settings: { limitUserConnections: 3 } });
    store.presence.countConnections = async () => 4;
    const client = connect();
    client.say({ type: 'hello', user: 'ann' });
    expect(client.connection.closedWith).toBeUndefined();
    await settle();
    expect(client.connection.closedWith?.code).toBe(4509);
  });

  it('are not limited where the limit is 0, nor refused because the store is away', async () => {
    const { hello, store } = begin({ settings: { limitUserConnections: 0 } });
    for (let each = 0; each < 5; each += 1)
      expect((await hello('ann')).connection.closedWith).toBeUndefined();
    store.goDown();
    expect((await hello('ann')).connection.closedWith).toBeUndefined();
  });
});

describe('the online state of a user', () => {
  it('is presence in @user: one member over all tabs, gone 5 s after the last', async () => {
    const { hello, advance } = begin();
    const watcher = await hello('watcher');
    const ask = async () => (await watcher.request({ type: 'presence', room: '@ann' }))['count'];
    expect(await ask()).toBe(0);
    const first = await hello('ann');
    const second = await hello('ann');
    expect(await ask()).toBe(1);
    first.drop();
    await advance(6_000);
    expect(await ask()).toBe(1);
    second.drop();
    await advance(4_999);
    expect(await ask()).toBe(1);
    await advance(1);
    expect(await ask()).toBe(0);
  });

  it('is not kept for names the server made up', async () => {
    const { hello, store } = begin();
    const anonymous = await hello();
    anonymous.drop();
    expect(store.calls).toEqual([]);
  });

  it('set while the store was away is written when it is back', async () => {
    const { hello, store, advance } = begin();
    store.goDown();
    await hello('ann');
    store.comeUp();
    await advance(0);
    const watcher = await hello('watcher');
    expect(await watcher.request({ type: 'presence', room: '@ann' })).toMatchObject({ count: 1 });
  });
});

describe('the connections of all users', () => {
  it('are counted again after a rebuild, each user once and a few at a time', async () => {
    // All in one turn stood in front of every publish, for as long as Redis took for tens of thousands.
    const { hello, store, settle } = begin();
    const leaving = await hello('leaving');
    for (let n = 0; n < 100; n += 1) await hello(`u${n}`);
    await hello('u0');
    await hello();
    const counted: string[] = [];
    let [underWay, most] = [0, 0];
    const held = gate();
    store.presence.countConnections = async (user, count) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await held.opened;
      underWay -= 1;
      counted.push(`${user} ${count}`);
      return count;
    };
    store.rebuild();
    // Each room is reconciled first.
    while (underWay === 0) await settle();
    expect(most).toBe(32);
    leaving.drop();
    held.open();
    while (underWay > 0) await settle();
    expect(most).toBeLessThanOrEqual(33);
    const told = counted.filter((line) => !line.startsWith('leaving')).sort();
    expect(told).toEqual(Array.from({ length: 100 }, (_, n) => `u${n} ${n === 0 ? 2 : 1}`).sort());
  });

  it('are counted anew by a later rebuild, which the one before it does not go beside', async () => {
    const { hello, store, settle } = begin();
    for (let n = 0; n < 100; n += 1) await hello(`u${n}`);
    let counted = 0;
    const held = gate();
    store.presence.countConnections = async (_user, count) => {
      counted += 1;
      await held.opened;
      return count;
    };
    store.rebuild();
    while (counted === 0) await settle();
    store.rebuild();
    while (counted === 32) await settle();
    held.open();
    for (let n = 0; n < 20; n += 1) await settle();
    expect(counted).toBe(32 + 100);
  });
});

describe('access', () => {
  const strict = {
    identify: () => {
      throw new Refusal('unauthorized', 'no token');
    },
    permits: () => true,
  };

  it('that denies an identity is answered as an error, and hello may be said again', async () => {
    const { connect, node } = begin({ access: strict });
    const client = connect();
    client.say({ type: 'hello', id: 1 });
    expect(client.connection.frames).toMatchObject([
      { type: 'error', code: 'unauthorized', id: 1, retryable: false },
    ]);
    expect(node.hub.connections).toBe(0);
  });

  it('that denies the hello nobody said answers the request that came instead', async () => {
    // Without this the request has an id and no reply: its sender waits for ever.
    const { connect } = begin({ access: strict });
    const client = connect();
    client.say({ type: 'join', id: 5, room: 'r' });
    expect(client.connection.frames).toMatchObject([
      { type: 'error', code: 'unauthorized', id: 5, room: 'r' },
    ]);
  });

  it('that denies an action answers forbidden, and the connection is usable after it', async () => {
    const access = {
      identify: () => ({ user: 'ann', named: true }),
      permits: (_: unknown, action: string) => action !== 'join',
    };
    const { hello } = begin({ access });
    const client = await hello('ann');
    expect(await client.join('r')).toMatchObject({
      type: 'error',
      code: 'forbidden',
      room: 'r',
      retryable: false,
    });
    expect(await client.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
  });
});
