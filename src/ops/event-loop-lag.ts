/** How late this process runs its timers: the one figure that says "this node has too much to do". */
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 20;
const NANOSECONDS_PER_MS = 1e6;

export interface EventLoopLag {
  /** Milliseconds; `p99` and `max` since the last call. */
  read(): { readonly p50: number; readonly p99: number; readonly max: number };
  stop(): void;
}

export function watchEventLoop(): EventLoopLag {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  // The histogram measures whole intervals: what is beyond the resolution is lag.
  const lag = (nanoseconds: number) => {
    const ms = Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
    return Number.isFinite(ms) ? Math.round(ms * 100) / 100 : 0;
  };
  return {
    read() {
      const told = {
        p50: lag(histogram.percentile(50)),
        p99: lag(histogram.percentile(99)),
        max: lag(histogram.max),
      };
      histogram.reset();
      return told;
    },
    stop: () => void histogram.disable(),
  };
}
