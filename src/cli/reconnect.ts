/**
 * How long to wait before connecting again. The server paces its clients (`closing.afterMs` gives each its
 * own slot, `welcome.reconnect` the spread of the first try); without its word the pauses grow, each drawn
 * anew between nothing and the bound, so that the clients of a dead node do not come back in step.
 */
import { reconnectDelayMs as backoffMs, reconnectAfter } from '../client/backoff.ts';
import type { Ending } from './session.ts';

const BACKOFF = { baseMs: 1000, capMs: 30_000 };
/** A connection that lived this long was a success; a shorter one must not reset the growing pauses. */
export const STABLE_MS = 30_000;

export interface ReconnectCase {
  readonly ending: Ending;
  /** Ends and failures since the last stable connection, this one included: 1 for the first. */
  readonly failures: number;
  /** From `welcome`. */
  readonly spread: { readonly minMs: number; readonly maxMs: number };
  /** By the same clock as `ending.closingAt`. */
  readonly nowMs: number;
}

/** Milliseconds to wait, or undefined where the server said never. `fraction` is uniform in [0, 1). */
export function reconnectDelayMs(of: ReconnectCase, fraction: number): number | undefined {
  const { closing, closingAt, code } = of.ending;
  // The slot counts from the announcement, and the server has often kept the socket open until then.
  const agoMs = closingAt === undefined ? 0 : of.nowMs - closingAt;
  return backoffMs(
    closing ?? { reconnect: reconnectAfter(code) },
    agoMs,
    of.failures,
    of.spread,
    BACKOFF,
    fraction,
  );
}
