/** What `/health` says of a Redis that is there: an operator's dashboard reads exactly these two fields. */
import { expect, test, vi } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';

test('/health says "connected" and how long Redis takes to answer, and "down" when it is gone', async () => {
  const redis = await startRedis();
  try {
    const node = await nodeForTest({ REDIS_URL: redis.url, CANARY_MS: '50', CANARY_DEAD_MS: '2000' });
    await node.ready();
    // Absent until the first canary was answered, and a number of milliseconds from then on.
    const health = await vi.waitFor(async () => {
      const told = await node.health();
      expect(told).toHaveProperty('redis_latency_ms');
      return told;
    }, 5_000);
    expect(health).toMatchObject({ ready: true, redis_status: 'connected' });
    expect(health['redis_latency_ms']).toEqual(expect.any(Number));
    expect(health['redis_latency_ms']).toBeGreaterThan(0);
    expect(health['redis_latency_ms']).toBeLessThan(2_000);
    expect(JSON.stringify(health)).not.toContain(String(redis.port));

    await redis.kill();
    await node.line(({ msg }) => msg.startsWith('Redis is down'));
    expect(await node.health()).toMatchObject({ ready: false, redis_status: 'down' });
  } finally {
    await redis.stop();
  }
});
