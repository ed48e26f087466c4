import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { CommandLink, TOPOLOGY_PATIENCE_MS } from '../../../src/broker/redis/command-link.ts';
import { createKeys } from '../../../src/broker/redis/keys.ts';
import type { RedisTarget } from '../../../src/broker/redis/redis-target.ts';
import { loadScripts } from '../../../src/broker/redis/scripts.ts';
import { systemClock as clock, systemRandom as random } from '../../../src/ops/system-clock.ts';
import { watchRejections } from '../../support/broker-rig.ts';
import { startFaultProxy, type FaultProxy } from '../../support/fault-proxy.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { freePort, startRedis, type RedisServer } from '../../support/redis-server.ts';

const scripts = loadScripts();
let server: RedisServer;
let client: Redis;
let proxy: FaultProxy;
let rejections: ReturnType<typeof watchRejections>;
const printed = vi.spyOn(console, 'error');
beforeAll(async () => {
  server = await startRedis();
  client = await server.client();
  rejections = watchRejections();
});
afterAll(async () => {
  await server.stop();
  rejections.stop();
  expect(rejections.seen).toEqual([]);
  expect(printed.mock.calls).toEqual([]);
});

const links: CommandLink[] = [];
beforeEach(async () => {
  proxy = await startFaultProxy(server.port);
});
afterEach(async () => {
  for (const link of links.splice(0)) link.stop();
  await proxy.close();
});

function started(target: RedisTarget, redisDeadlineMs = 400) {
  const logger = createRecordingLogger();
  const link = new CommandLink({ settings: { redisDeadlineMs }, target, clock, random, logger, scripts });
  const changes: boolean[] = [];
  link.onUsable((usable) => changes.push(usable));
  links.push(link);
  link.start();
  const until = (usable: boolean) =>
    vi.waitFor(() => expect(link.usable).toBe(usable), { timeout: 5_000, interval: 1 });
  return { link, logger, changes, until };
}

async function usable(port = proxy.port, redisDeadlineMs?: number): Promise<ReturnType<typeof started>> {
  const parts = started({ host: '127.0.0.1', port }, redisDeadlineMs);
  await parts.until(true);
  return parts;
}

const keys = createKeys('link:');
const canary = (link: CommandLink) => link.run('canary', [keys.canary()], [keys.canary(), 'PUBLISH', '60']);
const unavailable = { name: 'BrokerError', code: 'unavailable' };
const unknownOutcome = { name: 'BrokerError', code: 'unknown_outcome' };

