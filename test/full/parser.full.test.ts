/** The property of test/protocol/parse.property.test.ts, a million times. A failure prints the seed that repeats it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CLIENT_FRAMES } from '../../src/protocol/messages.ts';
import { anyText, newTally, parserFault } from '../support/frame-arbitrary.ts';

const RUNS = 1_000_000;

test('a million texts later the parser has thrown nothing and answered every element once', () => {
  const tally = newTally();
  fc.assert(
    fc.property(anyText, (text) => {
      const fault = parserFault(text, tally);
      if (fault) throw new Error(fault);
    }),
    { numRuns: RUNS },
  );
  expect(tally.types.size).toBe(Object.keys(CLIENT_FRAMES).length);
  expect(tally.frames).toBeGreaterThan(RUNS / 4);
  for (const code of ['bad_request', 'limit_exceeded', 'unsupported'] as const) {
    expect(tally.refusals.get(code)).toBeGreaterThan(1000);
  }
});
