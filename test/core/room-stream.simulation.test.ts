/**
 * The promises of a room under every interleaving chance can find: lost links,
 * late and failing reads, restarts, failovers that lose a suffix, empty stores.
 * What is checked is in test/support/stream-watcher.ts.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RelaySimulation } from '../support/relay-simulation.ts';

const STEPS_MAX = 700;

it('members get every message once and in order, or are told the truth, whatever fails', () => {
  let delivered = 0;
  let resets = 0;
  const setting = fc.record({
    nodes: fc.integer({ min: 1, max: 3 }),
    keep: fc.constantFrom(3, 20, 1000),
    pages: fc.boolean(),
    syncMessages: fc.constantFrom(2, 1000),
  });
  const choices = fc.array(fc.nat(1_000_000), { minLength: 200, maxLength: 6 * STEPS_MAX, size: 'max' });
  fc.assert(
    fc.property(setting, choices, ({ nodes, keep, pages, syncMessages }, tape) => {
      let next = 0;
      const simulation = new RelaySimulation({
        choose: (below) => (tape[next++ % tape.length] ?? 0) % below,
        nodes,
        keep,
        // A page shorter than what is kept would let a reset skip messages, which is the reader's part.
        readLimit: pages ? Math.max(keep, 5) : 1000,
        limits: { ringMessages: 8, ringBytes: 10_000, syncMessages, syncBytes: 100_000 },
      });
      while (next < tape.length && simulation.steps < STEPS_MAX) simulation.step();
      simulation.finish();
      delivered += simulation.delivered;
      resets += simulation.resets;
    }),
    { numRuns: 300 },
  );
  // Where nothing was delivered and nothing was ever lost, nothing was tested.
  expect(delivered).toBeGreaterThan(5_000);
  expect(resets).toBeGreaterThan(100);
});
