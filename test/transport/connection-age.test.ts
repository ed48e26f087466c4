/** The age of connections: a proxy that was reloaded keeps its old process until the last of its tunnels ends. */
import { describe, expect, test } from 'vitest';
import { WsHeartbeat } from '../../src/transport/ws-heartbeat.ts';
import { createFakeClock, createSeededRandom } from '../support/fake-clock.ts';
import { LocalServer } from '../support/local-server.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { TestClient } from '../support/test-client.ts';

const HOUR_S = 3600;
const PING_MS = 25_000;

interface Aging {
  beats: number;
  /** When it was found too old, in s since it came. */
  foundS: number[];
  beat(): void;
}

function begin(connectionAgeMaxS: number, pingIntervalMs = PING_MS) {
  const clock = createFakeClock();
  const settings = { pingIntervalMs, connectionAgeMaxS };
  const came = new Map<Aging, number>();
  const heartbeat = new WsHeartbeat<Aging>(clock, createSeededRandom(3), settings, (connection) =>
    connection.foundS.push((clock.now() - (came.get(connection) ?? 0)) / 1000),
  );
  heartbeat.start();
  const add = (): Aging => {
    const connection = { beats: 0, foundS: [] as number[], beat: () => void (connection.beats += 1) };
    came.set(connection, clock.now());
    heartbeat.add(connection);
    return connection;
  };
  return { clock, heartbeat, add };
}

describe('a connection', () => {
  test('is too old after 4 h, 25 % more or less, and each at another time', () => {
    const { clock, heartbeat, add } = begin(4 * HOUR_S);
    const all = Array.from({ length: 200 }, () => add());
    // Who was found is gone, as on a real node.
    for (let ms = 0; ms < 6 * HOUR_S * 1000; ms += 1000) {
      clock.advance(1000);
      for (const one of all) if (one.foundS.length > 0) heartbeat.remove(one);
    }
    const ages = all.map(({ foundS }) => foundS[0] ?? Number.NaN).toSorted((a, b) => a - b);
    expect(ages[0]).toBeGreaterThanOrEqual(3 * HOUR_S);
    expect(ages.at(-1)).toBeLessThanOrEqual(5 * HOUR_S + PING_MS / 1000);
    // Evenly: of 200 that came at once at most a handful go in any five minutes of the two hours.
    for (let fromS = 3 * HOUR_S; fromS < 5 * HOUR_S; fromS += 300) {
      expect(ages.filter((age) => age >= fromS && age < fromS + 300).length).toBeLessThan(25);
    }
    expect(all.every(({ foundS }) => foundS.length === 1)).toBe(true);
  });

  test('is not too old a moment sooner, whenever within a second it came', () => {
    const { clock, heartbeat, add } = begin(4, 250);
    const all: Aging[] = [];
    for (let n = 0; n < 50; n += 1) {
      clock.advance(37);
      all.push(add());
    }
    for (let ms = 0; ms < 10_000; ms += 250) {
      clock.advance(250);
      for (const one of all) if (one.foundS.length > 0) heartbeat.remove(one);
    }
    expect(Math.min(...all.map(({ foundS }) => foundS[0] ?? 0))).toBeGreaterThanOrEqual(3);
  });

  test('costs no timer of its own', () => {
    const { clock, add } = begin(4 * HOUR_S);
    const before = clock.pendingTimers();
    for (let n = 0; n < 1000; n += 1) add();
    expect(clock.pendingTimers()).toBe(before);
  });

  test('is said to be too old again and again while nobody ends it: it may not have been the time', () => {
    const { clock, add } = begin(100);
    const one = add();
    clock.advance(300_000);
    expect(one.foundS.length).toBeGreaterThan(5);
  });

  test('is never too old where the setting is 0, and is pinged all the same', () => {
    const { clock, add } = begin(0);
    const one = add();
    clock.advance(48 * HOUR_S * 1000);
    expect(one.foundS).toEqual([]);
    expect(one.beats).toBe((48 * HOUR_S * 1000) / PING_MS);
  });
});

const YOUNG = { CONNECTION_AGE_MAX_S: '2', PING_INTERVAL_MS: '100' };

test('on the wire: closing now, 1012, and a client resumes without anybody noticing', async () => {
  const local = await LocalServer.forTest({ ...YOUNG, PRESENCE_HOLD_MS: '5000' });
  const anna = await TestClient.hello(local.url, 'anna');
  await anna.join('room');
  await anna.publish('room', 'before');
  const silent = await RawPeer.open(local.port, { answersPings: true });
  expect(await anna.next('closing')).toEqual({
    type: 'closing',
    code: 1012,
    reason: 'this connection is old; come back at once and resume',
    reconnect: 'now',
  });
  expect(await anna.closed).toMatchObject({ code: 1012 });
  expect(await silent.closed()).toBe(1012);
  expect(anna.of('closing')).toHaveLength(1);
  const again = await TestClient.hello(local.url, 'anna');
  expect(await again.join('room', { since: anna.position('room') })).toMatchObject({
    recovered: true,
    messages: [],
    count: 1,
  });
  await again.close();
});

test('while the node is not ready nobody is sent away: there may be nowhere to go', async () => {
  // A Redis that is not there: connections stay, however long that lasts.
  const local = await LocalServer.forTest({ ...YOUNG, REDIS_MODE: 'on', REDIS_URL: 'redis://127.0.0.1:1' });
  const peer = await RawPeer.open(local.port);
  peer.say({ type: 'hello' });
  await peer.text('status');
  const pings = () => peer.received.filter(({ opcode }) => opcode === 9).length;
  await peer.until(() => pings() >= 40, 'ping for as long as 4 s', 20_000);
  expect(peer.closeCode).toBeUndefined();
});

test('in a drain everybody keeps the moment that was told', async () => {
  const local = await LocalServer.forTest({
    ...YOUNG,
    DRAIN_NOTICE_MS: '0',
    DRAIN_SPREAD_MIN_MS: '4000',
    DRAIN_SPREAD_MAX_MS: '4000',
  });
  const anna = await TestClient.hello(local.url, 'anna');
  const drained = local.server.drain();
  expect(await anna.next('closing')).toMatchObject({ code: 1012, reconnect: 'after', afterMs: 4000 });
  await drained;
  expect(anna.of('closing')).toHaveLength(1);
});
