/** Redis goes away and comes back, with its data or without: no client reconnects, nothing is silent. */
import { expect, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

interface Pair {
  readonly redis: RedisServer;
  readonly nodes: readonly [NodeProcess, NodeProcess];
  readonly alice: TestClient;
  readonly bob: TestClient;
}

/** Alice on one node and Bob on another, in one room that has three messages. */
async function chatting(aof: boolean): Promise<Pair> {
  const redis = await startRedis({ aof });
  const env = { REDIS_URL: redis.url };
  const nodes = await Promise.all([
    nodeForTest({ ...env, NODE_NAME: 'a' }),
    nodeForTest({ ...env, NODE_NAME: 'b' }),
  ] as const);
  await Promise.all(nodes.map((node) => node.ready()));
  const alice = await TestClient.hello(nodes[0].url, 'alice');
  const bob = await TestClient.hello(nodes[1].url, 'bob');
  await alice.join('room', { state: { sharing: true } });
  await bob.join('room');
  for (const n of [1, 2, 3]) await alice.publish('room', n);
  await bob.find((frame) => frame.type === 'message' && frame['data'] === 3);
  return { redis, nodes, alice, bob };
}

const status = (redis: 'up' | 'down') => (frame: Frame) =>
  frame.type === 'status' && frame['redis'] === redis;

async function outage({ redis, nodes, alice, bob }: Pair, back: () => Promise<void>): Promise<void> {
  await redis.kill();
  await Promise.all([alice, bob].map((client) => client.find(status('down'))));
  await duringOutage(nodes[0], alice);
  await back();
  await Promise.all([alice, bob].map((client) => client.find(status('up'), 15_000)));
}

async function duringOutage(node: NodeProcess, alice: TestClient): Promise<void> {
  const secondTab = await TestClient.hello(node.url, 'alice');
  const began = performance.now();
  const answers = await Promise.all([
    alice.publish('room', 'lost?'),
    alice.join('elsewhere'),
    alice.request({ type: 'history', room: 'room' }),
    // Nothing new has to be asked of Redis for these: they waited for the room to be healed, for seconds.
    alice.join('room'),
    alice.request({ type: 'presence', room: 'room' }),
    alice.request({ type: 'presence', room: '@bob' }),
    secondTab.join('room'),
    // Refused for certain: neither may be there when Redis is back.
    alice.request({ type: 'state', room: 'room', state: { lost: true } }),
    alice.join('room', { state: { lost: true } }),
  ]);
  for (const answer of answers)
    expect(answer).toMatchObject({ type: 'error', code: 'unavailable', retryable: true });
  expect(performance.now() - began).toBeLessThan(1000);
  await secondTab.close();

  const neighbour = await TestClient.hello(node.url, 'neighbour');
  await neighbour.find(status('down'));
  expect(await node.readyStatus()).toBe(404);
  expect(await node.health()).toMatchObject({ ready: false, redis_status: 'down' });
  await neighbour.close();
}

function membersOf(frame: Frame): string[] {
  return ((frame['members'] as { user: string }[] | undefined) ?? []).map((member) => member.user).sort();
}

test('Redis restarted with its data: `epoch`, no `reset`, and a resume across it misses nothing', async () => {
  const pair = await chatting(true);
  const { redis, nodes, alice, bob } = pair;
  try {
    const since = bob.position('room');
    await outage(pair, () => redis.restart());
    await alice.publish('room', 4);
    await Promise.all([alice, bob].map((c) => c.find((f) => f.type === 'message' && f['data'] === 4)));
    for (const client of [alice, bob]) {
      expect(client.of('reset')).toEqual([]);
      expect(client.of('epoch', 'room')).toHaveLength(1);
      expect(client.of('epoch', 'room')[0]?.['seq']).toBe(3);
      expect(client.violations).toEqual([]);
      expect(client.data('room').slice(-4)).toEqual([1, 2, 3, 4]);
    }
    const later = await TestClient.hello(nodes[0].url);
    expect(await later.join('room', { since })).toMatchObject({ recovered: true, seq: 4 });
    expect(later.data('room')).toEqual([4]);
  } finally {
    await redis.stop();
  }
});

test('Redis restarted empty: `reset lost`, then `status up`, presence is back and nobody was said to have left', async () => {
  const pair = await chatting(false);
  const { redis, alice, bob } = pair;
  try {
    await outage(pair, () => redis.restart({ empty: true }));
    for (const client of [alice, bob]) {
      const reset = client.frames.findIndex((frame) => frame.type === 'reset');
      const up = client.frames.findIndex(status('up'));
      expect(client.frames[reset]).toMatchObject({ room: 'room', reason: 'lost' });
      expect(reset).toBeLessThan(up);
    }
    const ok = await alice.publish('room', 'again');
    expect(ok.type).toBe('ok');
    await bob.find((frame) => frame.type === 'message' && frame['data'] === 'again');
    const snapshot = await bob.find((f) => f.type === 'presence' && membersOf(f).length === 2, 15_000);
    expect(membersOf(snapshot)).toEqual(['alice', 'bob']);
    const states = snapshot['members'] as { user: string; state: object }[];
    expect(states.find((member) => member.user === 'alice')?.state).toEqual({ sharing: true });
    expect(bob.of('presence').flatMap((frame) => (frame['left'] as object[] | undefined) ?? [])).toEqual([]);
    expect([...alice.violations, ...bob.violations]).toEqual([]);
  } finally {
    await redis.stop();
  }
});

test('signals between members of one node flow while Redis is away', async () => {
  const pair = await chatting(false);
  const { redis, nodes, alice } = pair;
  try {
    const neighbour = await TestClient.hello(nodes[0].url, 'neighbour');
    await neighbour.join('room');
    await redis.kill();
    await alice.find(status('down'));
    expect((await alice.request({ type: 'signal', room: 'room', data: 'still here' })).type).toBe('ok');
    expect((await neighbour.next('signal'))['data']).toBe('still here');
  } finally {
    await redis.stop();
  }
});

test('a node told to use Redis waits for it: not ready, never silently embedded, up when Redis comes', async () => {
  const redis = await startRedis();
  try {
    await redis.kill();
    const node = await nodeForTest({
      REDIS_MODE: 'on',
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: String(redis.port),
      REDIS_PASSWORD: 'hushhush',
    });
    expect(await node.readyStatus()).toBe(404);
    // An operator who mistyped the address reads so at once; once for both links, and not that something was lost.
    const told = await node.line(({ msg }) => msg === 'Redis cannot be reached yet, trying again');
    expect(told).toMatchObject({
      level: 'warn',
      redis: `redis://127.0.0.1:${redis.port}/0`,
      reason: expect.stringContaining('ECONNREFUSED'),
      attempts: 1,
    });
    const client = await TestClient.hello(node.url);
    await client.find(status('down'));
    expect(await client.join('room')).toMatchObject({ type: 'error', code: 'unavailable' });
    expect(node.lines.filter(({ level }) => level === 'warn')).toEqual([told]);
    expect(JSON.stringify(node.lines)).not.toContain('hushhush');
    await redis.restart();
    await client.find(status('up'));
    expect(await client.join('room')).toMatchObject({ type: 'joined' });
    expect(await node.readyStatus()).toBe(200);
  } finally {
    await redis.stop();
  }
});