describe('a commands link', () => {
  it('is usable once the scripts are loaded and the time of Redis is known', async () => {
    await client.script('FLUSH');
    const { link } = started({ host: '127.0.0.1', port: server.port });
    expect(link.deadline()).toBe('1');
    await expect(canary(link)).rejects.toMatchObject(unavailable);
    await vi.waitFor(() => expect(link.usable).toBe(true));
    const loaded = (await client.script(
      'EXISTS',
      ...[...scripts.values()].map(({ sha1 }) => sha1),
    )) as number[];
    expect(loaded).toEqual(Array(scripts.size).fill(1));
    const [seconds, micros] = (await client.time()).map(Number) as [number, number];
    const redisMs = seconds * 1_000 + micros / 1_000;
    expect(Math.abs(Number(link.deadline()) - (redisMs + 400))).toBeLessThan(100);
    expect(link.identity).toBe(/run_id:(\w+)/.exec(await client.info('server'))?.[1]);
  });

  it('selects its database, and is not usable where Redis refuses that', async () => {
    // ioredis went on in database 0: two deployments that were told apart by numbers beyond 15 met there.
    const { link, until } = started({ host: '127.0.0.1', port: server.port, db: 3 });
    await until(true);
    await link.call('SET', 'where', 'db 3');
    expect(await client.get('where')).toBeNull();
    const beyond = started({ host: '127.0.0.1', port: server.port, db: 16 });
    await vi.waitFor(() =>
      expect(beyond.logger.lines.map(({ fields }) => fields['reason'])).toContainEqual(
        expect.stringContaining('DB index is out of range'),
      ),
    );
    expect(beyond.changes).toEqual([]);
  });

  it('gives every command of a broken link `unknown_outcome`, and is usable again right away', async () => {
    const { link, until, changes } = await usable();
    proxy.setMode('swallow-replies');
    const asked = [link.call('ping'), canary(link), link.runBuffers('read', ['a', 'b'], ['', '', '', '1'])];
    for (const one of asked) one.catch(() => undefined);
    await delay(20);
    proxy.setMode('cut');
    for (const one of asked) await expect(one).rejects.toMatchObject(unknownOutcome);
    await expect(link.call('ping')).rejects.toMatchObject(unavailable);
    proxy.setMode('pass');
    await until(true);
    expect(await link.call('ping')).toBe('PONG');
    expect(changes).toEqual([true, false, true]);
  });

  it('ends a link on which a command is not answered in time, and with it everything in flight', async () => {
    const { link, until, logger } = await usable(proxy.port, 300);
    proxy.setMode('blackhole');
    const from = performance.now();
    const first = link.call('ping');
    await delay(150);
    const second = link.call('ping');
    second.catch(() => undefined);
    await expect(first).rejects.toMatchObject(unknownOutcome);
    expect(performance.now() - from).toBeGreaterThan(290);
    const ended = performance.now();
    await expect(second).rejects.toMatchObject(unknownOutcome);
    expect(performance.now() - ended).toBeLessThan(50);
    expect(logger.saying('Redis link lost')[0]?.fields.reason).toBe('no answer for 300 ms');
    proxy.setMode('cut');
    proxy.setMode('pass');
    await until(true);
  });

  it('does not end a link whose answers are there, only because this process was busy', async () => {
    const { link, changes } = await usable(server.port, 300);
    const asked = Array.from({ length: 50 }, (_, index) => link.call('echo', String(index)));
    // The commands leave at the end of this turn; then nothing is read for longer than their deadline.
    await new Promise((resolve) => setImmediate(resolve));
    const from = performance.now();
    while (performance.now() - from < 400);
    expect(await Promise.all(asked)).toHaveLength(50);
    expect(changes).toEqual([true]);
  });

  it('writes what is sent in one turn at once', async () => {
    const { link } = await usable(server.port);
    const before = await client.info('stats');
    await Promise.all(Array.from({ length: 500 }, () => link.call('ping')));
    const after = await client.info('stats');
    const reads = (info: string) => Number(/total_reads_processed:(\d+)/.exec(info)?.[1]);
    expect(reads(after) - reads(before)).toBeLessThan(20);
  });

  it('mends a missing script without an error, also while scripts are flushed all the time', async () => {
    const { link, logger } = await usable(server.port);
    let flushes = 0;
    let running = true;
    const storm = (async () => {
      for (; running; flushes += 1) {
        await client.script('FLUSH');
        await delay(2);
      }
    })();
    const counters: number[] = [];
    for (let round = 0; round < 60; round += 1) {
      const replies = await Promise.all(Array.from({ length: 20 }, () => canary(link)));
      for (const reply of replies) counters.push((reply as [number])[0]);
      await delay(1);
    }
    running = false;
    await storm;
    expect(counters).toHaveLength(1_200);
    expect(new Set(counters).size).toBe(1_200);
    const missed = logger.saying('script was missing').length;
    expect(missed).toBeGreaterThan(0);
    // One SCRIPT LOAD for all calls that missed it together.
    expect(missed).toBeLessThanOrEqual(flushes * 3);
  });

  it('sends a batch as one step: all of it, or nothing', async () => {
    const { link } = await usable();
    const calls = [1, 2, 3].map(() => ({ keys: [keys.canary()], args: [keys.canary(), 'PUBLISH', '60'] }));
    await client.script('FLUSH');
    expect((await link.sendBatch('canary', calls)).map((outcome) => outcome.kind)).toEqual(
      Array(3).fill('error'),
    );
    const outcomes = await link.sendBatch('canary', calls);
    const counters = outcomes.map((outcome) =>
      outcome.kind === 'reply' ? (outcome.value as [number])[0] : undefined,
    );
    const [first = 0] = counters;
    expect(counters).toEqual([first, first + 1, first + 2]);
    proxy.setMode('swallow-replies');
    const lost = link.sendBatch('canary', calls);
    await delay(20);
    proxy.setMode('cut');
    expect((await lost).map((outcome) => outcome.kind)).toEqual(Array(3).fill('lost'));
    expect((await link.sendBatch('canary', calls)).map((outcome) => outcome.kind)).toEqual(
      Array(3).fill('not_sent'),
    );
  });

  it('answers `unavailable` while Redis is busy with a slow script, and keeps the link', async () => {
    await client.config('SET', 'busy-reply-threshold', '20');
    const { link, changes } = await usable(server.port, 2_000);
    const slow = await server.client();
    const looping = slow.call('eval', 'while true do end', '0').catch(() => undefined);
    await delay(100);
    await expect(canary(link)).rejects.toMatchObject(unavailable);
    await client.script('KILL');
    await looping;
    await canary(link);
    expect(changes).toEqual([true]);
  });

  it('connects again when Redis has taken no writes for three seconds', async () => {
    const { link, logger } = await usable(server.port);
    await client.replicaof('127.0.0.1', await freePort());
    const from = performance.now();
    while (performance.now() - from < TOPOLOGY_PATIENCE_MS - 500) {
      await expect(canary(link)).rejects.toMatchObject(unavailable);
      await delay(100);
    }
    expect(logger.saying('Redis link lost')).toEqual([]);
    await vi.waitFor(
      async () => {
        await canary(link).catch(() => undefined);
        expect(logger.saying('Redis link lost')[0]?.fields.reason).toMatch(/^READONLY/);
      },
      { timeout: 2_000 },
    );
    await client.replicaof('NO', 'ONE');
    await vi.waitFor(() => canary(link));
  });

  it('does not become usable while Redis refuses its scripts, and says why', async () => {
    await client.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-script|load');
    const { link, logger } = started({
      host: '127.0.0.1',
      port: server.port,
      username: 'limited',
      password: 'pw',
    });
    await vi.waitFor(() =>
      expect(logger.saying('Redis cannot be reached yet')[0]?.fields.reason).toMatch(/^NOPERM/),
    );
    expect(link.usable).toBe(false);
    await client.call('ACL', 'SETUSER', 'limited', '+script|load');
    await vi.waitFor(() => expect(link.usable).toBe(true), { timeout: 5_000 });
  });
});

