/**
 * How late this process runs its timers: the one figure that says "this node has too much to do".
 *
 * Measured in windows of a fixed length and not from one reading to the next: whoever reads would take
 * the worst moments away from everybody else who does.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from './system-clock.ts';

/** A timer of this period is what is late, so a loop that stood still may have done so for as much longer as this. */
const RESOLUTION_MS = 5;
const NANOSECONDS_PER_MS = 1e6;
/** Readers come every few seconds; what happened is told for one to two windows. */
export const LAG_WINDOW_MS = 10_000;

/** Milliseconds. */
interface Lag {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface EventLoopLag {
  /** The worst of this window and the one before, each figure for itself. Changes nothing. */
  read(): Lag;
  stop(): void;
}

/** The part of a clock that turns the windows. */
interface Ticking {
  every(ms: number, run: () => void): { cancel(): void };
}

const NONE: Lag = { p50: 0, p99: 0, max: 0 };

export function watchEventLoop(clock: Ticking = systemClock): EventLoopLag {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let before = NONE;
  const turning = clock.every(LAG_WINDOW_MS, () => {
    before = lagOf(histogram);
    histogram.reset();
  });
  return {
    read() {
      const now = lagOf(histogram);
      return {
        p50: Math.max(before.p50, now.p50),
        p99: Math.max(before.p99, now.p99),
        max: Math.max(before.max, now.max),
      };
    },
    stop() {
      turning.cancel();
      histogram.disable();
    },
  };
}

function lagOf(histogram: IntervalHistogram): Lag {
  return {
    p50: beyond(histogram.percentile(50)),
    p99: beyond(histogram.percentile(99)),
    max: beyond(histogram.max),
  };
}

/** The histogram measures whole intervals: what is beyond the resolution is lag. */
function beyond(nanoseconds: number): number {
  const ms = Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
  return Number.isFinite(ms) ? Math.round(ms * 100) / 100 : 0;
}
