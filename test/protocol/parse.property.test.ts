import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CLIENT_FRAMES } from '../../src/protocol/messages.ts';
import { anyText, newTally, parserFault } from '../support/frame-arbitrary.ts';

const RUNS = 100_000;
/** 4 s on an idle machine; a busy one must not make it red. */
const TIMEOUT_MS = 180_000;

test(
  'whatever the text, each element gives one result: a valid frame or a refusal with a known code',
  () => {
    const tally = newTally();
    fc.assert(
      fc.property(anyText, (text) => {
        const fault = parserFault(text, tally);
        if (fault) throw new Error(fault);
      }),
      { numRuns: RUNS },
    );
    // The generator reached all of it: without this a broken generator passes for a proof.
    expect([...tally.types].sort()).toEqual(Object.keys(CLIENT_FRAMES).sort());
    expect(tally.frames).toBeGreaterThan(RUNS / 4);
    expect([...tally.refusals.keys()].sort()).toEqual(['bad_request', 'limit_exceeded', 'unsupported']);
  },
  TIMEOUT_MS,
);
