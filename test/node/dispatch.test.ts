import { afterEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { Config } from '../../src/config.ts';
import { gate } from '../support/gate.ts';
import { type Client, createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

function begin(settings?: Partial<Config>): NodeFixture {
  fixture = createNodeFixture({ settings });
  return fixture;
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

function types(client: Client): string[] {
  return client.connection.frames.map((frame) => frame.type);
}

describe('the order of frames', () => {
  it('lets hello, join and publish be sent without waiting', async () => {
    const { connect, settle } = begin();
    const client = connect();
    client.say(
      { type: 'hello', user: 'ann' },
      { type: 'join', id: 1, room: 'r' },
      { type: 'publish', id: 2, room: 'r', data: 'x' },
    );
    await settle();
    expect(client.connection.reply(1)).toMatchObject({ type: 'joined', seq: 0 });
    expect(client.connection.reply(2)).toMatchObject({ type: 'ok', room: 'r', seq: 1 });
    expect(client.connection.messages('r')).toMatchObject([{ seq: 1, data: 'x' }]);
  });

  it('handles a batch in its order', async () => {
    const { connect, settle } = begin();
    const client = connect();
    const publishes = [1, 2, 3, 4].map((n) => ({ type: 'publish', id: `p${n}`, room: 'r', data: n }));
    client.text(
      JSON.stringify([{ type: 'join', id: 'j', room: 'r' }, ...publishes, { type: 'ping', id: 'q' }]),
    );
    await settle();
    expect(client.connection.messages('r').map((message) => message.data)).toEqual([1, 2, 3, 4]);
    // The ping belongs to no room and waits for none.
    expect(types(client).slice(0, 2)).toEqual(['welcome', 'pong']);
  });

  it('answers each frame of a batch for itself', async () => {
    const { hello } = begin();
    const client = await hello('ann');
    client.connection.take();
    client.text(
      JSON.stringify([{ type: 'ping', id: 1 }, { type: 'nonsense', id: 2 }, 7, { type: 'ping', id: 3 }]),
    );
    expect(client.connection.frames).toMatchObject([
      { type: 'pong', id: 1 },
      { type: 'error', code: 'unsupported', id: 2 },
      { type: 'error', code: 'bad_request' },
      { type: 'pong', id: 3 },
    ]);
  });

  it('lets what was sent behind a join wait for it', async () => {
    const { hello, store, settle } = begin();
    const client = await hello('ann');
    const held = gate();
    store.before('read', () => held.opened);
    client.say(
      { type: 'join', id: 'j', room: 'r' },
      { type: 'publish', id: 'p', room: 'r', data: 1 },
      { type: 'state', id: 's', room: 'r', state: { a: 1 } },
      { type: 'signal', id: 'g', room: 'r', data: 1 },
      { type: 'leave', id: 'l', room: 'r' },
    );
    await settle();
    for (const id of ['j', 'p', 's', 'g', 'l']) expect(client.connection.reply(id)).toBeUndefined();
    expect(store.calls.some((call) => call.startsWith('publish'))).toBe(false);
    held.open();
    await settle();
    const replies = client.connection.frames.filter((frame) => typeof frame['id'] === 'string');
    expect(replies.map((frame) => [frame['id'], frame.type])).toEqual([
      ['j', 'joined'],
      ['p', 'ok'],
      ['s', 'ok'],
      ['g', 'ok'],
      ['l', 'ok'],
    ]);
  });

  it('fails what was sent behind a join that failed, and nothing else', async () => {
    const { hello, store, settle } = begin();
    const client = await hello('ann');
    await client.join('other');
    store.before('subscribe', (room) => {
      if (room === 'r') throw new BrokerError('unavailable', 'no answer');
    });
    client.say(
      { type: 'join', id: 'j', room: 'r' },
      { type: 'publish', id: 'p', room: 'r', data: 1 },
      { type: 'leave', id: 'l', room: 'r' },
      { type: 'publish', id: 'o', room: 'other', data: 1 },
    );
    await settle();
    expect(client.connection.reply('j')).toMatchObject({
      type: 'error',
      code: 'unavailable',
      retryable: true,
    });
    expect(client.connection.reply('p')).toMatchObject({ type: 'error', code: 'not_joined', room: 'r' });
    expect(client.connection.reply('l')).toMatchObject({ type: 'error', code: 'not_joined' });
    expect(client.connection.reply('o')).toMatchObject({ type: 'ok' });
  });

  it('does not let one room wait for another', async () => {
    const { hello, store, settle } = begin();
    const client = await hello('ann');
    const held = gate();
    store.before('subscribe', (room) => (room === 'slow' ? held.opened : undefined));
    client.say({ type: 'join', id: 'slow', room: 'slow' }, { type: 'join', id: 'fast', room: 'fast' });
    await settle();
    expect(client.connection.reply('fast')).toMatchObject({ type: 'joined' });
    expect(client.connection.reply('slow')).toBeUndefined();
    held.open();
    await settle();
    expect(client.connection.reply('slow')).toMatchObject({ type: 'joined' });
  });

  it('gives a member its own last message before the leave that was sent behind it takes effect', async () => {
    const { hello, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    ann.say({ type: 'publish', room: 'r', data: 'bye' }, { type: 'leave', id: 'l', room: 'r' });
    await settle();
    expect(ann.connection.messages('r').map(({ data }) => data)).toEqual(['bye']);
    expect(ann.connection.reply('l')).toMatchObject({ type: 'ok' });
  });

  it('keeps the publishes of a connection in a room in order, and a leave behind them', async () => {
    const { hello, store, settle } = begin();
    const client = await hello('ann');
    const watcher = await hello('bob');
    await client.join('r');
    await watcher.join('r');
    const held = gate();
    store.after('publish', () => held.opened);
    for (let n = 1; n <= 20; n += 1) client.say({ type: 'publish', room: 'r', data: n });
    client.say({ type: 'leave', id: 'l', room: 'r' });
    await settle();
    expect(watcher.connection.messages('r').map((message) => message.data)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
    expect(client.connection.reply('l')).toBeUndefined();
    held.open();
    await settle();
    expect(client.connection.reply('l')).toMatchObject({ type: 'ok' });
  });

  it('limits how many frames may wait, and lets them through when the join is done', async () => {
    const { hello, store, settle } = begin({ limitInFlight: 3 });
    const client = await hello('ann');
    const held = gate();
    store.before('subscribe', () => held.opened);
    client.say({ type: 'join', id: 'j', room: 'r' });
    for (let n = 0; n < 5; n += 1) client.say({ type: 'publish', id: `p${n}`, room: 'r', data: n });
    const refused = client.connection.of('error');
    expect(refused).toMatchObject([
      { id: 'p3', code: 'rate_limited', retryable: true, retryAfterMs: 100, room: 'r' },
      { id: 'p4', code: 'rate_limited', retryable: true },
    ]);
    held.open();
    await settle();
    expect(client.connection.messages('r').map((message) => message.data)).toEqual([0, 1, 2]);
  });

  it('limits how much may wait: a join that is never answered would let one client fill the memory', async () => {
    const { hello, store, settle } = begin();
    const client = await hello('ann');
    const held = gate();
    store.before('subscribe', () => held.opened);
    client.say({ type: 'join', id: 'j', room: 'r' });
    const data = 'x'.repeat(30_000);
    for (let n = 0; n < 40; n += 1) client.say({ type: 'publish', id: n, room: 'r', data });
    const refused = client.connection.of('error').map(({ id }) => id);
    expect(client.connection.of('error')[0]).toMatchObject({ code: 'rate_limited', retryAfterMs: 100 });
    // What is waited for comes to half a megabyte, and one frame more.
    expect(refused).toEqual(Array.from({ length: 22 }, (_, n) => n + 18));
    held.open();
    await settle();
    expect(client.connection.messages('r')).toHaveLength(18);
    // All of it is forgotten with what waited.
    client.say({ type: 'leave', room: 'r' }, { type: 'join', id: 'again', room: 'r' });
    client.say({ type: 'publish', id: 'last', room: 'r', data: 'y' });
    await settle();
    expect(client.connection.reply('last')).toMatchObject({ type: 'ok' });
  });

  it('does nothing for a connection that went away while its frames waited', async () => {
    const { hello, store, settle } = begin();
    const client = await hello('ann');
    const held = gate();
    store.before('subscribe', () => held.opened);
    client.say({ type: 'join', id: 'j', room: 'r' }, { type: 'publish', id: 'p', room: 'r', data: 1 });
    client.drop();
    held.open();
    await settle();
    expect(store.calls.some((call) => call.startsWith('publish'))).toBe(false);
  });
});

describe('a request', () => {
  it('without an id is silent where it succeeds, except where it asks for something', async () => {
    const { hello, settle } = begin();
    const client = await hello('ann');
    await client.join('r');
    client.connection.take();
    client.say(
      { type: 'signal', room: 'r', data: 1 },
      { type: 'state', room: 'r', state: {} },
      { type: 'publish', room: 'r', data: 1 },
      { type: 'ping' },
    );
    await settle();
    client.say({ type: 'leave', room: 'r' });
    await settle();
    expect(types(client).sort()).toEqual(['message', 'pong']);
  });

  it('without an id is answered where it fails', async () => {
    const { hello } = begin();
    const client = await hello('ann');
    client.say({ type: 'publish', room: 'r', data: 1 });
    expect(client.connection.frames[1]).toMatchObject({ type: 'error', code: 'not_joined', room: 'r' });
    expect(client.connection.frames[1]).not.toHaveProperty('id');
  });
});

describe('every error leaves the connection usable', () => {
  const room = 'r';
  const big = 'x'.repeat(40_000);
  it.each([
    ['bad_request', 'join', { type: 'join', room: 'no spaces' }],
    ['bad_request', 'too much history', { type: 'join', room: 'new', history: 101 }],
    ['bad_request', 'too long a page', { type: 'history', room, limit: 101 }],
    ['unsupported', 'an unknown type', { type: 'dance' }],
    ['unsupported', 'refresh without authentication', { type: 'refresh', token: 't' }],
    ['not_joined', 'publish', { type: 'publish', room: 'other', data: 1 }],
    ['not_joined', 'signal', { type: 'signal', room: 'other', data: 1 }],
    ['not_joined', 'state', { type: 'state', room: 'other', state: {} }],
    ['not_joined', 'leave', { type: 'leave', room: 'other' }],
    ['not_joined', 'history', { type: 'history', room: 'other' }],
    ['not_joined', 'presence', { type: 'presence', room: 'other' }],
    ['not_joined', 'read without an inbox', { type: 'read', seq: 1 }],
    ['not_joined', 'history of an inbox that is not open', { type: 'history', room: '@ann' }],
    ['forbidden', 'history of the inbox of somebody else', { type: 'history', room: '@bob' }],
    ['bad_request', 'an inbox joined like a room', { type: 'join', room: '@ann' }],
    ['bad_request', 'publish into an inbox', { type: 'publish', room: '@bob', data: 1 }],
    ['bad_request', 'leaving an inbox', { type: 'leave', room: '@ann' }],
    ['bad_request', 'a signal into an inbox', { type: 'signal', room: '@bob', data: 1 }],
    ['bad_request', 'state in an inbox', { type: 'state', room: '@ann', state: {} }],
    ['too_large', 'publish', { type: 'publish', room, data: big }],
    ['too_large', 'send', { type: 'send', to: 'bob', data: big }],
    ['too_large', 'signal', { type: 'signal', room, data: big }],
    ['limit_exceeded', 'state', { type: 'state', room, state: { a: 'x'.repeat(4096) } }],
    ['limit_exceeded', 'state in join', { type: 'join', room: 'new', state: { a: 'x'.repeat(4096) } }],
  ])('%s: %s', async (code, _, frame) => {
    const { hello } = begin();
    const client = await hello('ann');
    await client.join(room);
    const error = await client.request(frame);
    expect(error).toMatchObject({ type: 'error', code, retryable: false });
    expect(String(error['message']).length).toBeGreaterThan(10);
    expect(await client.publish(room, 1)).toMatchObject({ type: 'ok', seq: 1 });
    expect(client.connection.closedWith).toBeUndefined();
  });

  it.each(['unavailable', 'unknown_outcome', 'rate_limited'] as const)(
    '%s: from the broker',
    async (code) => {
      const { hello, store } = begin();
      const client = await hello('ann');
      await client.join(room);
      store.before('publish', () => {
        throw new BrokerError(code, 'as the broker says');
      });
      const error = await client.publish(room, 1);
      expect(error).toMatchObject({ type: 'error', code, room, retryable: true });
      // "retryAfterMs says when": without it a client does not know how long to wait.
      if (code === 'rate_limited') expect(error['retryAfterMs']).toBeGreaterThan(0);
      store.before('publish', undefined);
      expect(await client.publish(room, 1)).toMatchObject({ type: 'ok' });
    },
  );

  it('internal: a bug is logged with the id and told without its details', async () => {
    const { hello, store, logger } = begin();
    const client = await hello('ann');
    await client.join(room);
    store.before('history', () => {
      throw new TypeError('cannot read secrets of undefined');
    });
    const error = await client.request({ type: 'history', room });
    expect(error).toMatchObject({ type: 'error', code: 'internal', retryable: true, room });
    expect(JSON.stringify(error)).not.toContain('secrets');
    expect(logger.lines.filter((line) => line.level === 'error')).toMatchObject([
      { fields: { id: error['id'] } },
    ]);
    expect(await client.publish(room, 1)).toMatchObject({ type: 'ok' });
  });

  it('limit_exceeded: a batch over the limit is refused whole', async () => {
    const { hello } = begin({ limitBatch: 2 });
    const client = await hello('ann');
    client.connection.take();
    const ping = { type: 'ping', id: 1 };
    client.text(JSON.stringify([ping, ping, ping]));
    expect(client.connection.take()).toMatchObject([{ type: 'error', code: 'limit_exceeded' }]);
    client.text(JSON.stringify([ping, ping]));
    expect(types(client)).toEqual(['pong', 'pong']);
  });
});

describe('bad frames', () => {
  it('over 20 in a minute close with 4508; unknown types are no bad frames', async () => {
    const { hello } = begin();
    const client = await hello('ann');
    for (let n = 0; n < 40; n += 1) client.say({ type: 'of the future' });
    for (let n = 0; n < 20; n += 1) client.text('no json');
    expect(client.connection.closedWith).toBeUndefined();
    client.text('no json');
    expect(client.connection.closedWith?.code).toBe(4508);
    expect(client.connection.frames.at(-1)).toMatchObject({
      type: 'closing',
      code: 4508,
      reconnect: 'never',
    });
  });

  it('are counted over a minute, not for ever', async () => {
    const { hello, advance } = begin();
    const client = await hello('ann');
    for (let minute = 0; minute < 3; minute += 1) {
      for (let n = 0; n < 20; n += 1) client.text('[]');
      await advance(60_000);
    }
    expect(client.connection.closedWith).toBeUndefined();
  });

  it('include hellos said again', async () => {
    const { hello } = begin();
    const client = await hello('ann');
    for (let n = 0; n < 21; n += 1) client.say({ type: 'hello' });
    expect(client.connection.closedWith?.code).toBe(4508);
  });

  it('end what else the message held', async () => {
    const { hello, settle, store } = begin({ limitBadFramesPerMinute: 1 });
    const client = await hello('ann');
    client.text(JSON.stringify([1, 2, { type: 'join', id: 'j', room: 'r' }]));
    await settle();
    expect(client.connection.closedWith?.code).toBe(4508);
    expect(store.calls.some((call) => call === 'subscribe r')).toBe(false);
  });

  it('include hellos that are not right, said before any session', () => {
    const { connect } = begin();
    const client = connect();
    for (let n = 0; n < 20; n += 1) client.say({ type: 'hello', user: '{' });
    expect(client.connection.closedWith).toBeUndefined();
    client.say({ type: 'hello', user: '{' });
    expect(client.connection.closedWith?.code).toBe(4508);
  });

  it('may be as many as they like where the limit is 0', async () => {
    const { hello } = begin({ limitBadFramesPerMinute: 0 });
    const client = await hello('ann');
    for (let n = 0; n < 100; n += 1) client.text('no json');
    expect(client.connection.closedWith).toBeUndefined();
  });
});

describe('rates', () => {
  it('of publishes and signals share one budget per connection; the refusal says when', async () => {
    const { hello, advance } = begin({ limitPublishPerSecond: 10, limitPublishBurst: 2 });
    const client = await hello('ann');
    await client.join('r');
    expect(await client.publish('r', 1)).toMatchObject({ type: 'ok' });
    expect(await client.request({ type: 'signal', room: 'r', data: 1 })).toMatchObject({ type: 'ok' });
    expect(await client.publish('r', 2)).toMatchObject({
      type: 'error',
      code: 'rate_limited',
      retryable: true,
      retryAfterMs: 100,
      room: 'r',
    });
    await advance(100);
    expect(await client.publish('r', 2)).toMatchObject({ type: 'ok', seq: 2 });
  });

  it('of joins have a budget of their own', async () => {
    const { hello } = begin({
      limitJoinsPerSecond: 5,
      limitJoinsBurst: 2,
      limitPublishPerSecond: 1,
      limitPublishBurst: 1,
    });
    const client = await hello('ann');
    await client.join('a');
    await client.join('b');
    expect(await client.join('c')).toMatchObject({ code: 'rate_limited', retryAfterMs: 200 });
    expect(await client.publish('a', 1)).toMatchObject({ type: 'ok' });
  });

  it('of a user count over its connections, of a room over its members', async () => {
    const { hello } = begin({ limitUserPerSecond: 2, limitRoomPerSecond: 3 });
    const [ann, annToo, bob] = [await hello('ann'), await hello('ann'), await hello('bob')];
    for (const client of [ann, annToo, bob]) await client.join('r');
    expect(await ann.publish('r', 1)).toMatchObject({ type: 'ok' });
    expect(await annToo.publish('r', 1)).toMatchObject({ type: 'ok' });
    expect(await annToo.publish('r', 1)).toMatchObject({ code: 'rate_limited', retryAfterMs: 500 });
    expect(await bob.publish('r', 1)).toMatchObject({ type: 'ok' });
    expect(await bob.publish('r', 1)).toMatchObject({ code: 'rate_limited', retryAfterMs: 334 });
  });

  it('of a room are not used up by who is not in it: refused publishes cost their sender alone', async () => {
    const { hello } = begin({ limitRoomPerSecond: 3, limitUserPerSecond: 3 });
    const [member, stranger, strangerToo] = [await hello('ann'), await hello('eve'), await hello('eve')];
    await member.join('r');
    await strangerToo.join('other');
    for (let n = 0; n < 5; n += 1) {
      expect(await stranger.publish('r', n)).toMatchObject({ code: 'not_joined' });
      expect(await stranger.request({ type: 'signal', room: 'r', data: n })).toMatchObject({
        code: 'not_joined',
      });
    }
    for (let n = 0; n < 3; n += 1) expect(await member.publish('r', n)).toMatchObject({ type: 'ok' });
    expect(await strangerToo.publish('other', 1)).toMatchObject({ type: 'ok' });
  });

  it('of a connection count what is refused, too', async () => {
    const { hello } = begin({ limitPublishPerSecond: 2, limitPublishBurst: 2 });
    const client = await hello('ann');
    for (let n = 0; n < 2; n += 1) {
      expect(await client.publish('elsewhere', n)).toMatchObject({ code: 'not_joined' });
    }
    expect(await client.publish('elsewhere', 2)).toMatchObject({ code: 'rate_limited' });
  });

  it('of a room are for publishes: cursors in a busy room do not keep its members from writing', async () => {
    const { hello } = begin({ limitRoomPerSecond: 2 });
    const client = await hello('ann');
    await client.join('r');
    for (let n = 0; n < 5; n += 1) {
      expect(await client.request({ type: 'signal', room: 'r', data: n })).toMatchObject({ type: 'ok' });
    }
    for (let n = 0; n < 2; n += 1) expect(await client.publish('r', n)).toMatchObject({ type: 'ok' });
    expect(await client.publish('r', 2)).toMatchObject({ code: 'rate_limited' });
  });

  it('of a connection count questions who is online, each of which is one to the store, and none of a room it is in', async () => {
    const { hello } = begin({ limitPublishPerSecond: 2, limitPublishBurst: 2 });
    const client = await hello('ann');
    await client.join('r');
    const ask = (room: string) => client.request({ type: 'presence', room });
    for (let n = 0; n < 3; n += 1) expect(await ask('r')).toMatchObject({ count: 1 });
    expect(await ask('@ann')).toMatchObject({ count: 1 });
    expect(await ask('@bob')).toMatchObject({ count: 0 });
    expect(await ask('@cid')).toMatchObject({ code: 'rate_limited', retryable: true });
  });

  it('over in each of 10 seconds in a row close with 4008', async () => {
    const { hello, advance } = begin({ limitPublishPerSecond: 1, limitPublishBurst: 1 });
    const client = await hello('ann');
    await client.join('r');
    for (let second = 1; second <= 10; second += 1) {
      expect(client.connection.closedWith).toBeUndefined();
      for (let n = 0; n < 5; n += 1) await client.publish('r', n).catch(() => undefined);
      if (second < 10) await advance(1000);
    }
    expect(client.connection.closedWith?.code).toBe(4008);
    expect(client.connection.frames.at(-1)).toMatchObject({
      type: 'closing',
      code: 4008,
      reconnect: 'after',
    });
  });

  it('include those of frames under way', async () => {
    const { hello, store, advance } = begin({ limitInFlight: 1, limitRateSeconds: 3 });
    const client = await hello('ann');
    const held = gate();
    store.before('subscribe', () => held.opened);
    client.say({ type: 'join', id: 'j', room: 'r' });
    for (let second = 1; second <= 3; second += 1) {
      expect(client.connection.closedWith).toBeUndefined();
      for (let n = 0; n < 3; n += 1) client.say({ type: 'leave', id: n, room: 'r' });
      if (second < 3) await advance(1000);
    }
    expect(client.connection.closedWith?.code).toBe(4008);
    held.open();
  });

  it('forgive where there was one second without a refusal', async () => {
    const { hello, advance } = begin({ limitPublishPerSecond: 1, limitPublishBurst: 1 });
    const client = await hello('ann');
    await client.join('r');
    for (let round = 0; round < 3; round += 1) {
      for (let second = 1; second <= 9; second += 1) {
        for (let n = 0; n < 3; n += 1) await client.publish('r', n);
        await advance(1000);
      }
      await advance(1000);
    }
    expect(client.connection.closedWith).toBeUndefined();
  });

  it('never close where the limit of seconds is 0, and do not count where the rates are 0', async () => {
    const off = { limitRateSeconds: 0, limitPublishPerSecond: 1, limitPublishBurst: 1 };
    const { hello, advance } = begin(off);
    const client = await hello('ann');
    await client.join('r');
    for (let second = 0; second < 15; second += 1) {
      for (let n = 0; n < 3; n += 1) await client.publish('r', n);
      await advance(1000);
    }
    expect(client.connection.closedWith).toBeUndefined();

    const free = begin({
      limitPublishPerSecond: 0,
      limitUserPerSecond: 0,
      limitRoomPerSecond: 0,
      limitJoinsPerSecond: 0,
    });
    const fast = await free.hello('ann');
    for (let n = 0; n < 500; n += 1) fast.say({ type: 'join', id: n, room: 'r' });
    for (let n = 0; n < 3000; n += 1) fast.say({ type: 'publish', room: 'r', data: n });
    await free.settle();
    expect(fast.connection.of('error').filter((error) => error['code'] !== 'rate_limited')).toEqual([]);
  });
});
