/** The SDK in front of a cluster: a node dies in the middle of a stream, and nobody is told anything but good news. */
import { expect, onTestFinished, test } from 'vitest';
import type { Client, StateChange } from '../../src/client/index.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { clientForTest } from './scripted-client.ts';
import { twoNodes, twoNodesBehindHaproxy } from './two-nodes.ts';
import { Witness } from './witness.ts';

test('kill -9 under a stream: both go on at the other node, all acknowledged once, all delivered once', async () => {
  const { doomed, other } = await twoNodes();
  const proxy = await startFaultProxy(doomed.port);
  onTestFinished(() => proxy.close());
  const url = `ws://127.0.0.1:${proxy.port}/ws`;
  const writer = clientForTest(url, { user: 'writer' });
  const reader = clientForTest(url, { user: 'reader' });
  const recovered: number[] = [];
  const witness = new Witness(writer, reader, 'room');
  reader.join('room').on('recovered', ({ messages }) => recovered.push(messages));
  await Promise.all([writer.join('room').joined, reader.join('room').joined]);
  let enough = false;
  const streaming = witness.stream(() => enough, 5);
  await expect.poll(() => witness.seen.length, { timeout: 10_000 }).toBeGreaterThan(50);
  await doomed.kill('SIGKILL');
  proxy.setTarget(other.port);
  await expect.poll(() => reader.welcome?.node, { timeout: 10_000 }).toBe('other');
  await expect.poll(() => writer.welcome?.node, { timeout: 10_000 }).toBe('other');
  const before = witness.seen.length;
  await expect.poll(() => witness.seen.length, { timeout: 10_000 }).toBeGreaterThan(before + 50);
  enough = true;
  await streaming;
  await witness.expectExactlyOnce();
  expect(recovered.length).toBe(1);
}, 60_000);

test('through HAProxy, one of two nodes killed: the balancer sends everybody to the other, nothing is missing', async () => {
  const { doomed, url } = await twoNodesBehindHaproxy();
  // leastconn spreads them: each node has one of these.
  const writer = clientForTest(url, { user: 'writer' });
  await writer.join('room').joined;
  const reader = clientForTest(url, { user: 'reader' });
  const witness = new Witness(writer, reader, 'room');
  await reader.join('room').joined;
  expect(new Set([writer, reader].map((client) => client.welcome?.node))).toEqual(
    new Set(['doomed', 'other']),
  );
  let enough = false;
  const streaming = witness.stream(() => enough, 5);
  await expect.poll(() => witness.seen.length, { timeout: 10_000 }).toBeGreaterThan(50);
  await doomed.kill('SIGKILL');
  for (const client of [writer, reader]) {
    await expect.poll(() => client.welcome?.node, { timeout: 15_000 }).toBe('other');
  }
  const before = witness.seen.length;
  await expect.poll(() => witness.seen.length, { timeout: 10_000 }).toBeGreaterThan(before + 50);
  enough = true;
  await streaming;
  await witness.expectExactlyOnce();
}, 60_000);

test('a drained node: each client comes back in its own slot, nothing fails, and nobody is told that they left', async () => {
  const { doomed, other, url } = await twoNodesBehindHaproxy({
    DRAIN_SPREAD_MIN_MS: '2000',
    DRAIN_SPREAD_MAX_MS: '2000',
  });
  // Not behind the balancer: what it sees must not depend on its own reconnect.
  const watcher = clientForTest(other.url, { user: 'watcher' });
  const left: unknown[] = [];
  watcher.join('room').on('presence', (change) => left.push(...change.left));
  await watcher.join('room').joined;
  const clients = Array.from({ length: 6 }, (_, n) => clientForTest(url, { user: `user-${n}` }));
  const failures: unknown[] = [];
  const pauses = new Map<Client, StateChange>();
  for (const client of clients) {
    client.on('error', (error) => failures.push(error));
    client.on('state', (change) => void (change.state === 'waiting' && pauses.set(client, change)));
  }
  const [writer, reader] = clients as [Client, Client];
  const witness = new Witness(writer, reader, 'room');
  await Promise.all(clients.map((client) => client.join('room').joined));
  const drained = clients.filter(({ welcome }) => welcome?.node === 'doomed');
  // leastconn gave each node about half of them.
  expect(drained.length).toBeGreaterThan(1);
  let enough = false;
  const streaming = witness.stream(() => enough, 5);
  await expect.poll(() => witness.seen.length, { timeout: 10_000 }).toBeGreaterThan(50);
  const gone = doomed.kill('SIGTERM');
  for (const client of drained)
    await expect.poll(() => client.welcome?.node, { timeout: 20_000 }).toBe('other');
  enough = true;
  // Rejects where a publish failed.
  await streaming;
  await witness.expectExactlyOnce();
  expect(await gone).toBe(0);
  expect(failures).toEqual([]);
  expect(new Set(pauses.keys())).toEqual(new Set(drained));
  for (const { code, retryInMs } of pauses.values()) {
    expect(code).toBe(1012);
    // The server closed at the moment it had named: then it is now.
    expect(retryInMs).toBeLessThan(500);
  }
  expect(watcher.join('room').members.size).toBe(7);
  expect(left).toEqual([]);
}, 60_000);
