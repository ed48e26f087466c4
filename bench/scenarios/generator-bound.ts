/**
 * Rows that say something about the generator and not about the server: its
 * cores had no room left, or it published late, so what came late may have waited
 * there. They are kept and marked; nothing is concluded from them.
 */
import type { Figures } from './scenario.ts';

const GENERATOR_BOUND_PERCENT = 90;
/** p99 of how late it published, which is in every latency. Where it sleeps for a tick of 4 ms, 4 to 5 are its rest. */
const GENERATOR_LAG_MS = 10;

export function isGeneratorBound(figures: Figures): boolean {
  return (
    (figures['generatorPercent'] ?? 0) >= GENERATOR_BOUND_PERCENT ||
    (figures['generatorLagMs'] ?? 0) > GENERATOR_LAG_MS
  );
}

export const GENERATOR_BOUND_NOTE = `generator-bound: its cores were ${GENERATOR_BOUND_PERCENT} % busy or more, or it published over ${GENERATOR_LAG_MS} ms late, so the row says nothing about the server`;

/** How busy the generator was: over its cores, or its busiest process where one thread was the limit. */
export function generatorPercent(
  workers: readonly number[],
  /** CPU seconds of others on the same cores. */
  others: number,
  seconds: number,
  cores: number,
): number {
  const all = workers.reduce((sum, cpu) => sum + cpu, others) / Math.max(1, cores);
  return (100 * Math.max(all, ...workers)) / seconds;
}
