/** Two nodes over Redis conform, directly and behind HAProxy, with the operator's hand in every check that needs it. */
import { afterAll, beforeAll, test } from 'vitest';
import type { Hooks } from '../../src/conformance/wire.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { expectConformance, SHORT } from './whole-suite.ts';

const WHOLE_SUITE_MS = 120_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis({ aof: true });
});
afterAll(() => redis.stop());

async function twoNodes(prefix: string): Promise<readonly [NodeProcess, NodeProcess]> {
  const env = {
    ...SHORT,
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    TRUSTED_PROXIES: '127.0.0.1',
    // A Redis that hangs is given up sooner, so that `unknown_outcome` comes sooner.
    REDIS_DEADLINE_MS: '1000',
    RETRY_BUDGET_MS: '2000',
  };
  const nodes = await Promise.all([
    nodeForTest({ ...env, NODE_NAME: 'one' }),
    nodeForTest({ ...env, NODE_NAME: 'two' }),
  ] as const);
  await Promise.all(nodes.map((node) => node.ready()));
  return nodes;
}

function hooks(drained: NodeProcess): Hooks {
  let empty = false;
  return {
    drain: async () => void drained.child.kill('SIGTERM'),
    redisStop: () => redis.kill(),
    redisEmpty: async () => {
      empty = true;
    },
    redisStart: () => redis.restart({ empty }),
    redisPause: async () => redis.pause(),
    redisResume: async () => redis.resume(),
  };
}

test('two nodes, directly', { timeout: WHOLE_SUITE_MS }, async () => {
  const [one, two] = await twoNodes('direct:');
  await expectConformance({ urls: [one.url, two.url], hooks: hooks(two) });
});

test('two nodes, behind HAProxy', { timeout: WHOLE_SUITE_MS }, async () => {
  const [one, two] = await twoNodes('proxied:');
  const proxy = await startHaproxy(one.port, two.port);
  try {
    await expectConformance({ urls: [proxy.url], hooks: hooks(two) });
  } finally {
    await proxy.stop();
  }
});
