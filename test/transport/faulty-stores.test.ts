/**
 * What only a store in trouble or a strict access port brings about, over real
 * sockets: the error codes that an open, healthy server never says, and the
 * `status` frames.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Broker, BrokerError, type BrokerEvents } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { loadConfig } from '../../src/config.ts';
import type { Clock } from '../../src/core/clock.ts';
import { type Access, openAccess } from '../../src/node/access.ts';
import { Node } from '../../src/node/node.ts';
import { Refusal } from '../../src/node/refusal.ts';
import { systemClock, systemRandom } from '../../src/ops/system-clock.ts';
import { ERRORS } from '../../src/protocol/codes.ts';
import { listen } from '../support/local-listener.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';
import { TestClient } from '../support/test-client.ts';

/** Rooms whose reads fail, and what publishes fail with. */
interface Faults {
  publish?: Error;
  readonly unreadable: Set<string>;
}

/** What is done every five seconds is done every 50 ms here. */
const hasty: Clock = { ...systemClock, every: (ms, run) => systemClock.every(ms / 100, run) };

const strict: Access = {
  identify(hello, connection) {
    if (hello.user === 'nobody') throw new Refusal('unauthorized', 'a token is needed here');
    return openAccess.identify(hello, connection);
  },
  permits: (_session, action, room) => room !== 'secret' && !(room === 'read-only' && action === 'publish'),
};

async function start(env: Record<string, string> = {}) {
  const { config } = loadConfig({ env: { NODE_NAME: 'faulty', ...env }, hostname: 'faulty' });
  const logger = createRecordingLogger();
  const { broker, presence } = createMemoryBroker({
    settings: config,
    clock: systemClock,
    random: systemRandom,
  });
  const faults: Faults = { unreadable: new Set() };
  let events: BrokerEvents | undefined;
  const faulty: Broker = {
    start(given) {
      events = given;
      broker.start(given);
    },
    stop: () => broker.stop(),
    subscribe: (room) => broker.subscribe(room),
    unsubscribe: (room) => broker.unsubscribe(room),
    publish: (request) => (faults.publish ? Promise.reject(faults.publish) : broker.publish(request)),
    signal: (room, signal) => broker.signal(room, signal),
    read: (room, since, limit) =>
      faults.unreadable.has(room)
        ? Promise.reject(new BrokerError('unavailable', 'no answer'))
        : broker.read(room, since, limit),
    history: (room, query) => broker.history(room, query),
    readMark: (room) => broker.readMark(room),
    markRead: (room, position) => broker.markRead(room, position),
    health: () => broker.health(),
  };
  const node = new Node({
    broker: faulty,
    presence,
    clock: hasty,
    random: systemRandom,
    logger,
    access: strict,
    serverName: 'roomcast/0.0.0',
    settings: config,
  });
  const { port } = await listen({ opened: (connection) => node.opened(connection) });
  node.start();
  onTestFinished(() => node.stop());
  if (!events) throw new Error('the broker was not started');
  return { url: `ws://127.0.0.1:${port}/ws`, faults, logger, events };
}

