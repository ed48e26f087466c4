/** 2,000 random streams of bytes that no decent client sends. The long run is in test/full/. */
import { expect, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { MALFORMED, openSockets, sendMalformed } from '../support/malformed-frames.ts';
import { Seeded } from '../support/seeded.ts';
import { TestClient } from '../support/test-client.ts';

test('nonsense of 20 kinds ends only the connections it came on, and leaves nothing behind', async () => {
  expect(Object.keys(MALFORMED)).toHaveLength(20);
  const local = await LocalServer.forTest();
  const bystander = await TestClient.hello(local.url);
  await bystander.join('calm');
  const before = openSockets();

  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  await sendMalformed(local.port, 2000, new Seeded(seed));

  await local.connections(1);
  await expect.poll(openSockets).toBeLessThanOrEqual(before);
  expect(await bystander.publish('calm', 'still here')).toMatchObject({ type: 'ok' });
  expect(bystander.violations).toEqual([]);
  // Whatever was sent, nobody could make the server call it an error of its own (LocalServer looks again at the end).
  expect(local.logger.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  await bystander.close();
}, 60_000);