describe('TLS', () => {
  it('is spoken, and the certificate is checked', async () => {
    const plain = await startRedis();
    const file = (name: string) => join(plain.dir, name);
    try {
      const request = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ];
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      execFileSync(
        'openssl',
        [...request, ...subject, '-keyout', file('key.pem'), '-out', file('cert.pem')],
        {
          stdio: 'ignore',
        },
      );
    } catch (error) {
      await plain.stop();
      throw new Error('the openssl program is needed to make a certificate', { cause: error });
    }
    try {
      const port = await freePort();
      const admin = await plain.client();
      await admin.config('SET', 'tls-cert-file', file('cert.pem'), 'tls-key-file', file('key.pem'));
      await admin.config('SET', 'tls-ca-cert-file', file('cert.pem'), 'tls-auth-clients', 'no');
      await admin.config('SET', 'tls-port', String(port));
      const ca = readFileSync(file('cert.pem'), 'utf8');
      const trusting = started({ host: '127.0.0.1', port, tls: { ca } });
      await trusting.until(true);
      expect(await trusting.link.call('ping')).toBe('PONG');
      const wary = started({ host: '127.0.0.1', port, tls: true });
      await vi.waitFor(() =>
        expect(wary.logger.saying('Redis cannot be reached yet')[0]?.fields.reason).toMatch(/self.signed/),
      );
      expect(wary.link.usable).toBe(false);
    } finally {
      for (const link of links.splice(0)) link.stop();
      await plain.stop();
    }
  });
});