describe('an error, with the connection usable after it', () => {
  test('unauthorized, and hello may be said again', async () => {
    const { url } = await start();
    const client = await TestClient.open(url);
    expect(await client.request({ type: 'hello', user: 'nobody' })).toMatchObject({
      type: 'error',
      code: 'unauthorized',
      retryable: ERRORS.unauthorized.retryable,
    });
    expect(await client.request({ type: 'hello', user: 'anna' })).toMatchObject({
      type: 'welcome',
      user: 'anna',
    });
    await client.close();
  });

  test('forbidden, by room and by action', async () => {
    const { url } = await start();
    const client = await TestClient.hello(url);
    expect(await client.join('secret')).toMatchObject({
      code: 'forbidden',
      retryable: false,
      room: 'secret',
    });
    expect(await client.join('read-only')).toMatchObject({ type: 'joined' });
    expect(await client.publish('read-only', 1)).toMatchObject({ code: 'forbidden', room: 'read-only' });
    expect(await client.request({ type: 'signal', room: 'read-only', data: 1 })).toMatchObject({
      type: 'ok',
    });
    await client.close();
  });

  test.each([
    ['unavailable', new BrokerError('unavailable', 'Redis is away')],
    ['unknown_outcome', new BrokerError('unknown_outcome', 'no answer in time')],
  ] as const)('%s, and the same request works a moment later', async (code, fault) => {
    const { url, faults, logger } = await start();
    const client = await TestClient.hello(url);
    await client.join('r');
    faults.publish = fault;
    expect(await client.publish('r', 1, 'k')).toMatchObject({
      type: 'error',
      code,
      retryable: true,
      room: 'r',
    });
    delete faults.publish;
    expect(await client.publish('r', 1, 'k')).toMatchObject({ type: 'ok', seq: 1 });
    expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
    await client.close();
  });

  test('internal, logged with the id and without its details on the wire', async () => {
    const { url, faults, logger } = await start();
    const client = await TestClient.hello(url);
    await client.join('r');
    faults.publish = new TypeError('undefined is not a function');
    const error = await client.request({ type: 'publish', room: 'r', data: 1 });
    expect(error).toMatchObject({ type: 'error', code: 'internal', retryable: true });
    expect(JSON.stringify(error)).not.toContain('undefined is not');
    expect(logger.lines.filter(({ level }) => level === 'error')).toMatchObject([
      { fields: { id: error['id'] } },
    ]);
    delete faults.publish;
    expect(await client.publish('r', 1)).toMatchObject({ type: 'ok' });
    await client.close();
  });
});

describe('status', () => {
  const told = (client: TestClient) => client.of('status').map((frame) => frame['redis']);

  test('down and up reach everybody once, up after the rooms were healed', async () => {
    const { url, events, faults } = await start();
    const [inRoom, idle] = [await TestClient.hello(url), await TestClient.hello(url)];
    await inRoom.join('a');
    events.linkLost();
    events.status('down');
    events.status('down');
    await Promise.all([inRoom.next('status'), idle.next('status')]);
    faults.unreadable.add('a');
    events.status('up');
    events.subscribed('a', true);
    await idle.next('status');
    expect(await inRoom.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
    expect(told(inRoom)).toEqual(['down']);
    faults.unreadable.delete('a');
    await inRoom.next('status');
    expect([told(inRoom), told(idle)]).toEqual([
      ['down', 'up'],
      ['down', 'up'],
    ]);
    for (const client of [inRoom, idle]) await client.close();
  });

  test('down comes right after the welcome of who arrives meanwhile', async () => {
    const { url, events } = await start();
    events.linkLost();
    events.status('down');
    const client = await TestClient.hello(url);
    await client.next('status');
    expect(client.frames.map((frame) => frame.type)).toEqual(['welcome', 'status']);
    events.status('up');
    expect(await client.next('status')).toMatchObject({ redis: 'up' });
    await client.close();
  });

  test('up reaches also who leaves the last room that was not healed', async () => {
    const { url, events, faults } = await start();
    const client = await TestClient.hello(url);
    await client.join('a');
    await client.join('b');
    events.linkLost();
    events.status('down');
    await client.next('status');
    faults.unreadable.add('b');
    events.status('up');
    for (const room of ['a', 'b']) events.subscribed(room, true);
    expect(await client.request({ type: 'leave', room: 'b' })).toMatchObject({ type: 'ok' });
    expect(await client.next('status', 3000)).toMatchObject({ redis: 'up' });
    await client.close();
  });

  test('up reaches also who was behind when its room was healed, once it caught up', async () => {
    const { url, events } = await start({ LIMIT_OUTBOX_BYTES: '32768' });
    const [slow, publisher] = [await TestClient.hello(url), await TestClient.hello(url)];
    for (const client of [slow, publisher]) await client.join('a');
    slow.socket.pause();
    const messages = 400;
    for (let sent = 0; sent < messages; sent += 1) await publisher.publish('a', 'x'.repeat(30_000));
    events.linkLost();
    events.status('down');
    events.status('up');
    events.subscribed('a', true);
    await publisher.find((frame) => frame['redis'] === 'up');
    slow.socket.resume();
    await slow.find((frame) => frame['redis'] === 'up');
    expect(slow.frames.at(-1)).toMatchObject({ type: 'status', redis: 'up' });
    expect(slow.of('message')).toHaveLength(messages);
    expect(slow.violations).toEqual([]);
    for (const client of [slow, publisher]) await client.close();
  });
});
