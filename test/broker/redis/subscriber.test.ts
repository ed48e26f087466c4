import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../../src/core/clock.ts';
import { createKeys } from '../../../src/broker/redis/keys.ts';
import { Subscriber } from '../../../src/broker/redis/subscriber.ts';
import { systemClock, systemRandom as random } from '../../../src/ops/system-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

const keys = createKeys('sub:');

/** A minute passes in a fifth of a second; everything else is real. */
const hastyClock: Clock = {
  ...systemClock,
  every: (ms, run) => systemClock.every(ms >= 60_000 ? 200 : ms, run),
};

let server: RedisServer;
let client: Redis;
let middle: Server;
/** The sockets from the middle to Redis, oldest first: a test may speak there in the name of the subscriber. */
let upstream: Socket[];
beforeAll(async () => {
  server = await startRedis();
  client = await server.client();
  middle = createServer((near) => {
    const far = connect(server.port, '127.0.0.1');
    upstream.push(far);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => middle.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  middle.close();
  await server.stop();
});

let subscriber: Subscriber | undefined;
afterEach(() => subscriber?.stop());

function started() {
  upstream = [];
  const told: string[] = [];
  const logger = createRecordingLogger();
  subscriber = new Subscriber(
    {
      settings: { redisDeadlineMs: 1_000 },
      target: { host: '127.0.0.1', port: (middle.address() as AddressInfo).port },
      clock: hastyClock,
      random,
      logger,
      keys,
    },
    {
      heard: (room, payload) => told.push(`${room}: ${payload.toString()}`),
      canaryHeard: (payload) => told.push(`canary: ${payload.toString()}`),
      listening: () => told.push('listening'),
      lost: () => told.push('lost'),
      resubscribed: (room) => told.push(`resubscribed ${room}`),
      complete: () => told.push('complete'),
    },
  );
  subscriber.start();
  const until = (what: string) =>
    vi.waitFor(() => expect(told).toContain(what), { timeout: 3_000, interval: 2 });
  return { subscriber, told, logger, until };
}

describe('the subscriber link', () => {
  it('hears rooms and the canary, and nothing of rooms that were left', async () => {
    const { subscriber: link, told, until } = started();
    await link.rooms.subscribe('one');
    expect(told).toEqual(['listening', 'complete']);
    await client.publish(keys.channel('one'), 'a');
    await client.publish(keys.canary(), 'b');
    await until('canary: b');
    const left = link.rooms.unsubscribe('one');
    // Still subscribed at Redis: the UNSUBSCRIBE leaves at the end of this turn.
    await client.publish(keys.channel('one'), 'late');
    await left;
    await client.publish(keys.canary(), 'c');
    await until('canary: c');
    expect(told).toEqual(['listening', 'complete', 'one: a', 'canary: b', 'canary: c']);
    expect(link.identity).toBe(/run_id:(\w+)/.exec(await client.info('server'))?.[1]);
  });

  it('hears everything Redis sends from the moment it subscribes, also before `subscribe` returns', async () => {
    const { subscriber: link, told, until } = started();
    await until('complete');
    let sent = 0;
    let publishing = true;
    const flood = (async () => {
      while (publishing) {
        const receivers = Array.from({ length: 50 }, () => client.publish(keys.channel('one'), 'x'));
        for (const count of await Promise.all(receivers)) sent += count;
      }
    })();
    await delay(20);
    await link.rooms.subscribe('one');
    await delay(50);
    publishing = false;
    await flood;
    await client.publish(keys.canary(), 'end');
    await until('canary: end');
    expect(sent).toBeGreaterThan(100);
    expect(told.filter((event) => event === 'one: x')).toHaveLength(sent);
  });

  it('opens a new link when Redis no longer holds the channels it should', async () => {
    const { subscriber: link, told, logger, until } = started();
    await link.rooms.subscribe('one');
    await link.rooms.subscribe('two');
    // In the name of the subscriber, behind its back.
    const channel = keys.channel('two');
    upstream[0]?.write(`*2\r\n$11\r\nUNSUBSCRIBE\r\n$${channel.length}\r\n${channel}\r\n`);
    await until('lost');
    await until('resubscribed two');
    expect(logger.saying('Redis link lost')[0]?.fields.reason).toBe('Redis holds 2 channels instead of 3');
    await client.publish(channel, 'again');
    await until('two: again');
    const losses = told.filter((event) => event === 'lost').length;
    await delay(500);
    expect(told.filter((event) => event === 'lost').length).toBe(losses);
  });

  it('finds nothing wrong while rooms come and go during the check', async () => {
    const { subscriber: link, told } = started();
    const until = performance.now() + 900;
    for (let index = 0; performance.now() < until; index += 1) {
      const room = `room${index % 50}`;
      if (Math.random() < 0.5) link.rooms.subscribe(room).catch(() => undefined);
      else void link.rooms.unsubscribe(room);
      if (index % 7 === 0) await delay(0);
    }
    expect(told.filter((event) => event === 'lost')).toEqual([]);
  });
});
