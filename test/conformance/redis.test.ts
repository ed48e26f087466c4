/** Two nodes over Redis conform, directly and behind HAProxy, with the operator's hand in every check that needs it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Hooks } from '../../src/conformance/wire.ts';
import { CLOSES, ERRORS } from '../../src/protocol/codes.ts';
import { SERVER_FRAMES } from '../../src/protocol/messages.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { expectJudged, results, SHORT, Sightings, SKIPPED } from './whole-suite.ts';

const WHOLE_SUITE_MS = 180_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis({ aof: true });
});
afterAll(() => redis.stop());

interface Deployment {
  readonly one: NodeProcess;
  readonly two: NodeProcess;
  /** Node two is the one that is drained, stopped, killed and started again where it was. */
  readonly hooks: Hooks;
}

async function twoNodes(prefix: string): Promise<Deployment> {
  const env = {
    ...SHORT,
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    TRUSTED_PROXIES: '127.0.0.1',
    // A Redis that hangs is given up sooner, so that `unknown_outcome` comes sooner; a dead node too.
    REDIS_DEADLINE_MS: '1000',
    RETRY_BUDGET_MS: '2000',
    LEASE_MS: '5000',
    HEARTBEAT_MS: '1000',
  };
  const start = async (name: string, port?: number): Promise<NodeProcess> =>
    (await nodeForTest({ ...env, NODE_NAME: name }, port)).ready();
  const [one, two] = await Promise.all([start('one'), start('two')] as const);
  let second = two;
  let empty = false;
  const hooks: Hooks = {
    drain: async () => void second.child.kill('SIGTERM'),
    nodeStop: async () => void (await second.kill('SIGINT')),
    nodeKill: async () => void (await second.kill('SIGKILL')),
    nodeStart: async () => {
      second = await start('two', two.port);
    },
    redisStop: () => redis.kill(),
    redisEmpty: async () => {
      empty = true;
    },
    redisStart: () => redis.restart({ empty }),
    redisPause: async () => redis.pause(),
    redisResume: async () => redis.resume(),
  };
  return { one, two, hooks };
}

/** Which wait for the issues of authentication and operator commands, and which nobody can bring about. */
const UNSEEN = {
  frames: ['expiring', 'left'],
  errors: ['unauthorized', 'internal'],
  closes: [1011, 1013, 4005, 4501, 4503, 4510],
};

test('two nodes, directly: every frame, error and close code comes, but for those that are named', {
  timeout: WHOLE_SUITE_MS,
}, async () => {
  const { one, two, hooks } = await twoNodes('direct:');
  const sightings = new Sightings();
  expectJudged(await results({ urls: [one.url, two.url], hooks, open: sightings.open }), SKIPPED.redis);
  const types = Object.keys(SERVER_FRAMES).map((name) => name.split('.')[0] ?? name);
  const missing = <T>(all: Iterable<T>, seen: ReadonlySet<T>): T[] =>
    [...new Set(all)].filter((one) => !seen.has(one));
  expect({
    frames: missing(types, sightings.frames),
    errors: missing<string>(Object.keys(ERRORS), sightings.errors),
    closes: missing(Object.keys(CLOSES).map(Number), sightings.closes),
  }).toEqual(UNSEEN);
});

test('two nodes, behind HAProxy', { timeout: WHOLE_SUITE_MS }, async () => {
  const { one, two, hooks } = await twoNodes('proxied:');
  const proxy = await startHaproxy(one.port, two.port);
  try {
    expectJudged(await results({ urls: [proxy.url], hooks }), SKIPPED.redis);
  } finally {
    await proxy.stop();
  }
});
