/** The SDK's inbox on real nodes with Redis: what it marks and where it resumes when Redis or a node is gone. */
import { expect, test } from 'vitest';
import type { Client } from '../../src/client/index.ts';
import { clientForTest } from './scripted-client.ts';
import { twoNodes, twoNodesBehindHaproxy } from './two-nodes.ts';

function heard(client: Client): unknown[] {
  const seen: unknown[] = [];
  client.inbox.on('message', ({ data }) => seen.push(data));
  client.inbox.on('reset', ({ reason }) => seen.push(reason));
  return seen;
}

test('Redis comes back empty: the new inbox is marked from its first message on, and a new device begins after it', async () => {
  const { redis, other } = await twoNodes();
  const bob = clientForTest(other.url, { user: 'bob' });
  const ann = clientForTest(other.url, { user: 'ann', inbox: true });
  const seen = heard(ann);
  for (const n of [1, 2, 3]) await bob.send('ann', n);
  await expect.poll(() => seen).toEqual([1, 2, 3]);
  await ann.inbox.read(3);
  await redis.restart({ empty: true });
  await expect.poll(() => seen, { timeout: 20_000 }).toEqual([1, 2, 3, 'lost']);
  await bob.send('ann', 'new 1');
  await bob.send('ann', 'new 2');
  await expect.poll(() => seen).toEqual([1, 2, 3, 'lost', 'new 1', 'new 2']);
  await ann.inbox.read(1);
  ann.reconnect();
  await expect.poll(() => ann.state).toBe('connected');
  const phone = heard(clientForTest(other.url, { user: 'ann', inbox: true }));
  await expect.poll(() => phone).toEqual(['new 2']);
}, 60_000);

test('through HAProxy, a node killed: what was sent meanwhile arrives once at the other node, and the mark holds', async () => {
  const { doomed, other, url } = await twoNodesBehindHaproxy();
  const ann = clientForTest(url, { user: 'ann', inbox: true });
  const seen = heard(ann);
  await expect.poll(() => ann.inbox.position).toBeDefined();
  // The node under the inbox, whichever the balancer chose.
  const [victim, left] = ann.welcome?.node === 'doomed' ? [doomed, 'other'] : [other, 'doomed'];
  const bob = clientForTest(url, { user: 'bob' });
  const expected: unknown[] = [];
  const send = (n: number): Promise<unknown> => {
    expected.push(n);
    return bob.send('ann', n);
  };
  for (let n = 1; n <= 10; n += 1) await send(n);
  await expect.poll(() => seen).toEqual(expected);
  await ann.inbox.read(4);
  const sends: Promise<unknown>[] = [];
  for (let n = 11; n <= 20; n += 1) sends.push(send(n));
  await victim.kill('SIGKILL');
  for (let n = 21; n <= 30; n += 1) sends.push(send(n));
  await Promise.all(sends);
  for (const client of [ann, bob])
    await expect.poll(() => client.welcome?.node, { timeout: 15_000 }).toBe(left);
  await expect.poll(() => seen, { timeout: 15_000 }).toEqual(expected);
  // Told on the node that is left, and shared: another device begins after it.
  await ann.inbox.read(25);
  const phone = heard(clientForTest(url, { user: 'ann', inbox: true }));
  await expect.poll(() => phone).toEqual([26, 27, 28, 29, 30]);
}, 60_000);
