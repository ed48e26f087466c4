/** Many runs of the relay simulation, each from a seed: a failure names the seed, and the same seed fails again. */
import { RelaySimulation } from './relay-simulation.ts';
import { Seeded } from './seeded.ts';

export interface SimulationTotals {
  steps: number;
  runs: number;
  delivered: number;
  resets: number;
}

const STEPS_PER_RUN = 3_000;

export function simulateSeeds(firstSeed: number, steps: number): SimulationTotals {
  const totals = { steps: 0, runs: 0, delivered: 0, resets: 0 };
  for (let seed = firstSeed; totals.steps < steps; seed += 1) {
    const simulation = simulate(seed);
    totals.steps += simulation.steps;
    totals.runs += 1;
    totals.delivered += simulation.delivered;
    totals.resets += simulation.resets;
  }
  return totals;
}

function simulate(seed: number): RelaySimulation {
  const random = new Seeded(seed);
  const simulation = new RelaySimulation({
    choose: (below) => random.between(0, below - 1),
    nodes: random.between(1, 4),
    keep: random.pick([3, 20, 1000]),
    readLimit: random.pick([1, 4, 1000]),
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
    const fault = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}, step ${simulation.steps}: ${fault}`, { cause: error });
  }
  return simulation;
}
