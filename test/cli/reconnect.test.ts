/** When a client comes back, and when it does not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReconnectCase, reconnectDelayMs } from '../../src/cli/reconnect.ts';
import type { ClosingFrame } from '../../src/protocol/messages.ts';

function waits(
  code: number,
  more: Partial<ReconnectCase> & { closing?: Partial<ClosingFrame> } = {},
  fraction = 0.5,
) {
  const closing =
    more.closing === undefined
      ? undefined
      : ({ type: 'closing', code, reason: '', reconnect: 'now', ...more.closing } as ClosingFrame);
  const ending = { code, reason: '', closing, closingAt: closing && 1000 };
  return reconnectDelayMs(
    { failures: 1, spread: { minMs: 100, maxMs: 2100 }, nowMs: 1000, ...more, ending },
    fraction,
  );
}

describe('the delay before a reconnect', () => {
  it('is drawn from the spread of welcome after a cut', () => {
    expect([0, 0.5, 0.999].map((fraction) => waits(1006, {}, fraction))).toEqual([100, 1100, 2098]);
  });

  it('grows with every failure up to 30 s, with full jitter', () => {
    const bounds = [1, 2, 3, 4, 5, 6, 7, 50, 5000].map((failures) => waits(1013, { failures }, 1));
    expect(bounds).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
    expect(waits(1006, { failures: 3 }, 0)).toBe(0);
  });

  it('is the slot that the server gave, counted from when it gave it', () => {
    const closing = { reconnect: 'after', afterMs: 5000 } as const;
    expect(waits(1012, { closing })).toBe(5000);
    expect(waits(1012, { closing, nowMs: 5500 })).toBe(500);
    expect(waits(1012, { closing, nowMs: 99_999 })).toBe(0);
  });

  it('is never where the server or the code says so', () => {
    expect(waits(1012, { closing: { reconnect: 'never' } })).toBeUndefined();
    for (const code of [1000, 1003, 1009, 4501, 4503, 4510, 4999]) expect(waits(code)).toBeUndefined();
    for (const code of [1001, 1006, 1011, 1012, 1013, 4001, 4008, 4009, 4444])
      expect(waits(code)).toBeDefined();
  });

  it('is never negative, endless or over five minutes', () => {
    fc.assert(
      fc.property(
        fc.nat(6000),
        fc.nat(),
        fc.nat(),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (code, failures, afterMs, f) => {
          const delay = waits(code, { failures: failures + 1, closing: { reconnect: 'after', afterMs } }, f);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(300_000);
        },
      ),
    );
  });
});
