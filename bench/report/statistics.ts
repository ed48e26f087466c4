/** What several runs of the same measurement come to. */
import type { Figures } from '../scenarios/scenario.ts';

/** The middle value, or the mean of the two in the middle. NaN are left out; NaN where nothing is left. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The median of each figure by itself: p99 and CPU of a row may come from different runs. */
export function medians(runs: readonly Figures[]): Figures {
  const keys = new Set(runs.flatMap((run) => Object.keys(run)));
  return Object.fromEntries([...keys].map((key) => [key, median(runs.map((run) => run[key] ?? Number.NaN))]));
}

/** What must not happen at all, and what a stall is: of several runs the worst counts, a median would hide one of three. */
const WORST_IS_HIGHEST = [
  'missing',
  'duplicates',
  'disordered',
  'othersMissing',
  'silentLoss',
  'twice',
  'presenceWrong',
  'stallMs',
];

/** The figures of a row: medians, but the worst run of what must not happen. */
export function together(runs: readonly Figures[]): Figures {
  const highest = ranges(runs);
  const worst = WORST_IS_HIGHEST.flatMap((key) => (highest[key] ? [[key, highest[key][1]] as const] : []));
  return { ...medians(runs), ...Object.fromEntries(worst) };
}

/** Lowest and highest of each figure. Figures that no run has are left out. */
export function ranges(runs: readonly Figures[]): Record<string, readonly [number, number]> {
  const keys = new Set(runs.flatMap((run) => Object.keys(run)));
  return Object.fromEntries(
    [...keys].flatMap((key) => {
      const values = runs.map((run) => run[key] ?? Number.NaN).filter((value) => !Number.isNaN(value));
      return values.length === 0 ? [] : [[key, [Math.min(...values), Math.max(...values)] as const]];
    }),
  );
}
