/** The SDK over links that break: everything acknowledged arrives once, whatever the network does meanwhile. */
import { expect, onTestFinished, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { clientForTest } from './scripted-client.ts';
import { Witness } from './witness.ts';

async function behindProxy(env: Record<string, string> = {}) {
  const server = await LocalServer.forTest({ RECONNECT_MAX_MS: '50', ...env });
  const proxy = await startFaultProxy(server.port);
  onTestFinished(() => proxy.close());
  return { server, proxy, url: `ws://127.0.0.1:${proxy.port}/ws` };
}

const QUICK = { backoff: { baseMs: 50, capMs: 200 } };

test('connections cut at any moment: acknowledged once, delivered once, in order, nobody leaves', async () => {
  const { proxy, url } = await behindProxy({ PRESENCE_HOLD_MS: '3000' });
  const writer = clientForTest(url, { user: 'writer', ...QUICK });
  const reader = clientForTest(url, { user: 'reader', ...QUICK });
  const left: unknown[] = [];
  reader.join('room').on('presence', (change) => left.push(...change.left));
  const witness = new Witness(writer, reader, 'room');
  await reader.join('room').joined;
  let cuts = 0;
  const cutting = setInterval(() => {
    cuts += 1;
    // Now one side, now the other, now both.
    proxy.cutOpen(({ id }) => cuts % 3 === 0 || id % 2 === cuts % 2);
  }, 150);
  onTestFinished(() => clearInterval(cutting));
  const started = performance.now();
  await witness.stream(() => performance.now() - started > 3000, 5);
  clearInterval(cutting);
  await witness.expectExactlyOnce();
  expect(cuts).toBeGreaterThan(10);
  expect(witness.seen.length).toBeGreaterThan(200);
  expect(left).toEqual([]);
});

test('answers lost on the way: the repeat keeps its key, so nothing is stored twice', async () => {
  const { proxy, url } = await behindProxy();
  const writer = clientForTest(url, { user: 'writer', ...QUICK });
  const reader = clientForTest(url, { user: 'reader', ...QUICK });
  const witness = new Witness(writer, reader, 'room');
  await Promise.all([writer.join('room').joined, reader.join('room').joined]);
  for (let round = 0; round < 5; round += 1) {
    proxy.setMode('swallow-replies');
    const publishes = Array.from({ length: 10 }, () => witness.publish());
    const before = proxy.bytes().toTarget;
    await expect.poll(() => proxy.bytes().toTarget, { timeout: 5000 }).toBeGreaterThan(before + 200);
    proxy.setMode('pass');
    await Promise.all(publishes);
  }
  await witness.expectExactlyOnce();
  expect(witness.receipts.some(({ duplicate }) => duplicate)).toBe(true);
});

test('a half-open link is noticed by the silence after a request, and left for a new one', async () => {
  const { proxy, url } = await behindProxy();
  const writer = clientForTest(url, { user: 'writer', ...QUICK });
  const reader = clientForTest(url, { user: 'reader', ...QUICK });
  const witness = new Witness(writer, reader, 'room');
  await Promise.all([writer.join('room').joined, reader.join('room').joined]);
  const states: unknown[] = [];
  writer.on('state', ({ state, reason }) => states.push(reason ?? state));
  const stuck = proxy.connections().map(({ id }) => id);
  proxy.setMode('blackhole', ({ id }) => stuck.includes(id));
  const started = performance.now();
  await witness.publish();
  expect(performance.now() - started).toBeLessThan(15_000);
  expect(states).toEqual(['no answer', 'connecting', 'connected']);
  reader.reconnect();
  await witness.expectExactlyOnce();
}, 30_000);

test('a quiet link that went half-open is noticed by a ping of the application', async () => {
  const { proxy, url } = await behindProxy({ PING_INTERVAL_MS: '1000' });
  const client = clientForTest(url, { user: 'ann', ...QUICK });
  await client.join('room').joined;
  const stuck = proxy.connections().map(({ id }) => id);
  // Heard and not looked for: it may wait for no more than a moment.
  const given = new Promise<void>((resolve) => {
    client.on('state', ({ state }) => void (state === 'waiting' && resolve()));
  });
  proxy.setMode('blackhole', ({ id }) => stuck.includes(id));
  await given;
  await expect.poll(() => client.join('room').status, { timeout: 5000 }).toBe('live');
}, 30_000);
