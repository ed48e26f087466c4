/** A session over a real socket: how it begins, what every frame is answered with, how it ends. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

let local: LocalServer;
beforeAll(async () => {
  local = await LocalServer.start();
});
afterAll(() => local.close());

let rooms = 0;
const newRoom = () => `session-${(rooms += 1)}`;

async function hello(user?: string, server = local): Promise<TestClient> {
  const client = await TestClient.hello(server.url, user);
  onTestFinished(() => client.socket.terminate());
  return client;
}

describe('the beginning', () => {
  test('is a welcome with all a client has to know', async () => {
    const client = await TestClient.open(local.url);
    onTestFinished(() => client.socket.terminate());
    const welcome = await client.request({
      type: 'hello',
      user: 'anna',
      client: { name: 'test', version: '1' },
    });
    expect(welcome).toEqual({
      type: 'welcome',
      id: 't1',
      connection: expect.stringMatching(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      ) as string,
      user: 'anna',
      node: 'local',
      server: expect.stringMatching(/^roomcast\/\d+\.\d+\.\d+$/) as string,
      protocol: 1,
      pingIntervalMs: 25_000,
      limits: {
        payloadBytes: 32_768,
        roomsPerConnection: 200,
        publishPerSecond: 1000,
        batch: 64,
        historyMessages: 100,
      },
      reconnect: { minMs: 0, maxMs: 2000 },
    });
  });

  test('tells the reconnect range that the operator set', async () => {
    const calm = await LocalServer.forTest({ RECONNECT_MIN_MS: '1500', RECONNECT_MAX_MS: '9000' });
    const client = await hello(undefined, calm);
    expect(client.of('welcome')[0]?.['reconnect']).toEqual({ minMs: 1500, maxMs: 9000 });
  });

  test('without a user is a name made of the connection', async () => {
    const client = await hello();
    const [welcome] = client.of('welcome');
    expect(welcome?.['user']).toBe(`anon-${String(welcome?.['connection'])}`);
  });

  test('without a hello is a welcome without an id, before the reply', async () => {
    const client = await TestClient.open(local.url);
    onTestFinished(() => client.socket.terminate());
    await client.request({ type: 'ping' });
    expect(client.frames.map((frame) => frame.type)).toEqual(['welcome', 'pong']);
    expect(client.frames[0]).not.toHaveProperty('id');
  });

  test('twice is a bad request, and the first one stands', async () => {
    const client = await hello('anna');
    expect(await client.request({ type: 'hello', user: 'berta' })).toMatchObject({
      type: 'error',
      code: 'bad_request',
    });
    expect(await client.join(newRoom())).toMatchObject({ members: [{ user: 'anna' }] });
  });

  test('that does not come ends with 4001, announced', async () => {
    const hasty = await LocalServer.forTest({ HELLO_TIMEOUT_MS: '150' });
    const peer = await RawPeer.open(hasty.port);
    expect(await peer.closed()).toBe(4001);
    expect(peer.texts).toEqual([
      {
        type: 'closing',
        code: 4001,
        reason: expect.stringContaining('150 ms') as string,
        reconnect: 'after',
      },
    ]);
    await peer.gone;
  });

  test('that came while this process stood still is heard', async () => {
    // After a node was frozen, its timers are called before its sockets are read.
    const frozen = await LocalServer.forTest({ HELLO_TIMEOUT_MS: '200' });
    const peer = await RawPeer.open(frozen.port);
    peer.say({ type: 'hello', user: 'ann' });
    const until = performance.now() + 400;
    while (performance.now() < until);
    expect(await peer.text('welcome')).toMatchObject({ user: 'ann' });
  });

  test('that came in time is not ended by it', async () => {
    const hasty = await LocalServer.forTest({ HELLO_TIMEOUT_MS: '150' });
    const client = await hello(undefined, hasty);
    const late = await RawPeer.open(hasty.port);
    expect(await late.closed()).toBe(4001);
    expect(await client.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
  });
});

describe('ping', () => {
  test.each([
    ['a string', 'p-1'],
    ['a number', 7],
    ['zero', 0],
  ])('with %s as its id is answered with it', async (_what, id) => {
    const peer = await RawPeer.open(local.port);
    peer.say({ type: 'ping', id });
    expect(await peer.text('pong')).toEqual({ type: 'pong', id });
  });

  test('without an id is answered without one', async () => {
    const peer = await RawPeer.open(local.port);
    peer.say({ type: 'ping' });
    expect(await peer.text('pong')).toEqual({ type: 'pong' });
  });
});

describe('a batch', () => {
  const batch = (length: number) => JSON.stringify(Array.from({ length }, (_, id) => ({ type: 'ping', id })));

  test('of 64 frames is answered in order', async () => {
    const client = await hello();
    client.socket.send(batch(64));
    await client.find((frame) => frame['id'] === 63);
    expect(client.of('pong').map((frame) => frame['id'])).toEqual(Array.from({ length: 64 }, (_, id) => id));
  });

  test('of 65 is refused as a whole', async () => {
    const client = await hello();
    client.socket.send(batch(65));
    expect(await client.next('error')).toMatchObject({ code: 'limit_exceeded', retryable: false });
    expect(await client.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
    expect(client.of('pong')).toHaveLength(1);
  });

  test('is a join, a publish and a leave at once', async () => {
    const client = await hello();
    const room = newRoom();
    client.socket.send(
      JSON.stringify([
        { type: 'join', id: 1, room },
        { type: 'publish', id: 2, room, data: 'x' },
        { type: 'leave', id: 3, room },
        { type: 'publish', id: 4, room, data: 'y' },
      ]),
    );
    expect(await client.find((frame) => frame['id'] === 4)).toMatchObject({
      type: 'error',
      code: 'not_joined',
      room,
    });
    expect(await client.find((frame) => frame['id'] === 2)).toMatchObject({ type: 'ok', seq: 1 });
    expect(await client.find((frame) => frame['id'] === 3)).toMatchObject({ type: 'ok', room });
  });
});

test('fields nobody knows are ignored', async () => {
  const client = await hello();
  const room = newRoom();
  expect(await client.request({ type: 'join', room, colour: 'red', since_: 1 })).toMatchObject({
    type: 'joined',
  });
  expect(
    await client.request({ type: 'publish', room, data: 1, from: { user: 'eve' }, seq: 99 }),
  ).toMatchObject({ type: 'ok', seq: 1 });
  expect(await client.next('message')).toMatchObject({
    seq: 1,
    from: { user: client.of('welcome')[0]?.['user'] },
  });
});

describe('an error, with the connection usable after it', () => {
  const errors: [string, object | string, object][] = [
    ['bad_request', '{"type":"join"', { message: expect.stringContaining('JSON') as string }],
    ['bad_request', '[]', { message: expect.stringContaining('batch') as string }],
    ['bad_request', '42', { message: expect.stringContaining('object') as string }],
    ['bad_request', { type: 'join', id: 'a', room: 'a b' }, { id: 'a' }],
    ['bad_request', { type: 'join', room: 'no-id' }, {}],
    ['bad_request', { type: 'publish', id: 1, room: 'r' }, { id: 1 }],
    ['bad_request', { type: 'join', id: 1, room: '@berta' }, { id: 1 }],
    ['bad_request', '{"type":"ping","id":3,"__proto__":{}}', { id: 3 }],
    [
      'bad_request',
      `{"type":"publish","id":4,"room":"r","data":${'['.repeat(40)}${']'.repeat(40)}}`,
      { id: 4 },
    ],
    ['bad_request', { type: 'join', id: 5, room: 'r', history: 101 }, { id: 5 }],
    ['unsupported', { type: 'dance', id: 6 }, { id: 6 }],
    ['bad_request', { type: 'send', id: 7, to: '{berta}', data: 1 }, { id: 7 }],
    ['not_joined', { type: 'read', id: 8, seq: 1 }, { id: 8 }],
    ['unsupported', { type: 'refresh', id: 9, token: 'x' }, { id: 9 }],
    ['not_joined', { type: 'publish', id: 10, room: 'elsewhere', data: 1 }, { id: 10, room: 'elsewhere' }],
    ['not_joined', { type: 'publish', room: 'elsewhere', data: 1 }, { room: 'elsewhere' }],
    ['not_joined', { type: 'signal', id: 11, room: 'elsewhere', data: 1 }, { id: 11 }],
    ['not_joined', { type: 'state', id: 12, room: 'elsewhere', state: {} }, { id: 12 }],
    ['not_joined', { type: 'leave', id: 13, room: 'elsewhere' }, { id: 13 }],
    ['not_joined', { type: 'history', id: 14, room: 'elsewhere' }, { id: 14 }],
    ['not_joined', { type: 'presence', id: 15, room: 'elsewhere' }, { id: 15 }],
    [
      'too_large',
      { type: 'publish', id: 16, room: 'errors', data: 'x'.repeat(32_767) },
      { id: 16, room: 'errors' },
    ],
    ['too_large', { type: 'signal', id: 17, room: 'errors', data: 'x'.repeat(32_767) }, { id: 17 }],
    ['limit_exceeded', { type: 'state', id: 18, room: 'errors', state: { x: 'x'.repeat(4096) } }, { id: 18 }],
    ['limit_exceeded', { type: 'join', id: 19, room: 'more', state: { x: 'x'.repeat(4096) } }, { id: 19 }],
  ];

  test.each(errors)('%s to %o', async (code, sent, also) => {
    const client = await hello();
    await client.join('errors');
    client.socket.send(typeof sent === 'string' ? sent : JSON.stringify(sent));
    const error = await client.next('error');
    expect(error).toMatchObject({ code, retryable: false, ...also });
    expect(error['message']).not.toBe('');
    if (!('id' in also)) expect(error).not.toHaveProperty('id');
    expect(await client.publish('errors', 'still here')).toMatchObject({ type: 'ok' });
    expect(client.of('error')).toHaveLength(1);
  });

  test('limit_exceeded for one room too many', async () => {
    const small = await LocalServer.forTest({ LIMIT_ROOMS_PER_CONNECTION: '2' });
    const client = await hello(undefined, small);
    const replies = await Promise.all(['a', 'b', 'c'].map((room) => client.join(room)));
    expect(replies.map((reply) => reply['code'])).toEqual([undefined, undefined, 'limit_exceeded']);
    expect(await client.join('a')).toMatchObject({ type: 'joined' });
    expect(await client.request({ type: 'leave', room: 'b' })).toMatchObject({ type: 'ok' });
    expect(await client.join('c')).toMatchObject({ type: 'joined' });
  });

  test('rate_limited says when to come back, and then it works', async () => {
    const slow = await LocalServer.forTest({ LIMIT_PUBLISH_PER_SECOND: '5', LIMIT_PUBLISH_BURST: '5' });
    const client = await hello(undefined, slow);
    await client.join('r');
    let refused: Frame | undefined;
    for (let tries = 0; tries < 50 && refused?.['code'] !== 'rate_limited'; tries += 1)
      refused = await client.publish('r', tries);
    expect(refused).toMatchObject({ code: 'rate_limited', retryable: true, room: 'r' });
    const retryAfterMs = Number(refused?.['retryAfterMs']);
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(200);
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs + 5));
    expect(await client.publish('r', 'again')).toMatchObject({ type: 'ok' });
  });
});

describe('too much is closed', () => {
  test('after the 21st bad frame of a minute: 4508, announced', async () => {
    const peer = await RawPeer.open(local.port);
    peer.say({ type: 'hello' });
    for (let bad = 0; bad < 20; bad += 1) peer.say({ type: 'join' });
    peer.say({ type: 'ping' });
    await peer.text('pong');
    peer.say({ type: 'join' }, { type: 'ping', id: 'late' });
    expect(await peer.closed()).toBe(4508);
    expect(peer.texts.filter((text) => text['type'] === 'error')).toHaveLength(21);
    expect(peer.texts.at(-1)).toMatchObject({ type: 'closing', code: 4508, reconnect: 'never' });
  });

  test('but not for what is only newer than this server', async () => {
    const client = await hello();
    for (let at = 0; at < 30; at += 1) client.send({ type: 'tomorrow' });
    expect(await client.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
    expect(client.of('error')).toHaveLength(30);
  });

  test('over a rate in each of so many seconds: 4008, announced', async () => {
    const strict = await LocalServer.forTest({
      LIMIT_PUBLISH_PER_SECOND: '1',
      LIMIT_PUBLISH_BURST: '1',
      LIMIT_RATE_SECONDS: '2',
    });
    const peer = await RawPeer.open(strict.port);
    peer.say({ type: 'hello' }, { type: 'join', id: 1, room: 'r' });
    await peer.text('joined');
    const flood = setInterval(() => peer.say({ type: 'publish', room: 'r', data: 1 }), 20);
    onTestFinished(() => clearInterval(flood));
    expect(await peer.closed()).toBe(4008);
    expect(peer.texts.at(-1)).toMatchObject({ type: 'closing', code: 4008, reconnect: 'after' });
  });

  test('one connection too many of a user: 4509, announced, and only that one', async () => {
    const strict = await LocalServer.forTest({ LIMIT_USER_CONNECTIONS: '2' });
    const [first, second] = [await hello('anna', strict), await hello('anna', strict)];
    const third = await RawPeer.open(strict.port);
    third.say({ type: 'hello', user: 'anna' }, { type: 'join', id: 1, room: 'r' });
    expect(await third.closed()).toBe(4509);
    expect(third.texts.map((text) => text['type'])).toEqual(['closing']);
    for (const client of [first, second])
      expect(await client.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
    await first.close();
    await strict.connections(1);
    await hello('anna', strict);
  });
});

describe('the worked sessions of the protocol, on one node', () => {
  test('1: hello, join, publish, both members receive it', async () => {
    const [anna, berta] = [await hello('anna'), await hello('berta')];
    const room = newRoom();
    expect(await anna.join(room)).toMatchObject({ seq: 0, messages: [], count: 1 });
    expect(await berta.join(room)).toMatchObject({ seq: 0, count: 2 });
    const ok = await anna.publish(room, { hello: 'world' });
    const told = await Promise.all([anna.next('message'), berta.next('message')]);
    for (const message of told) {
      expect(message).toMatchObject({ room, seq: 1, from: { user: 'anna' }, data: { hello: 'world' } });
    }
    expect(ok).toMatchObject({ room, seq: 1, epoch: anna.position(room).epoch });
  });

  test('2: drop, come back with `since`, exactly the missed messages', async () => {
    const [anna, berta] = [await hello('anna'), await hello('berta')];
    const room = newRoom();
    await Promise.all([anna.join(room), berta.join(room)]);
    for (const data of ['a', 'b']) await anna.publish(room, data);
    await berta.find((frame) => frame['seq'] === 2);
    const since = berta.position(room);
    await berta.drop();
    for (const data of ['c', 'd']) await anna.publish(room, data);
    const again = await hello('berta');
    expect(await again.join(room, { since })).toMatchObject({
      recovered: true,
      seq: 4,
      messages: [
        { seq: 3, data: 'c' },
        { seq: 4, data: 'd' },
      ],
    });
    await anna.publish(room, 'e');
    await again.find((frame) => frame['seq'] === 5);
    expect(again.violations).toEqual([]);
  });

  test('3: `since` older than the history is not recovered', async () => {
    const short = await LocalServer.forTest({ HISTORY_MESSAGES: '3', RING_MESSAGES: '1' });
    const client = await hello('anna', short);
    await client.join('r');
    const since = client.position('r');
    for (let seq = 1; seq <= 5; seq += 1) await client.publish('r', seq);
    const again = await hello('anna', short);
    expect(await again.join('r', { since })).toMatchObject({
      recovered: false,
      reason: 'trimmed',
      seq: 5,
      messages: [],
    });
  });

  test('4: twice with one key: the same seq, `duplicate`, delivered once', async () => {
    const [anna, berta] = [await hello('anna'), await hello('berta')];
    const room = newRoom();
    await Promise.all([anna.join(room), berta.join(room)]);
    const first = await anna.publish(room, 'x', 'key-1');
    const second = await anna.publish(room, 'x', 'key-1');
    expect(first).not.toHaveProperty('duplicate');
    expect(second).toMatchObject({ type: 'ok', seq: 1, duplicate: true, epoch: first['epoch'] });
    await anna.publish(room, 'y');
    await berta.find((frame) => frame['data'] === 'y');
    expect(berta.data(room)).toEqual(['x', 'y']);
  });

  test('5: two tabs of a user: one `joined`, one `left`', async () => {
    const watcher = await hello('watcher');
    const room = newRoom();
    await watcher.join(room);
    const [one, two] = [await hello('anna'), await hello('anna')];
    expect(await one.join(room)).toMatchObject({ count: 2 });
    expect(await two.join(room)).toMatchObject({ count: 2 });
    await one.close();
    await two.close();
    await watcher.find((frame) => frame.type === 'presence' && 'left' in frame);
    const changes = watcher
      .of('presence', room)
      .flatMap((frame) => [
        ...((frame['joined'] ?? []) as { user: string }[]).map(({ user }) => `+${user}`),
        ...((frame['left'] ?? []) as { user: string; reason: string }[]).map(
          ({ user, reason }) => `-${user} ${reason}`,
        ),
      ]);
    expect(changes.filter((change) => change !== '+watcher')).toEqual(['+anna', '-anna closed']);
  });

  test('12: hello, join and publish without waiting, in one segment', async () => {
    const peer = await RawPeer.open(local.port);
    const room = newRoom();
    peer.say(
      { type: 'hello', id: 'h', user: 'anna' },
      { type: 'join', id: 'j', room },
      { type: 'publish', id: 'p1', room, data: 1 },
      { type: 'publish', room, data: 2 },
      { type: 'publish', id: 'p3', room, data: 3 },
    );
    await peer.until(
      ({ texts }) => texts.filter((text) => text['type'] === 'message').length === 3,
      'three messages',
    );
    expect(peer.texts[0]).toMatchObject({ type: 'welcome', id: 'h' });
    expect(peer.texts[1]).toMatchObject({ type: 'joined', id: 'j', seq: 0, messages: [] });
    const messages = peer.texts.filter((text) => text['type'] === 'message');
    expect(messages.map((text) => [text['seq'], text['data']])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    const oks = peer.texts.filter((text) => text['type'] === 'ok');
    expect(oks.map((text) => [text['id'], text['seq']])).toEqual([
      ['p1', 1],
      ['p3', 3],
    ]);
  });
});

describe('WebSocket pings', () => {
  const PING_INTERVAL_MS = 200;
  const start = () => LocalServer.forTest({ PING_INTERVAL_MS: String(PING_INTERVAL_MS) });
  const pings = (peer: RawPeer) => peer.received.filter(({ opcode }) => opcode === 9).length;

  test('come once per interval, and who answers stays', async () => {
    const beating = await start();
    const peer = await RawPeer.open(beating.port);
    peer.say({ type: 'hello' });
    const since = performance.now();
    await peer.until(() => pings(peer) === 8, 'eight pings');
    const perPingMs = (performance.now() - since) / 7.5;
    expect(perPingMs).toBeGreaterThan(PING_INTERVAL_MS * 0.9);
    expect(perPingMs).toBeLessThan(PING_INTERVAL_MS * 1.8);
    expect(peer.closeCode).toBeUndefined();
    await beating.connections(1);
  });

  test('that are not answered end a silent peer after two of them', async () => {
    const beating = await start();
    const peer = await RawPeer.open(beating.port, { answersPings: false });
    const since = performance.now();
    peer.say({ type: 'hello' });
    await peer.gone;
    expect(performance.now() - since).toBeGreaterThanOrEqual(2 * PING_INTERVAL_MS - 20);
    expect(pings(peer)).toBe(2);
    // No close frame: there is nobody to read it.
    expect(peer.closeCode).toBeUndefined();
    await beating.connections(0);
  });

  test('need no pong from who says anything else', async () => {
    const beating = await start();
    const peer = await RawPeer.open(beating.port, { answersPings: false });
    const talk = setInterval(() => peer.say({ type: 'ping' }), 50);
    onTestFinished(() => clearInterval(talk));
    await peer.until(() => pings(peer) === 6, 'six pings');
    expect(peer.socket.closed).toBe(false);
  });

  test('end nobody after this process was frozen: what peers said meanwhile is only unread', async () => {
    const beating = await start();
    const peers = await Promise.all(Array.from({ length: 50 }, () => RawPeer.open(beating.port)));
    for (const peer of peers) peer.say({ type: 'hello' });
    await Promise.all(peers.map((peer) => peer.until(() => pings(peer) === 1, 'a ping')));
    const until = performance.now() + 4 * PING_INTERVAL_MS;
    while (performance.now() < until);
    await Promise.all(peers.map((peer) => peer.until(() => pings(peer) === 4, 'pings after the freeze')));
    await beating.connections(50);
  });
});

test('a peer that does not answer a close is cut off after CLOSE_TIMEOUT_MS', async () => {
  const peer = await RawPeer.open(local.port, { answersClose: false });
  peer.say({ type: 'hello' });
  for (let bad = 0; bad < 21; bad += 1) peer.say({ type: 'join' });
  expect(await peer.closed()).toBe(4508);
  const since = performance.now();
  await once(peer.socket, 'close');
  expect(performance.now() - since).toBeGreaterThan(200);
  await local.connections(0);
});
