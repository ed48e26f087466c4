/**
 * What a node that died leaves behind: thousands of clients come back to one room on another node, each from
 * where it was. What they missed is read from Redis for the room, not for each of them.
 */
import { expect, onTestFinished, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

const CLIENTS = 5000;
const AT_ONCE = 250;
const MESSAGES = 200;
/** Reads of the room: the node's own first one, and a few for positions that the ring does not reach. */
const READS_MAX = 5;

test('5,000 clients that rejoin one room on another node cost a handful of reads and get exactly what they missed', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const settings = { REDIS_URL: redis.url, LIMIT_ADDRESS_CONNECTIONS: '0', LIMIT_USER_CONNECTIONS: '0' };
  const [first, second] = [await nodeForTest(settings), await nodeForTest(settings)];
  const publisher = await TestClient.hello(first.url, 'publisher');
  const { epoch } = await publisher.join('storm');
  for (let n = 1; n <= MESSAGES; n += 1) await publisher.publish('storm', n);
  await first.kill('SIGKILL');

  let reads = 0;
  const monitor = await (await redis.client()).monitor();
  onTestFinished(() => monitor.disconnect());
  monitor.on('monitor', (_time: string, [command, ...args]: string[]) => {
    if (command?.toLowerCase() === 'evalsha' && args.some((arg) => arg.endsWith(':log:storm'))) reads += 1;
  });
  for (let at = 0; at < CLIENTS; at += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, n) => {
        const since = { epoch, seq: (at + n) % MESSAGES };
        const client = await TestClient.hello(second.url, 'everybody');
        const joined = await client.join('storm', { since, presence: 'none' });
        expect(joined).toMatchObject({ recovered: true, seq: MESSAGES });
        const missed = Array.from({ length: MESSAGES - since.seq }, (_each, index) => since.seq + index + 1);
        expect(client.data('storm')).toEqual(missed);
      }),
    );
  }
  console.log(`join storm: ${CLIENTS} rejoins cost ${reads} reads of the room`);
  expect(reads).toBeGreaterThan(0);
  expect(reads).toBeLessThanOrEqual(READS_MAX);
});
