/** Two real nodes over a Redis of their own, and an HAProxy in front of them where a test wants one. */
import { onTestFinished } from 'vitest';
import { startHaproxy } from '../support/haproxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

export async function twoNodes(env: Record<string, string> = {}) {
  const redis: RedisServer = await startRedis();
  onTestFinished(() => redis.stop());
  const [doomed, other] = await Promise.all(
    ['doomed', 'other'].map((name) => nodeForTest({ REDIS_URL: redis.url, NODE_NAME: name, ...env })),
  );
  if (!doomed || !other) throw new Error('no nodes');
  await Promise.all([doomed.ready(), other.ready()]);
  return { redis, doomed, other };
}

/** `url` is the balancer's; leastconn spreads whoever comes over both nodes. */
export async function twoNodesBehindHaproxy(env: Record<string, string> = {}) {
  const nodes = await twoNodes(env);
  const balancer = await startHaproxy(nodes.doomed.port, nodes.other.port);
  onTestFinished(() => balancer.stop());
  return { ...nodes, url: balancer.url };
}
