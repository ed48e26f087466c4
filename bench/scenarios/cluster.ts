/** A private Redis and real nodes on it, for one measurement. */
import { NodeProcess } from '../../test/support/node-process.ts';
import { startRedis } from '../../test/support/redis-server.ts';

export async function withCluster(
  nodes: number,
  measure: (nodes: readonly NodeProcess[]) => Promise<void>,
): Promise<void> {
  const redis = await startRedis();
  const started: NodeProcess[] = [];
  try {
    for (let n = 1; n <= nodes; n += 1) {
      const node = await NodeProcess.start({ REDIS_URL: redis.url, NODE_NAME: `n${n}` });
      started.push(node);
      await node.ready();
    }
    await measure(started);
  } finally {
    await Promise.all(started.map((node) => node.kill('SIGKILL')));
    await redis.stop();
  }
}
