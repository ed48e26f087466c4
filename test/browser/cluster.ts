/** Two real nodes, a Redis of their own and HAProxy before them, for the tests of one file. */
import { afterAll } from 'vitest';
import { type Haproxy, startHaproxy } from '../support/haproxy.ts';
import { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

export interface Cluster {
  readonly redis: RedisServer;
  readonly nodes: readonly [NodeProcess, NodeProcess];
  readonly balancer: Haproxy;
}

/** Quick to find a dead Redis and to tell presence: the tests wait for both. Slow to come back: they look at what is said meanwhile. */
const SETTINGS = {
  RECONNECT_MIN_MS: '800',
  REDIS_DEADLINE_MS: '500',
  CANARY_MS: '200',
  CANARY_DEAD_MS: '700',
  PRESENCE_HOLD_MS: '300',
};

/** Started by the first test that asks, stopped after the last of the file. */
export function clusterForFile(): () => Promise<Cluster> {
  let started: Promise<Cluster> | undefined;
  const stops: (() => Promise<unknown>)[] = [];
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  const start = async (): Promise<Cluster> => {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    const node = async (name: string) => {
      const process = await NodeProcess.start({ ...SETTINGS, REDIS_URL: redis.url, NODE_NAME: name });
      stops.push(() => process.kill('SIGKILL'));
      return process.ready();
    };
    const nodes = await Promise.all([node('node-a'), node('node-b')]);
    const balancer = await startHaproxy(nodes[0].port, nodes[1].port);
    stops.push(() => balancer.stop());
    return { redis, nodes, balancer };
  };
  return () => {
    started ??= start();
    return started;
  };
}
