/**
 * The promises of a room under every interleaving chance can find: lost links,
 * late and failing reads, restarts, failovers that lose a suffix, empty stores.
 * What is checked is in test/support/stream-watcher.ts and, for what no member
 * sees, in `inspect` of test/support/relay-simulation.ts.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RelaySimulation } from '../support/relay-simulation.ts';
import { simulateSeeds } from '../support/seeded-simulation.ts';

const STEPS_MAX = 700;

/** Choices come from a tape, which fast-check makes and, where a run fails, makes shorter. */
it('members get every message once and in order, or are told the truth, whatever fails', () => {
  const setting = fc.record({
    nodes: fc.integer({ min: 1, max: 3 }),
    keep: fc.constantFrom(3, 20, 1000),
    readLimit: fc.constantFrom(2, 1000),
    syncMessages: fc.constantFrom(2, 1000),
  });
  const choices = fc.array(fc.nat(1_000_000), { minLength: 200, maxLength: 6 * STEPS_MAX, size: 'max' });
  fc.assert(
    fc.property(setting, choices, ({ nodes, keep, readLimit, syncMessages }, tape) => {
      let next = 0;
      const simulation = new RelaySimulation({
        choose: (below) => (tape[next++ % tape.length] ?? 0) % below,
        nodes,
        keep,
        readLimit,
        limits: { ringMessages: 8, ringBytes: 10_000, syncMessages, syncBytes: 100_000 },
      });
      while (next < tape.length && simulation.steps < STEPS_MAX) simulation.step();
      simulation.finish();
    }),
    { numRuns: 300, interruptAfterTimeLimit: 20_000 },
  );
});

it('and so over 300,000 steps from seeds', () => {
  const totals = simulateSeeds(1, 300_000);
  // Where little was delivered and nothing was ever lost, little was tested.
  expect(totals.delivered).toBeGreaterThan(15_000);
  expect(totals.resets).toBeGreaterThan(500);
});
