import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MARKER_BYTES, MarkerReader, payloadOf } from '../../bench/generator/marker.ts';

describe('markers', () => {
  it('are as long as asked for and never shorter than themselves', () => {
    expect(payloadOf(1, 2, 3, 100)).toHaveLength(100);
    expect(payloadOf(99_999, 999_999_999, Number.MAX_SAFE_INTEGER, 0)).toHaveLength(MARKER_BYTES);
  });

  it('are read back out of frames that are cut anywhere and lie in a buffer with old bytes behind them', () => {
    const one = fc.record({
      stream: fc.integer({ min: 0, max: 99_999 }),
      number: fc.integer({ min: 0, max: 999_999_999 }),
      sentUs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    });
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (sent, positions) => {
          const text = sent.map((m) => `{"data":"${payloadOf(m.stream, m.number, m.sentUs, 60)}"}`).join('');
          const seen: unknown[] = [];
          const reader = new MarkerReader((stream, number, sentUs) => seen.push({ stream, number, sentUs }));
          const stale = payloadOf(7, 7, 7, 60);
          let at = 0;
          for (const cut of [
            ...positions.map((p) => p % (text.length + 1)).sort((a, b) => a - b),
            text.length,
          ]) {
            if (cut > at) reader.push(Buffer.from(text.slice(at, cut) + stale), 0, cut - at);
            at = Math.max(at, cut);
          }
          expect(seen).toEqual(sent);
        },
      ),
    );
  });
});
