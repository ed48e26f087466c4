/**
 * The simulation of test/core/room-stream.simulation.test.ts, a million steps
 * of it. A failure names the seed of its run; the same seed fails again.
 */
import { expect, it } from 'vitest';
import { RelaySimulation } from '../support/relay-simulation.ts';
import { Seeded } from '../support/seeded.ts';

const STEPS = 1_200_000;
const STEPS_PER_RUN = 3_000;

it(`keeps every promise of a room over ${STEPS} steps of chance`, () => {
  const totals = { steps: 0, delivered: 0, resets: 0, runs: 0 };
  for (let seed = 1; totals.steps < STEPS; seed += 1) {
    const random = new Seeded(seed);
    const simulation = new RelaySimulation({
      choose: (below) => random.between(0, below - 1),
      nodes: random.between(1, 4),
      keep: random.pick([3, 20, 1000]),
      readLimit: 1000,
      limits: {
        ringMessages: random.pick([0, 8, 256]),
        ringBytes: 10_000,
        syncMessages: random.pick([1, 3, 1000]),
        syncBytes: 100_000,
      },
    });
    try {
      for (let step = 0; step < STEPS_PER_RUN; step += 1) simulation.step();
      simulation.finish();
    } catch (error) {
      throw new Error(`seed ${seed}, step ${simulation.steps}`, { cause: error });
    }
    totals.steps += simulation.steps;
    totals.delivered += simulation.delivered;
    totals.resets += simulation.resets;
    totals.runs += 1;
  }
  console.log(`relay simulation: ${JSON.stringify(totals)}`);
  expect(totals.delivered).toBeGreaterThan(STEPS / 10);
  expect(totals.resets).toBeGreaterThan(1_000);
});
