/**
 * The clock of Redis, seen from here. Every deadline that Redis itself enforces
 * is in its time, so that a wrong wall clock on this machine changes nothing:
 * each TIME that is answered bounds the difference between Redis' clock and our
 * monotonic one, because it was read somewhere between sending and answering.
 */
export interface RedisTime {
  /** TIME was sent at `sentMs` and answered at `heardMs` (both monotonic) with `redisMs`. */
  sample(sentMs: number, redisMs: number, heardMs: number): void;
  /**
   * What Redis' clock shows at least when ours shows `monotonicMs`: a deadline
   * made of it never lies later than meant. Undefined before the first sample.
   */
  at(monotonicMs: number): number | undefined;
  /** Another Redis may answer from now on: forget. */
  reset(): void;
}

/** After this long a wider sample replaces the best one: clocks drift by tens of ppm. */
const SAMPLE_LIFE_MS = 10_000;

export function createRedisTime(): RedisTime {
  /** Redis ms − monotonic ms lies in [low, high]. */
  let best: { low: number; high: number; takenMs: number } | undefined;

  return {
    sample(sentMs, redisMs, heardMs) {
      // TIME is cut to whole milliseconds: it showed up to one more.
      const next = { low: redisMs - heardMs, high: redisMs + 1 - sentMs, takenMs: heardMs };
      if (best === undefined || heardMs - best.takenMs >= SAMPLE_LIFE_MS) best = next;
      // Two true bounds overlap. If these do not, Redis' clock was set, and only the newer one is true:
      // without this every write would be answered `expired` after an operator moved the clock.
      else if (next.low > best.high || next.high < best.low) best = next;
      else if (next.high - next.low <= best.high - best.low) best = next;
    },
    at: (monotonicMs) => (best === undefined ? undefined : Math.floor(monotonicMs + best.low)),
    reset() {
      best = undefined;
    },
  };
}

/** The reply of TIME, seconds and microseconds, in milliseconds; undefined where it is something else. */
export function parseTime(reply: unknown): number | undefined {
  if (!Array.isArray(reply)) return undefined;
  const ms = Number(reply[0]) * 1_000 + Math.floor(Number(reply[1]) / 1_000);
  return Number.isSafeInteger(ms) ? ms : undefined;
}
