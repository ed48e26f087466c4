/** Drain over real sockets: everybody is told a moment of their own, is served until then, and then ended with 1012. */
import { describe, expect, test } from 'vitest';
import { spreadMs } from '../../src/node/drain.ts';
import { LocalServer } from '../support/local-server.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

const SPREAD_MS = 1000;
const SPREAD = {
  DRAIN_NOTICE_MS: '0',
  DRAIN_SPREAD_MIN_MS: String(SPREAD_MS),
  DRAIN_SPREAD_MAX_MS: String(SPREAD_MS),
  LIMIT_USER_CONNECTIONS: '0',
};
/** Timers are late on a busy machine; none may be early. */
const LATE_MS = 1500;

interface Drained {
  readonly client: TestClient;
  readonly afterMs: number;
  readonly toldAtMs: number;
  /** Resolves when the connection is gone. */
  readonly ended: Promise<{ code: number; atMs: number }>;
}

async function clients(local: LocalServer, count: number): Promise<TestClient[]> {
  const all = await Promise.all(
    Array.from({ length: count }, (_, at) => TestClient.hello(local.url, `user-${at}`)),
  );
  await Promise.all(all.map((client) => client.join('r', { presence: 'none' })));
  return all;
}

/** In the order in which the clients connected. */
function told(all: readonly TestClient[]): Promise<Drained[]> {
  return Promise.all(
    all.map(async (client) => {
      const ended = client.closed.then(({ code }) => ({ code, atMs: performance.now() }));
      const closing: Frame = await client.next('closing');
      expect(closing).toMatchObject({ code: 1012, reconnect: 'after', reason: expect.any(String) as string });
      return { client, afterMs: Number(closing['afterMs']), toldAtMs: performance.now(), ended };
    }),
  );
}

test('every connection gets its own moment within the spread, and is ended then and not before', async () => {
  const local = await LocalServer.forTest(SPREAD);
  const all = await clients(local, 40);
  const drained = local.server.drain();
  const slots = await told(all);
  const moments = slots.map(({ afterMs }) => afterMs);
  expect(moments.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 40 }, (_, at) => (SPREAD_MS / 40) * (at + 1)),
  );
  for (const { afterMs, toldAtMs, ended } of slots) {
    const { code, atMs } = await ended;
    expect(code).toBe(1012);
    // The frame was read a little after the timer was set.
    expect(atMs - toldAtMs).toBeGreaterThan(afterMs - 150);
    expect(atMs - toldAtMs).toBeLessThan(afterMs + LATE_MS);
  }
  await drained;
  for (const client of all) expect(client.of('closing')).toHaveLength(1);
});

test('the order has nothing to do with who came first', async () => {
  const orders: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    const local = await LocalServer.forTest({
      ...SPREAD,
      DRAIN_SPREAD_MIN_MS: '100',
      DRAIN_SPREAD_MAX_MS: '100',
    });
    const all = await clients(local, 20);
    const [, slots] = await Promise.all([local.server.drain(), told(all)]);
    orders.push(slots.map(({ afterMs }) => afterMs).join());
  }
  const inOrder = Array.from({ length: 20 }, (_, at) => 5 * (at + 1)).join();
  expect(orders[0]).not.toBe(orders[1]);
  expect(orders).not.toContain(inOrder);
});

test('until then everybody is served', async () => {
  const local = await LocalServer.forTest(SPREAD);
  const all = await clients(local, 20);
  const drained = local.server.drain();
  const slots = (await told(all)).toSorted((a, b) => a.afterMs - b.afterMs);
  for (const { client } of slots.slice(10))
    expect(await client.publish('r', 'all of us')).toMatchObject({ type: 'ok' });
  await Promise.all(slots.slice(0, 10).map(({ ended }) => ended));
  const last = slots.at(-1)?.client;
  if (!last) throw new Error('nobody is left');
  expect(await last.request({ type: 'history', room: 'r' })).toMatchObject({ seq: 10 });
  expect(await last.publish('r', 'some of us')).toMatchObject({ type: 'ok', seq: 11 });
  await last.find((frame) => frame['seq'] === 11 && frame.type === 'message');
  expect(last.violations).toEqual([]);
  await drained;
});

test('nobody to be told: no wait', async () => {
  const local = await LocalServer.forTest({ DRAIN_NOTICE_MS: '60000', DRAIN_SPREAD_MIN_MS: '20000' });
  const client = await TestClient.hello(local.url);
  await client.close();
  await local.connections(0);
  const since = performance.now();
  await local.server.drain();
  expect(performance.now() - since).toBeLessThan(5000);
});

test('whoever has not said hello when the others are told is told at the end', async () => {
  const local = await LocalServer.forTest({
    ...SPREAD,
    DRAIN_SPREAD_MIN_MS: '200',
    DRAIN_SPREAD_MAX_MS: '200',
  });
  await TestClient.hello(local.url);
  const silent = await RawPeer.open(local.port);
  await local.server.drain();
  await silent.gone;
  expect(silent.texts).toMatchObject([{ type: 'closing', code: 1012, reconnect: 'after' }]);
  expect(silent.closeCode).toBe(1012);
});

test('who comes within the notice is taken, and told with the others', async () => {
  const local = await LocalServer.forTest({
    ...SPREAD,
    DRAIN_NOTICE_MS: '300',
    DRAIN_SPREAD_MIN_MS: '100',
    DRAIN_SPREAD_MAX_MS: '100',
  });
  const early = await TestClient.hello(local.url);
  const drained = local.server.drain();
  const late = await TestClient.hello(local.url);
  expect(late.of('closing')).toEqual([]);
  const slots = await told([early, late]);
  expect(slots.map(({ afterMs }) => afterMs).toSorted((a, b) => a - b)).toEqual([50, 100]);
  await drained;
});

test('twice is once, and who was told is not told again', async () => {
  const local = await LocalServer.forTest({
    ...SPREAD,
    DRAIN_SPREAD_MIN_MS: '200',
    DRAIN_SPREAD_MAX_MS: '200',
  });
  const [client] = await clients(local, 1);
  const first = local.server.drain();
  expect(local.server.drain()).toBe(first);
  await first;
  await local.server.drain();
  expect(client?.of('closing')).toHaveLength(1);
});

test('a close during the drain ends it at once', async () => {
  const local = await LocalServer.forTest({
    ...SPREAD,
    DRAIN_SPREAD_MIN_MS: '30000',
    DRAIN_SPREAD_MAX_MS: '30000',
  });
  const all = await clients(local, 5);
  void local.server.drain();
  await told(all);
  await local.server.close();
  for (const client of all) expect(await client.closed).toMatchObject({ code: 1001 });
});

describe('the spread', () => {
  const settings = { drainSpreadMinMs: 5000, drainSpreadMaxMs: 30_000 };

  test.each([
    [0, 0],
    [1, 5000],
    [2500, 5000],
    [5000, 10_000],
    [15_000, 30_000],
    [1_000_000, 30_000],
  ])('of %i connections is %i ms', (connections, ms) => {
    expect(spreadMs(connections, settings)).toBe(ms);
  });
});
