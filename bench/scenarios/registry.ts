/** The scenarios by name, in the order of the help text and the report. */
import { fanout } from './fanout.ts';
import { publishLatency } from './publish-latency.ts';
import type { Scenario } from './scenario.ts';
import { stateOperations } from './state-operations.ts';

export const SCENARIOS: readonly Scenario[] = [fanout];

/** Measurements of this project alone, which print and keep nothing. */
export const PLAIN: Readonly<Record<string, () => Promise<void>>> = {
  'publish-latency': publishLatency,
  'state-operations': stateOperations,
};
