/** The simulation of test/node/cluster.simulation.test.ts, some thousand runs of it. */
import { expect, it } from 'vitest';
import { simulateClusters } from '../support/seeded-clusters.ts';

const RUNS = 1500;
const stalling = { limitOutboxBytes: 500, ringMessages: 4 };
const big = { limitPresenceMembers: 2, limitPresenceResume: 1 };

it.each([
  ['no faults', { faults: false }],
  ['no faults, and clients that stop reading', { faults: false, stalls: true, settings: stalling }],
  ['faults', { faults: true }],
  ['faults, and clients that stop reading', { faults: true, stalls: true, settings: stalling }],
  ['faults, and rooms too big to be listed', { faults: true, settings: big }],
])('whole nodes keep every promise: %s', async (name, options) => {
  const totals = await simulateClusters(10_000, RUNS, { steps: 150, ...options });
  console.log(`cluster simulation, ${name}: ${JSON.stringify({ runs: RUNS, ...totals })}`);
  expect(totals.messages).toBeGreaterThan(RUNS * 10);
  if (!options.faults) expect(totals).toMatchObject({ asks: 0, resets: 0 });
});
