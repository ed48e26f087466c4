/** Inboxes under every fault at once: what is checked is in test/support/inbox-simulation.ts. */
import { expect, it } from 'vitest';
import { type InboxTotals, simulateInboxes } from '../support/inbox-simulation.ts';

it('nothing is skipped in silence, and every device ends where the inbox is', async () => {
  const totals = { messages: 0, recovered: 0, marked: 0, chunked: 0, lost: 0 };
  for (let seed = 1; seed <= 80; seed += 1) {
    const result = await simulateInboxes(seed, 150).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    });
    for (const name of Object.keys(totals) as (keyof InboxTotals)[]) totals[name] += result[name];
  }
  // A run that never met a case proves nothing about it.
  expect(totals.messages).toBeGreaterThan(5000);
  for (const name of ['recovered', 'marked', 'chunked', 'lost'] as const)
    expect(totals[name], name).toBeGreaterThan(50);
});
