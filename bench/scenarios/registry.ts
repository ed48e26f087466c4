/** The scenarios by name, in the order of the help text and the report. */
import { connect } from './connect.ts';
import { fanout } from './fanout.ts';
import { haproxy } from './haproxy.ts';
import { idleNode } from './idle-node.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { publishLatency } from './publish-latency.ts';
import { rooms } from './rooms.ts';
import { scale } from './scale.ts';
import type { Scenario } from './scenario.ts';
import { seed } from './seed.ts';
import { slow } from './slow.ts';
import { stateOperations } from './state-operations.ts';
import { wide } from './wide.ts';

export const SCENARIOS: readonly Scenario[] = [
  fanout,
  wide,
  rooms,
  latency,
  connect,
  memory,
  slow,
  idleNode,
  scale,
  seed,
  haproxy,
  publishLatency,
  stateOperations,
];
