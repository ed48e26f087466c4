/** The simulation of test/core/room-stream.simulation.test.ts, five million steps of it. */
import { expect, it } from 'vitest';
import { simulateSeeds } from '../support/seeded-simulation.ts';

const STEPS = 5_000_000;

it(`keeps every promise of a room over ${STEPS} steps of chance`, () => {
  const totals = simulateSeeds(1_000, STEPS);
  console.log(`relay simulation: ${JSON.stringify(totals)}`);
  expect(totals.steps).toBeGreaterThanOrEqual(STEPS);
  // Where little was delivered and nothing was ever lost, little was tested.
  expect(totals.delivered).toBeGreaterThan(STEPS / 20);
  expect(totals.resets).toBeGreaterThan(10_000);
});
