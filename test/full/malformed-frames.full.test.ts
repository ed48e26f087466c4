/** The streams of test/transport/malformed-frames.test.ts, 100,000 of them. A failure is repeated by the seed it prints. */
import { expect, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { openSockets, sendMalformed } from '../support/malformed-frames.ts';
import { Seeded } from '../support/seeded.ts';
import { TestClient } from '../support/test-client.ts';

const STREAMS = 100_000;
/** What may be held after 80,000 more streams than at the first look: a leak of one kilobyte each would be 80 MB. */
const GROWTH_BYTES_MAX = 40 * 2 ** 20;

test('100,000 streams of nonsense later the server serves as before and holds no more memory', async () => {
  const local = await LocalServer.forTest({ LIMIT_UPGRADES_PER_SECOND: '0', LOG_LEVEL: 'info' });
  const bystander = await TestClient.hello(local.url);
  await bystander.join('calm');
  const before = openSockets();
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const dice = new Seeded(seed);
  const heaps: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await sendMalformed(local.port, STREAMS / 5, dice);
    await local.connections(1, 20_000);
    expect(await bystander.publish('calm', round)).toMatchObject({ type: 'ok' });
    heaps.push(await heapBytes());
  }
  await expect.poll(openSockets).toBeLessThanOrEqual(before);
  expect(bystander.violations).toEqual([]);
  expect((heaps[4] ?? 0) - (heaps[0] ?? 0), heaps.join(' ')).toBeLessThan(GROWTH_BYTES_MAX);
  await bystander.close();
});

/** Bytes in use after a collection: v8.queryObjects runs one, without a flag. */
async function heapBytes(): Promise<number> {
  const { queryObjects } = await import('node:v8');
  queryObjects(LocalServer, { format: 'count' });
  return process.memoryUsage().heapUsed;
}
