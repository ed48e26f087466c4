import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Receipt } from '../../../src/broker/broker.ts';
import { WINDOW_PUBLISHES } from '../../../src/broker/redis/publisher.ts';
import { loadScripts } from '../../../src/broker/redis/scripts.ts';
import { bodyOf, nameIn, startBroker, watchRejections, type BrokerRig } from '../../support/broker-rig.ts';
import { startFaultProxy, type FaultProxy } from '../../support/fault-proxy.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

let server: RedisServer;
let proxy: FaultProxy;
let rejections: ReturnType<typeof watchRejections>;
beforeAll(async () => {
  server = await startRedis();
  rejections = watchRejections();
});
afterAll(async () => {
  await server.stop();
  rejections.stop();
  expect(rejections.seen).toEqual([]);
});

let rig: BrokerRig | undefined;
let prefixes = 0;
beforeEach(async () => {
  proxy = await startFaultProxy(server.port);
});
afterEach(async () => {
  proxy.setMode('pass');
  await rig?.broker.stop();
  await proxy.close();
});

async function started(port: number, settings: Parameters<typeof startBroker>[1] = {}): Promise<BrokerRig> {
  prefixes += 1;
  rig = startBroker(port, { redisPrefix: `publisher${prefixes}:`, ...settings });
  await rig.status('up');
  return rig;
}

/** Patient enough for a machine with other work to do. */
const PATIENT = { redisDeadlineMs: 2_000, retryBudgetMs: 20_000 };
/** A publisher that waits for its answers somewhere: without this the test measures how fast the machine is. */
const OUTSTANDING_MAX = 1_000;

async function paced(sent: readonly Sent[]): Promise<void> {
  await delay(1);
  const before = sent[sent.length - OUTSTANDING_MAX];
  if (before) await Promise.allSettled([before.receipt]);
}

interface Sent {
  readonly lane: string;
  readonly room: string;
  readonly name: string;
  readonly receipt: Promise<Receipt>;
}

function send({ broker }: BrokerRig, room: string, lane: string, name: string): Sent {
  const receipt = broker.publish({ room, lane, user: 'ann', body: bodyOf(name).toString() });
  // The test looks at each of them at its end.
  receipt.catch(() => undefined);
  return { lane, room, name, receipt };
}

/** What Redis keeps of a room: the name of each message by its seq. */
async function keptNames(of: BrokerRig, room: string): Promise<Map<number, string>> {
  const client = await server.client();
  const entries = (await client.xrange(of.keys.log(room), '-', '+')) as [string, string[]][];
  client.disconnect();
  return new Map(
    entries.map(([id, [, logged = '']]) => [Number.parseInt(id, 10), nameIn(Buffer.from(logged.slice(1)))]),
  );
}

/** Each publish that was acknowledged is kept once, where its receipt says, and each lane kept its order. */
async function checkKept(of: BrokerRig, sent: readonly Sent[]): Promise<{ ok: number; failed: string[] }> {
  const failed: string[] = [];
  let ok = 0;
  await Promise.allSettled(sent.map(({ receipt }) => receipt));
  for (const room of new Set(sent.map((publish) => publish.room))) {
    const kept = await keptNames(of, room);
    const names = [...kept.values()];
    expect(new Set(names).size, 'a message was applied twice').toBe(names.length);
    const lastOfLane = new Map<string, number>();
    for (const publish of sent.filter((one) => one.room === room)) {
      const [result] = await Promise.allSettled([publish.receipt]);
      if (result.status === 'rejected') {
        failed.push((result.reason as { code: string }).code);
        if (failed.at(-1) === 'unavailable')
          expect(names, 'unavailable, yet applied').not.toContain(publish.name);
        continue;
      }
      ok += 1;
      const { seq } = result.value;
      expect(kept.get(seq), `receipt of ${publish.name}`).toBe(publish.name);
      expect(seq, `order of ${publish.lane}`).toBeGreaterThan(lastOfLane.get(publish.lane) ?? 0);
      lastOfLane.set(publish.lane, seq);
    }
  }
  return { ok, failed };
}

