/** Links between a node and Redis that break in the ways networks break: cut, half-open, swallowing answers. */
import { expect, test } from 'vitest';
import {
  type FaultProxy,
  isSubscriber,
  type ProxiedConnection,
  startFaultProxy,
} from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

interface Rig {
  readonly redis: RedisServer;
  readonly proxy: FaultProxy;
  /** On the node whose links are broken. */
  readonly member: TestClient;
  /** On a node with a healthy link. */
  readonly writer: TestClient;
  readonly end: () => Promise<void>;
}

async function rig(): Promise<Rig> {
  const redis = await startRedis();
  const proxy = await startFaultProxy(redis.port);
  const [broken, healthy] = await Promise.all([
    nodeForTest({ REDIS_URL: `redis://127.0.0.1:${proxy.port}`, NODE_NAME: 'broken' }),
    nodeForTest({ REDIS_URL: redis.url, NODE_NAME: 'healthy' }),
  ]);
  await Promise.all([broken.ready(), healthy.ready()]);
  const member = await TestClient.hello(broken.url, 'member');
  const writer = await TestClient.hello(healthy.url, 'writer');
  await Promise.all([member.join('room'), writer.join('room')]);
  const end = async () => {
    await proxy.close();
    await redis.stop();
  };
  return { redis, proxy, member, writer, end };
}

async function publish(writer: TestClient, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n += 1) expect((await writer.publish('room', n)).type).toBe('ok');
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const isData = (data: unknown) => (frame: { type: string; [field: string]: unknown }) =>
  frame.type === 'message' && frame['data'] === data;

test('a cut subscriber link heals at the node: members notice a moment and miss nothing', async () => {
  const { proxy, member, writer, end } = await rig();
  try {
    await publish(writer, 0, 20);
    for (let round = 1; round <= 5; round += 1) {
      const going = publish(writer, round * 20, 20);
      proxy.cutOpen(isSubscriber);
      await going;
    }
    await member.find(isData(119));
    expect(member.data('room')).toEqual(upTo(120));
    expect(member.violations).toEqual([]);
    expect([...member.of('reset'), ...member.of('status')]).toEqual([]);
  } finally {
    await end();
  }
});

test('a half-open subscriber link is found within seconds by the canary, and healed without a word', async () => {
  const { proxy, member, writer, end } = await rig();
  try {
    await publish(writer, 0, 5);
    await member.find(isData(4));
    // Only what is open now goes deaf: the node's next link gets through.
    const deaf = proxy
      .connections()
      .filter(isSubscriber)
      .map((connection) => connection.id);
    proxy.setMode('blackhole', (connection) => deaf.includes(connection.id));
    const from = performance.now();
    await publish(writer, 5, 5);
    expect(member.data('room')).toEqual(upTo(5));
    await member.find(isData(9));
    expect(performance.now() - from).toBeLessThan(6000);
    expect(member.data('room')).toEqual(upTo(10));
    expect(member.violations).toEqual([]);
    expect(member.of('reset')).toEqual([]);
  } finally {
    await end();
  }
});

test('answers swallowed and the link cut: each publish is applied once, in order, and its ok names its place', async () => {
  const { redis, proxy, member, writer, end } = await rig();
  try {
    const admin = await redis.client();
    const isCommands = (connection: ProxiedConnection) => !connection.subscriber;
    const answers: Frame[] = [];
    for (let round = 1; round <= 4; round += 1) {
      proxy.setMode('swallow-replies', isCommands);
      const unanswered = upTo(50).map((n) => member.publish('room', (round - 1) * 50 + n));
      // One is applied at least, perhaps more, and nobody was told.
      await writer.find(isData((round - 1) * 50));
      proxy.setMode('cut', isCommands);
      proxy.setMode('pass');
      answers.push(...(await Promise.all(unanswered)));
    }
    await writer.find(isData(199));
    expect(answers.map((answer) => answer['seq'])).toEqual(upTo(200).map((n) => n + 1));
    expect(answers.some((answer) => answer['duplicate'] === true)).toBe(false);
    expect(writer.data('room')).toEqual(upTo(200));
    expect(writer.violations).toEqual([]);
    const [log] = await admin.keys('rc:*:log:room');
    expect(await admin.xlen(log ?? '')).toBe(200);
  } finally {
    await end();
  }
});

test('one node cut off from Redis tells its members, keeps them, and brings them up to date', async () => {
  const { proxy, member, writer, end } = await rig();
  try {
    proxy.setMode('cut');
    await member.find((frame) => frame.type === 'status' && frame['redis'] === 'down');
    await publish(writer, 0, 30);
    expect(await member.publish('room', 'no')).toMatchObject({ type: 'error', code: 'unavailable' });
    proxy.setMode('pass');
    await member.find((frame) => frame.type === 'status' && frame['redis'] === 'up');
    expect(member.data('room')).toEqual(upTo(30));
    expect(member.violations).toEqual([]);
    expect(member.of('reset')).toEqual([]);
  } finally {
    await end();
  }
});

test('SCRIPT FLUSH again and again under load, with scripts loaded back by others: no error, no change of order', async () => {
  const { redis, member, writer, end } = await rig();
  try {
    const admin = await redis.client();
    let flushing = true;
    const flusher = (async () => {
      while (flushing) await admin.call('SCRIPT', 'FLUSH', 'SYNC');
    })();
    const count = 600;
    const answers = await Promise.all(
      upTo(count).map((n) => (n % 2 === 0 ? member : writer).publish('room', n)),
    );
    flushing = false;
    await flusher;
    expect(answers.filter((answer) => answer.type !== 'ok')).toEqual([]);
    await member.find((frame) => frame.type === 'message' && frame['seq'] === count);
    const data = member.data('room') as number[];
    for (const half of [0, 1]) {
      const own = data.filter((n) => n % 2 === half);
      expect(own).toEqual(upTo(count).filter((n) => n % 2 === half));
    }
    expect(member.violations).toEqual([]);
  } finally {
    await end();
  }
});
