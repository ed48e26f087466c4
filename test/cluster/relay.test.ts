/** Several real nodes on one real Redis: what is said on one is heard on all, in one order, and only where it is wanted. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FaultProxy, isSubscriber, startFaultProxy } from '../support/fault-proxy.ts';
import { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

let redis: RedisServer;
let proxy: FaultProxy;
let a: NodeProcess;
let b: NodeProcess;
/** Reaches Redis through the proxy, which counts its bytes. */
let idle: NodeProcess;

beforeAll(async () => {
  redis = await startRedis();
  proxy = await startFaultProxy(redis.port);
  [a, b, idle] = await Promise.all([
    NodeProcess.start({ REDIS_URL: redis.url, NODE_NAME: 'a' }),
    NodeProcess.start({ REDIS_URL: redis.url, NODE_NAME: 'b' }),
    NodeProcess.start({ REDIS_URL: `redis://127.0.0.1:${proxy.port}`, NODE_NAME: 'idle' }),
  ]);
  await Promise.all([a.ready(), b.ready(), idle.ready()]);
});

afterAll(async () => {
  await Promise.all([a, b, idle].map((node) => node.kill('SIGKILL')));
  await proxy.close();
  await redis.stop();
});

test('members on two nodes see the messages of many publishers in one order, each once', async () => {
  const clients = await Promise.all([a, a, b, b].map((node) => TestClient.hello(node.url)));
  await Promise.all(clients.map((client) => client.join('order')));
  const each = 100;
  const oks = await Promise.all(
    clients.flatMap((client, who) =>
      Array.from({ length: each }, (_, n) => client.publish('order', `${who}:${n}`)),
    ),
  );
  expect(new Set(oks.map((ok) => ok['seq'])).size).toBe(each * clients.length);
  const total = each * clients.length;
  await Promise.all(clients.map((c) => c.find((f) => f.type === 'message' && f['seq'] === total)));

  const [first, ...others] = clients.map((client) => client.data('order'));
  for (const other of others) expect(other).toEqual(first);
  clients.forEach((client, who) => {
    expect(client.violations).toEqual([]);
    const own = first?.filter((data) => String(data).startsWith(`${who}:`));
    expect(own).toEqual(Array.from({ length: each }, (_, n) => `${who}:${n}`));
  });
});

test('a signal reaches its user on another node, and never its sender', async () => {
  const alice = await TestClient.hello(a.url, 'alice');
  const bob = await TestClient.hello(b.url, 'bob');
  const carol = await TestClient.hello(b.url, 'carol');
  await Promise.all([alice, bob, carol].map((client) => client.join('signals')));
  await alice.request({ type: 'signal', room: 'signals', data: { typing: true } });
  expect((await bob.next('signal'))['data']).toEqual({ typing: true });
  await carol.next('signal');
  await alice.request({ type: 'signal', room: 'signals', data: 'only bob', to: { user: 'bob' } });
  const connection = carol.of('welcome')[0]?.['connection'];
  await alice.request({ type: 'signal', room: 'signals', data: 'only carol', to: { connection } });
  expect((await bob.next('signal'))['data']).toBe('only bob');
  expect((await carol.next('signal'))['data']).toBe('only carol');
  expect(alice.of('signal')).toEqual([]);
});

test('a user with a tab on each node is one member: one joined, one left', async () => {
  const watcher = await TestClient.hello(a.url, 'watcher');
  await watcher.join('tabs');
  const one = await TestClient.hello(a.url, 'dora');
  const two = await TestClient.hello(b.url, 'dora');
  await one.join('tabs');
  const second = await two.join('tabs');
  expect(second['count']).toBe(2);
  await one.request({ type: 'leave', room: 'tabs' });
  await two.request({ type: 'leave', room: 'tabs' });
  const left = await watcher.find((f) => f.type === 'presence' && Array.isArray(f['left']));
  expect(left['left']).toEqual([{ user: 'dora', reason: 'left' }]);
  const joins = watcher.of('presence', 'tabs').flatMap((f) => (f['joined'] as { user: string }[]) ?? []);
  expect(joins.filter((member) => member.user === 'dora')).toHaveLength(1);
});

test('a client that moves to another node gets exactly what it missed', async () => {
  const writer = await TestClient.hello(a.url);
  await writer.join('moving');
  const reader = await TestClient.hello(a.url, 'reader');
  await reader.join('moving');
  await writer.publish('moving', 1);
  await reader.next('message');
  const since = reader.position('moving');
  await reader.drop();
  for (const n of [2, 3, 4]) await writer.publish('moving', n);

  const moved = await TestClient.hello(b.url, 'reader');
  const joined = await moved.join('moving', { since });
  expect(joined).toMatchObject({ recovered: true, seq: 4 });
  await writer.publish('moving', 5);
  await moved.next('message');
  expect(moved.data('moving')).toEqual([2, 3, 4, 5]);
  expect(moved.violations).toEqual([]);
});

test('one key published through two nodes is one message', async () => {
  const one = await TestClient.hello(a.url, 'eve');
  const two = await TestClient.hello(b.url, 'eve');
  await Promise.all([one.join('once'), two.join('once')]);
  const first = await one.publish('once', 'x', 'k1');
  const again = await two.publish('once', 'x', 'k1');
  expect(again).toMatchObject({ epoch: first['epoch'], seq: first['seq'], duplicate: true });
  await one.publish('once', 'end');
  await two.find((f) => f.type === 'message' && f['data'] === 'end');
  expect(two.data('once')).toEqual(['x', 'end']);
});

test('a node without members of a room receives nothing of it', async () => {
  const member = await TestClient.hello(a.url);
  await member.join('elsewhere');
  const heardBytes = () => {
    const links = proxy.connections().filter(isSubscriber);
    expect(links.length).toBeGreaterThan(0);
    return links.reduce((sum, link) => sum + link.bytesToClient, 0);
  };
  const before = heardBytes();
  const payload = 'x'.repeat(1000);
  for (let n = 0; n < 200; n += 1) await member.publish('elsewhere', payload);
  // 200 KB were said; what the idle node heard is its canary alone.
  expect(heardBytes() - before).toBeLessThan(5000);

  const visitor = await TestClient.hello(idle.url);
  await visitor.join('elsewhere');
  const joined = heardBytes();
  await member.publish('elsewhere', payload);
  await visitor.next('message');
  expect(heardBytes() - joined).toBeGreaterThan(1000);
});
