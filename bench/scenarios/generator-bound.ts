/**
 * Rows that say something about the generator and not about the server: its
 * cores had no room left, so what came late may have waited there. They are kept
 * and marked; nothing is concluded from them.
 */
import type { Figures } from './scenario.ts';

const GENERATOR_BOUND_PERCENT = 90;

export function isGeneratorBound(figures: Figures): boolean {
  return (figures['generatorPercent'] ?? 0) >= GENERATOR_BOUND_PERCENT;
}

export const GENERATOR_BOUND_NOTE = `generator-bound: its cores were ${GENERATOR_BOUND_PERCENT} % busy or more, so the row says nothing about the server`;

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
