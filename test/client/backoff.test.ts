/** How long the SDK waits before it connects again. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reconnectAfter, reconnectDelayMs } from '../../src/client/backoff.ts';
import { CLOSES, reconnectAfter as ofProtocol } from '../../src/protocol/codes.ts';

const SETTINGS = { baseMs: 1000, capMs: 30_000 };
const SPREAD = { minMs: 0, maxMs: 2000 };
const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('every close code means what the protocol says, those of a later protocol included', () => {
  const codes = [...Object.keys(CLOSES).map(Number), 1005, 1006, 3000];
  for (let code = 4000; code < 5000; code += 1) codes.push(code);
  for (const code of codes) expect([code, reconnectAfter(code)]).toEqual([code, ofProtocol(code)]);
});

test('the first attempt after a broken connection falls anywhere into the spread of the server', () => {
  fc.assert(
    fc.property(fraction, (f) => {
      const delayMs = reconnectDelayMs({ reconnect: 'now' }, 0, 1, { minMs: 100, maxMs: 900 }, SETTINGS, f);
      expect(delayMs).toBeCloseTo(100 + 800 * f);
    }),
  );
});

test('later attempts wait between nothing and a bound that doubles from 1 s to 30 s', () => {
  fc.assert(
    fc.property(fraction, fc.integer({ min: 2, max: 1_000_000 }), (f, failures) => {
      const bound = Math.min(30_000, 1000 * 2 ** (failures - 1));
      expect(reconnectDelayMs({ reconnect: 'now' }, 0, failures, SPREAD, SETTINGS, f)).toBeCloseTo(bound * f);
    }),
  );
});

test('the slot of closing counts from its announcement, whatever the chance, and is not obeyed without end', () => {
  const slot = (afterMs: number, agoMs: number): number | undefined =>
    reconnectDelayMs({ reconnect: 'after', afterMs }, agoMs, 7, SPREAD, SETTINGS, 0.9);
  expect([slot(8000, 3000), slot(8000, 9000), slot(1e12, 0)]).toEqual([5000, 0, 300_000]);
});

test('never is never', () => {
  expect(reconnectDelayMs({ reconnect: 'never' }, 0, 1, SPREAD, SETTINGS, 0.5)).toBeUndefined();
});
