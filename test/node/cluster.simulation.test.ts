/** Two nodes, one store, eight clients and every fault at once: what is checked is in test/support/cluster-simulation.ts. */
import { expect, it } from 'vitest';
import { simulateClusters } from '../support/seeded-clusters.ts';

it('without faults everybody sees everything, and nobody ever has to ask', async () => {
  const totals = await simulateClusters(1, 40, { steps: 120, faults: false });
  expect(totals).toMatchObject({ asks: 0, resets: 0 });
  expect(totals.messages).toBeGreaterThan(1000);
});

it('with faults everybody ends where the store is, and was told the truth on the way', async () => {
  const totals = await simulateClusters(1, 100, { steps: 120, faults: true });
  expect(totals.messages).toBeGreaterThan(1000);
  expect(totals.resets).toBeGreaterThan(10);
});

it('in rooms too big to be listed, everybody ends with the right count and the right list', async () => {
  const settings = { limitPresenceMembers: 2, limitPresenceResume: 1 };
  const totals = await simulateClusters(1, 30, { steps: 120, faults: true, settings });
  expect(totals.messages).toBeGreaterThan(300);
});

it('clients that stop reading now and then miss nothing either', async () => {
  const settings = { limitOutboxBytes: 500, ringMessages: 4 };
  const totals = await simulateClusters(1, 40, { steps: 150, faults: false, stalls: true, settings });
  expect(totals).toMatchObject({ asks: 0, resets: 0 });
  const withFaults = await simulateClusters(1, 40, { steps: 150, faults: true, stalls: true, settings });
  expect(totals.messages + withFaults.messages).toBeGreaterThan(1000);
});