describe('publishing', () => {
  it('applies each of 10,000 publishes exactly once, in order, while answers vanish and the link is cut', {
    timeout: 90_000,
  }, async () => {
    const of = await started(proxy.port, PATIENT);
    const sent: Sent[] = [];
    let faults = 0;
    const chaos = (async () => {
      while (sent.length < 10_000) {
        await delay(10 + Math.random() * 30);
        // Each fault hits a link that works: the test is about outcomes, not about outages.
        while (!of.commands.usable) await delay(1);
        faults += 1;
        if (faults % 2 === 0) proxy.setMode('swallow-replies', (connection) => !connection.subscriber);
        await delay(5 + Math.random() * 10);
        proxy.cutOpen((connection) => !connection.subscriber);
        proxy.setMode('pass');
      }
    })();
    while (sent.length < 10_000) {
      for (let lane = 0; lane < 10; lane += 1) {
        sent.push(send(of, `room${lane % 3}`, `lane${lane}`, `m${sent.length}`));
      }
      await paced(sent);
    }
    await chaos;
    const { ok, failed } = await checkKept(of, sent);
    expect(faults).toBeGreaterThan(10);
    // A machine so busy that a reconnect takes 250 ms makes an outage of a cut: then some are refused, and only refused.
    const outages = of.heard.statuses().filter((status) => status === 'down').length;
    expect(failed.filter((code) => code !== 'unavailable' || outages === 0)).toEqual([]);
    expect(ok + failed.length).toBe(10_000);
    expect(ok).toBeGreaterThan(8_000);
  });

  it('neither fails nor reorders anything while others flush the scripts and load them again', {
    timeout: 90_000,
  }, async () => {
    const of = await started(server.port, PATIENT);
    const [flusher, loader] = [await server.client(), await server.client()];
    const source = loadScripts().get('publish')?.source ?? '';
    const sent: Sent[] = [];
    let flushes = 0;
    const storm = (async () => {
      while (sent.length < 20_000) {
        await flusher.script('FLUSH');
        flushes += 1;
        // Another node mends its own NOSCRIPT: our next publish may succeed where the one before it failed.
        await loader.script('LOAD', source);
        await delay(2);
      }
    })();
    while (sent.length < 20_000) {
      for (let i = 0; i < 40; i += 1) sent.push(send(of, `room${i % 2}`, `lane${i % 4}`, `m${sent.length}`));
      await paced(sent);
    }
    await storm;
    const { ok, failed } = await checkKept(of, sent);
    expect(failed).toEqual([]);
    expect(ok).toBe(20_000);
    expect(flushes).toBeGreaterThan(50);
    const missed = of.logger.lines.filter(({ message }) => message.startsWith('script was missing'));
    expect(missed.length, 'the flushes hit nothing').toBeGreaterThan(0);
  });

  it('lets nothing land after its caller gave up, when Redis was frozen', async () => {
    const of = await started(server.port, { redisDeadlineMs: 300, retryBudgetMs: 500 });
    await send(of, 'frozen', 'lane', 'before').receipt;
    server.pause();
    const stuck = Array.from({ length: 20 }, (_, index) => send(of, 'frozen', 'lane', `stuck${index}`));
    const results = await Promise.allSettled(stuck.map(({ receipt }) => receipt));
    server.resume();
    expect(results.map(({ status }) => status)).toEqual(stuck.map(() => 'rejected'));
    await of.status('up');
    const { seq } = await send(of, 'frozen', 'lane', 'after').receipt;
    // What was in the sockets of Redis has been handled by now: it came before this answer.
    const kept = await keptNames(of, 'frozen');
    expect([...kept.values()]).toEqual(['before', 'after']);
    expect(seq).toBe(2);
  });

  it('refuses at once while Redis is away, and works again afterwards', async () => {
    const of = await started(proxy.port);
    await send(of, 'room', 'lane', 'one').receipt;
    proxy.setMode('cut');
    await of.status('down');
    const asked = performance.now();
    await expect(send(of, 'room', 'lane', 'two').receipt).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - asked).toBeLessThan(300);
    proxy.setMode('pass');
    await of.status('up');
    expect(await send(of, 'room', 'lane', 'three').receipt).toMatchObject({ seq: 2, duplicate: false });
  });

  // On a machine so busy that a reconnect takes 250 ms, the blip is an outage: hence the retries.
  it('waits through a blip instead of refusing', { retry: 3 }, async () => {
    const of = await started(proxy.port);
    proxy.cutOpen();
    expect(await send(of, 'room', 'lane', 'one').receipt).toMatchObject({ seq: 1 });
    expect(of.heard.statuses()).toEqual(['up']);
  });

  it('says `unknown_outcome` when the answer never came, and tells the truth when asked again with the key', async () => {
    const of = await started(proxy.port, { redisDeadlineMs: 200, retryBudgetMs: 500 });
    const publish = { room: 'room', lane: 'lane', user: 'ann', key: 'k', body: bodyOf('one').toString() };
    proxy.setMode('swallow-replies');
    await expect(of.broker.publish(publish)).rejects.toMatchObject({ code: 'unknown_outcome' });
    proxy.setMode('cut');
    proxy.setMode('pass');
    await of.status('up');
    expect(await of.broker.publish(publish)).toMatchObject({ seq: 1, duplicate: true });
  });

  it('keeps what Redis cannot do yet here, where it is certainly not applied', async () => {
    const of = await started(server.port, { redisDeadlineMs: 300, retryBudgetMs: 600 });
    server.pause();
    const sent = Array.from({ length: 5_000 }, (_, index) =>
      send(of, 'room', `lane${index % 1_000}`, `m${index}`),
    );
    await Promise.allSettled(sent.map(({ receipt }) => receipt));
    server.resume();
    await of.status('up');
    const { ok, failed } = await checkKept(of, sent);
    expect(ok).toBe(0);
    const unsure = failed.filter((code) => code === 'unknown_outcome').length;
    expect(unsure).toBeGreaterThan(0);
    expect(unsure).toBeLessThan(WINDOW_PUBLISHES + 10);
  });

  it('answers `rate_limited` above the limit of one lane, and leaves other lanes alone', async () => {
    const of = await started(server.port, { limitInFlight: 3 });
    const lanes = [1, 2, 3, 4].map((index) => send(of, 'room', 'busy', `b${index}`));
    const other = send(of, 'room', 'calm', 'c');
    const codes = await Promise.allSettled(lanes.map(({ receipt }) => receipt));
    expect(codes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    await expect(lanes[3]?.receipt).rejects.toMatchObject({ code: 'rate_limited' });
    await other.receipt;
    await send(of, 'room', 'busy', 'b5').receipt;
  });

  it('refuses over maxmemory without a hole in the numbering, and goes on when there is room', async () => {
    const of = await started(server.port);
    const client = await server.client();
    await send(of, 'room', 'lane', 'one').receipt;
    await client.config('SET', 'maxmemory', '1');
    const refused = [1, 2, 3].map((index) => send(of, 'room', 'lane', `no${index}`));
    for (const { receipt } of refused) await expect(receipt).rejects.toMatchObject({ code: 'unavailable' });
    await client.config('SET', 'maxmemory', '0');
    expect(await send(of, 'room', 'lane', 'two').receipt).toMatchObject({ seq: 2 });
    expect(of.heard.statuses()).toEqual(['up']);
  });

  it('lets publishes under way finish when the node stops', async () => {
    const of = await started(server.port);
    const sent = Array.from({ length: 50 }, (_, index) => send(of, 'room', `lane${index % 5}`, `m${index}`));
    await of.broker.stop();
    const { ok, failed } = await checkKept(of, sent);
    expect([ok, failed]).toEqual([50, []]);
  });
});

describe('an idempotency key', () => {
  it('is remembered as long as promised where the client gave it, and briefly where the node minted it', async () => {
    const { broker, keys } = await started(server.port, { onceTtlMs: 120_000, retryBudgetMs: 5_000 });
    const publish = { room: 'keys', lane: 'l', user: 'ann', body: bodyOf('m').toString() };
    await broker.publish({ ...publish, key: 'given' });
    await broker.publish(publish);
    const client = await server.client();
    const given = keys.once('keys', 'ann', 'given');
    const all = await client.keys(`${given.slice(0, given.indexOf('{'))}*:once:*`);
    const minted = all.find((key) => key !== given) ?? '';
    expect(await client.pttl(given)).toBeGreaterThan(100_000);
    // As long as the node itself may resend, and no longer: half a million keys at 4,000 publishes/s.
    const mintedMs = await client.pttl(minted);
    expect(mintedMs).toBeGreaterThan(5_000);
    expect(mintedMs).toBeLessThanOrEqual(10_000);
    client.disconnect();
  });
});
