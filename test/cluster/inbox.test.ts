/** Inboxes on real nodes and a real Redis: what was sent outlives connections, nodes and, with its data, Redis. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSubscriber, startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

let redis: RedisServer;
let a: NodeProcess;
let b: NodeProcess;

beforeAll(async () => {
  redis = await startRedis({ aof: true });
  [a, b] = await Promise.all([NodeProcess.start(settings('a')), NodeProcess.start(settings('b'))]);
  await Promise.all([a.ready(), b.ready()]);
});
afterAll(async () => {
  await Promise.all([a, b].map((node) => node.kill('SIGKILL')));
  await redis.stop();
});

function settings(name: string, on: RedisServer = redis): Record<string, string> {
  const quick = { LEASE_MS: '4000', HEARTBEAT_MS: '500', PRESENCE_HOLD_MS: '1000' };
  return { REDIS_URL: on.url, NODE_NAME: name, ...quick };
}

async function opened(node: NodeProcess, user: string, inbox: unknown = true): Promise<TestClient> {
  const client = await TestClient.open(node.url);
  client.send({ type: 'hello', user, inbox });
  await client.find((frame) => frame.type === 'joined');
  return client;
}

const sent = (data: unknown) => (frame: Frame) => frame.type === 'message' && frame['data'] === data;
const send = (from: TestClient, to: string, data: unknown, key?: string) =>
  from.request({ type: 'send', to, data, key });
const status = (told: string) => (frame: Frame) => frame.type === 'status' && frame['redis'] === told;
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

test('who was offline gets everything on another node, in order, more than one reply may carry included', async () => {
  const ann = await TestClient.hello(a.url, 'ann');
  const all = numbers(1, 700);
  await Promise.all(all.map((n) => send(ann, 'offline', n)));
  const device = await opened(b, 'offline');
  await device.find((frame) => frame.type === 'message' && frame['seq'] === 700);
  expect(device.data('@offline')).toEqual(all);
  expect(device.violations).toEqual([]);
});

test('devices on two nodes share the messages and the mark; each resumes from its own position', async () => {
  const ann = await TestClient.hello(a.url, 'ann');
  const desk = await opened(a, 'shared');
  const phone = await opened(b, 'shared');
  for (const n of numbers(1, 4)) await send(ann, 'shared', n);
  await Promise.all([desk, phone].map((device) => device.find(sent(4))));
  const since = phone.position('@shared');
  await phone.drop();
  expect(await desk.request({ type: 'read', seq: 3 })).toMatchObject({ type: 'ok' });
  await send(ann, 'shared', 5);

  const third = await opened(b, 'shared');
  expect(third.data('@shared')).toEqual([4, 5]);
  const again = await opened(a, 'shared', since);
  expect(again.of('joined')[0]).toMatchObject({ recovered: true });
  expect(again.data('@shared')).toEqual([5]);
});

test('a send repeated with its key, through another node, is delivered once', async () => {
  const one = await TestClient.hello(a.url, 'ann');
  const two = await TestClient.hello(b.url, 'ann');
  const device = await opened(b, 'once');
  const first = await send(one, 'once', 'x', 'k');
  expect(await send(two, 'once', 'x', 'k')).toMatchObject({
    epoch: first['epoch'],
    seq: first['seq'],
    duplicate: true,
  });
  await send(two, 'once', 'end');
  await device.find(sent('end'));
  expect(device.data('@once')).toEqual(['x', 'end']);
});

test('a node killed and started again: messages, mark and positions are where they were', async () => {
  const doomed = await nodeForTest(settings('doomed'));
  await doomed.ready();
  const ann = await TestClient.hello(a.url, 'ann');
  const device = await opened(doomed, 'survivor');
  for (const n of numbers(1, 3)) await send(ann, 'survivor', n);
  await device.find(sent(3));
  await device.request({ type: 'read', seq: 2 });
  const since = device.position('@survivor');
  await doomed.kill('SIGKILL');
  await device.closed;
  await send(ann, 'survivor', 4);

  const again = await nodeForTest(settings('doomed'));
  await again.ready();
  expect((await opened(again, 'survivor', since)).data('@survivor')).toEqual([4]);
  expect((await opened(again, 'survivor')).data('@survivor')).toEqual([3, 4]);
});

test('online state beside an inbox does not shorten its life, also when a node with the user died', async () => {
  const doomed = await nodeForTest(settings('short'));
  await doomed.ready();
  const ann = await TestClient.hello(a.url, 'ann');
  const online = await opened(doomed, 'lasting');
  await send(ann, 'lasting', 1);
  await online.find(sent(1));
  const count = async () => (await ann.request({ type: 'presence', room: '@lasting' }))['count'];
  expect(await count()).toBe(1);
  await doomed.kill('SIGKILL');
  for (let tries = 0; (await count()) !== 0; tries += 1) {
    if (tries > 200) throw new Error('the dead node was never reaped');
    await new Promise((resolve) => void setTimeout(resolve, 100));
  }
  const client = await redis.client();
  const [meta] = await client.keys('*meta:@lasting');
  const [log] = await client.keys('*log:@lasting');
  expect(await client.ttl(String(log))).toBeGreaterThan(6 * 86_400);
  expect(await client.ttl(String(meta))).toBeGreaterThan(13 * 86_400);
});

test('Redis restarted with its data: nothing is lost, the mark counts across it, who is connected sees `epoch`', async () => {
  const own = await startRedis({ aof: true });
  try {
    const node = await nodeForTest(settings('own', own));
    await node.ready();
    const ann = await TestClient.hello(node.url, 'ann');
    const device = await opened(node, 'bob');
    for (const n of numbers(1, 3)) await send(ann, 'bob', n);
    await device.find(sent(3));
    await device.request({ type: 'read', seq: 1 });
    const since = device.position('@bob');
    await new Promise((resolve) => void setTimeout(resolve, 1100));
    await own.kill();
    await device.find(status('down'));
    expect(await send(ann, 'bob', 'lost?')).toMatchObject({ code: 'unavailable' });
    expect(await device.request({ type: 'read', seq: 3 })).toMatchObject({ code: 'unavailable' });
    const late = await TestClient.hello(node.url, 'bob');
    const waiting = await TestClient.open(node.url);
    waiting.send({ type: 'hello', user: 'bob', inbox: true });
    await waiting.find(status('down'));
    expect(waiting.of('joined')).toEqual([]);
    await own.restart();
    await Promise.all([device, late, waiting].map((client) => client.find(status('up'), 15_000)));
    // Asked for once, in hello: joined by itself, and before it was told that all is well.
    expect(waiting.frames.map((frame) => frame.type)).toEqual(['welcome', 'status', 'joined', 'status']);
    expect(waiting.data('@bob')).toEqual([2, 3]);
    await send(ann, 'bob', 4);
    await Promise.all([device, waiting].map((client) => client.find(sent(4))));
    expect(device.of('reset')).toEqual([]);
    expect(device.of('epoch', '@bob')).toMatchObject([{ seq: 3 }]);
    expect((await device.request({ type: 'read', seq: 4 })).type).toBe('ok');
    const across = await opened(node, 'bob', since);
    expect(across.of('joined')[0]).toMatchObject({ recovered: true, seq: 4 });
    expect((await opened(node, 'bob')).data('@bob')).toEqual([]);
    expect([...device.violations, ...waiting.violations]).toEqual([]);
  } finally {
    await own.stop();
  }
});

test('Redis restarted empty: `reset lost` to who is connected, `recovered: false` to who comes back, and new messages arrive', async () => {
  const own = await startRedis();
  try {
    const node = await nodeForTest(settings('own', own));
    await node.ready();
    const ann = await TestClient.hello(node.url, 'ann');
    const device = await opened(node, 'bob');
    for (const n of numbers(1, 3)) await send(ann, 'bob', n);
    await device.find(sent(3));
    await device.request({ type: 'read', seq: 3 });
    const since = device.position('@bob');
    await own.kill();
    await device.find(status('down'));
    await own.restart({ empty: true });
    await device.find((frame) => frame.type === 'reset' && frame['room'] === '@bob', 15_000);
    await device.find(status('up'), 15_000);
    expect((await send(ann, 'bob', 'new')).type).toBe('ok');
    await device.find(sent('new'));
    const again = await opened(node, 'bob', since);
    await again.find(sent('new'));
    expect(again.of('joined')[0]).toMatchObject({ recovered: false, reason: 'lost', seq: 0, messages: [] });
    expect((await opened(node, 'bob')).data('@bob')).toEqual(['new']);
    expect([...device.violations, ...again.violations]).toEqual([]);
  } finally {
    await own.stop();
  }
});

test('a subscriber link that hangs and breaks is healed: what was sent meanwhile arrives once', async () => {
  const proxy = await startFaultProxy(redis.port);
  try {
    const node = await nodeForTest({
      REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
      NODE_NAME: 'behind',
    });
    await node.ready();
    const ann = await TestClient.hello(a.url, 'ann');
    const device = await opened(node, 'cut');
    await send(ann, 'cut', 1);
    await device.find(sent(1));
    proxy.setMode('blackhole', isSubscriber);
    for (const n of numbers(2, 4)) await send(ann, 'cut', n);
    proxy.cutOpen(isSubscriber);
    proxy.setMode('pass');
    await send(ann, 'cut', 5);
    await device.find(sent(5), 15_000);
    expect(device.data('@cut')).toEqual([1, 2, 3, 4, 5]);
    expect(device.violations).toEqual([]);
  } finally {
    await proxy.close();
  }
});
