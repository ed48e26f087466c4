/**
 * How long to wait before connecting again. Pure. The server paces its clients (`closing.afterMs` is each
 * one's own slot, `welcome.reconnect` the spread of the first try); without its word the pauses grow, each
 * drawn anew between nothing and the bound, so that the clients of a dead node do not come back in step.
 * PROTOCOL "Close codes"; a test compares with the table in src/protocol/codes.ts, whose sentences have no
 * place in a browser.
 */
import type { ClosingFrame } from '../protocol/messages.ts';

export interface BackoffSettings {
  readonly baseMs: number;
  readonly capMs: number;
}

/** A server that says "later" than this is not obeyed: it would look like a hang. */
const AFTER_MAX_MS = 300_000;

const NEVER = [1000, 1003, 1008, 1009];
/** 1005 and 1006: no code at all, a cable pulled. 4005: the token expired. 4009: this side did not read. */
const NOW = [1005, 1006, 4005, 4009];

export function reconnectAfter(code: number): ClosingFrame['reconnect'] {
  if (NEVER.includes(code) || (code >= 4500 && code < 5000)) return 'never';
  return NOW.includes(code) ? 'now' : 'after';
}

/**
 * Milliseconds, or undefined for never.
 * @param closing what the server announced, or what the code means; its slot counts from then, `agoMs` before now
 * @param failures connections that ended or failed since the last stable one, this one included: 1 for the first
 * @param spread of the first attempt, from `welcome`
 * @param fraction uniform in [0, 1)
 */
export function reconnectDelayMs(
  { reconnect, afterMs }: Pick<ClosingFrame, 'reconnect' | 'afterMs'>,
  agoMs: number,
  failures: number,
  { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number },
  { baseMs, capMs }: BackoffSettings,
  fraction: number,
): number | undefined {
  if (reconnect === 'never') return undefined;
  if (reconnect === 'after' && afterMs !== undefined) {
    return Math.max(0, Math.min(afterMs, AFTER_MAX_MS) - agoMs);
  }
  if (reconnect === 'now' && failures < 2) return minMs + fraction * (maxMs - minMs);
  return fraction * Math.min(capMs, baseMs * 2 ** (failures - 1));
}
