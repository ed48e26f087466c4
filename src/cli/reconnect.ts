/**
 * How long to wait before connecting again. The server paces its clients (`closing.afterMs` gives each its
 * own slot, `welcome.reconnect` the spread of the first try); without its word the pauses grow, each drawn
 * anew between nothing and the bound, so that the clients of a dead node do not come back in step.
 */
import { type Reconnect, reconnectAfter } from '../protocol/codes.ts';
import type { Ending } from './session.ts';

const BASE_MS = 1000;
const CAP_MS = 30_000;
/** A connection that lived this long was a success; a shorter one must not reset the growing pauses. */
export const STABLE_MS = 30_000;
/** A server that says "later" than this is not obeyed: it would look like a hang. */
const AFTER_MAX_MS = 300_000;

export interface ReconnectCase {
  readonly ending: Ending;
  /** Ends and failures since the last stable connection, this one included: 1 for the first. */
  readonly failures: number;
  /** From `welcome`. */
  readonly spread: { readonly minMs: number; readonly maxMs: number };
  /** By the same clock as `ending.closingAt`. */
  readonly nowMs: number;
}

export function reconnectWish(ending: Ending): Reconnect {
  return ending.closing?.reconnect ?? reconnectAfter(ending.code);
}

/** Milliseconds to wait, or undefined where the server said never. `fraction` is uniform in [0, 1). */
export function reconnectDelayMs(of: ReconnectCase, fraction: number): number | undefined {
  const wish = reconnectWish(of.ending);
  if (wish === 'never') return undefined;
  const { closing, closingAt } = of.ending;
  if (wish === 'after' && closing?.afterMs !== undefined && closingAt !== undefined) {
    // The slot counts from the announcement, and the server has often kept the socket open until then.
    return Math.max(0, closingAt + Math.min(closing.afterMs, AFTER_MAX_MS) - of.nowMs);
  }
  if (wish === 'now' && of.failures <= 1) {
    return of.spread.minMs + fraction * Math.max(0, of.spread.maxMs - of.spread.minMs);
  }
  return fraction * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(of.failures - 1, 16));
}
