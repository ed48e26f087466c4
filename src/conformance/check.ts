/** One thing the protocol says, and how it is seen from outside. */
import type { Lab } from './lab.ts';
import { skip } from './outcome.ts';

export interface Check {
  /** A sentence about the server, unique among all checks. */
  readonly name: string;
  /** Runs alone: it takes away something that all connections stand on, or loads the server. */
  readonly alone?: boolean;
  /** Throws a `Deviation`, or `Skipped`. */
  run(lab: Lab): Promise<void>;
}

export interface Topic {
  /** Short: it is put before the name of each check. */
  readonly title: string;
  readonly checks: readonly Check[];
}

/** What cannot be judged from outside, so that a report does not stay silent about it. */
export function cannotBeSeen(name: string, reason: string): Check {
  return {
    name,
    run: () => Promise.resolve().then(() => skip(reason)),
  };
}

/** Reasons of `cannotBeSeen`. docs/decisions/0019 says which checks wait for what. */
export const NEEDS_AUTHENTICATION =
  'needs a server with authentication, which this version of the suite cannot sign tokens for';
export const NEEDS_OPERATOR_COMMANDS =
  'needs a command with which an operator removes somebody, which servers do not have yet';
