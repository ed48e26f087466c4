/**
 * The step most scenarios are made of: publish at a fixed rate for a while and
 * see what came, when, and what it cost. Warms up at the same rate first,
 * because a server's first seconds are its compiler's.
 */
import { percentileMs } from '../generator/histogram.ts';
import { cpuSeconds, isRunning } from '../machine/processes.ts';
import { GENERATOR_BOUND_NOTE, isGeneratorBound } from './generator-bound.ts';
import { watchGenerator } from './generator-watch.ts';
import { keptUp } from './kept-up.ts';
import type { Figures } from './scenario.ts';
import type { Session } from './session.ts';
import { type StallWatch, watchStalls } from './stalls.ts';

/** A message that is this late has been delivered, but not in time. */
const GRACE_MS = 1000;
/** An overloaded server gets this long to work off its backlog before what is missing counts as lost. */
const SETTLE_MS = 15_000;
/** Unless it has sent nothing for so long that nothing more will come. */
const QUIET_MS = 1500;
/** What a server owes of the warm-up must not come in the measurement, where it would count as delivered in time. */
const BACKLOG_MS = 60_000;

export interface RateOrder {
  readonly perSecond: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly payloadBytes: number;
}

export async function measureRate(session: Session, order: RateOrder): Promise<Figures> {
  await warmUp(session, order);
  await session.load.phase();
  const stalls = watchStalls(session.running);
  try {
    return await measured(session, order, stalls);
  } finally {
    stalls.stop();
  }
}

async function warmUp({ load }: Session, order: RateOrder): Promise<void> {
  if (order.warmupSeconds === 0) return;
  await load.phase();
  const owed = load.owed(await load.publish({ ...order, seconds: order.warmupSeconds }));
  const beganAt = performance.now();
  const delivered = await load.settle(owed, BACKLOG_MS, QUIET_MS);
  // Quiet before that: what has not come is lost, and will not come later either.
  if (delivered < owed && performance.now() - beganAt >= BACKLOG_MS) {
    throw new Error(`it still sends the ${order.warmupSeconds} s of warm-up after ${BACKLOG_MS / 1000} s`);
  }
}

async function measured(session: Session, order: RateOrder, stalls: StallWatch): Promise<Figures> {
  const { load, serverPids, redisPids } = session;
  const generator = watchGenerator(session);
  const cpuBefore = cpuSeconds(serverPids);
  const redisBefore = cpuSeconds(redisPids);
  const beganAt = performance.now();
  const published = await load.publish(order);
  const counts = await load.count();
  const busyPercent = generator();
  const owed = load.owed(published);
  const inTime = await load.settle(owed, GRACE_MS);
  const delivered = inTime < owed ? await load.settle(owed, SETTLE_MS, QUIET_MS) : inTime;
  const cpu = cpuSeconds(serverPids) - cpuBefore;
  const redisCpu = cpuSeconds(redisPids) - redisBefore;
  const working = (performance.now() - beganAt) / 1000;
  const stallMs = await stalls.end();
  const gone = serverPids.filter((pid) => !isRunning(pid));
  if (gone.length > 0)
    throw new Error(`${gone.length} of ${serverPids.length} servers ended while it was measured`);
  const sampled = await load.sample();
  if (sampled.messages !== sampled.markers) {
    throw new Error(`the generator counted ${sampled.messages} messages but read ${sampled.markers} markers`);
  }
  if (sampled.firstError !== undefined) throw new Error(`the server complained: ${sampled.firstError}`);
  const messages = published.counts.reduce((sum, count) => sum + count, 0);
  const seconds = (published.toUs - published.fromUs) / 1e6;
  const at = (percentile: number) => percentileMs(sampled.times, percentile);
  return {
    publishedPerSecond: messages / seconds,
    deliveredPerSecond: counts.reduce(
      (sum, one) => sum + (one.messages * 1e6) / (one.atUs - published.fromUs),
      0,
    ),
    inTimePercent: (100 * inTime) / owed,
    deliveredPercent: (100 * delivered) / owed,
    p50Ms: at(50),
    p95Ms: at(95),
    p99Ms: at(99),
    maxMs: percentileMs(sampled.times, 100),
    cpuUsPerDelivery: (cpu * 1e6) / delivered,
    withRedisUsPerDelivery: ((cpu + redisCpu) * 1e6) / delivered,
    // Of the same time: an overloaded server goes on working after the last publish.
    cpuPercent: (100 * cpu) / working,
    redisUsPerPublish: redisPids.length > 0 ? (redisCpu * 1e6) / messages : Number.NaN,
    missing: sampled.faults.missing,
    duplicates: sampled.faults.duplicates,
    disordered: sampled.faults.disordered,
    refused: published.refused,
    stallMs,
    generatorPercent: busyPercent,
    generatorLagMs: published.lagP99Us / 1000,
  };
}

/** Why a ramp ends at these figures: undefined where it goes on. */
export function endOfRamp(figures: Figures): { readonly note?: string } | undefined {
  if (keptUp(figures)) return undefined;
  return isGeneratorBound(figures) ? { note: `the ramp ended here, ${GENERATOR_BOUND_NOTE}` } : {};
}
