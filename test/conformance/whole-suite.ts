/** Runs the whole suite in this process, against whatever a test put up, and judges what it may skip. */
import { expect } from 'vitest';
import { openWire } from '../../src/cli/wire-socket.ts';
import { checkNames, type Result, runChecks } from '../../src/conformance/run.ts';
import { SUITE } from '../../src/conformance/suite.ts';
import type { Hooks } from '../../src/conformance/wire.ts';
import { systemClock, systemRandom } from '../../src/ops/system-clock.ts';

/** Settings of a server that make the suite short without making it weaker: it is told of all of them. */
export const SHORT: Readonly<Record<string, string>> = {
  PING_INTERVAL_MS: '2000',
  HISTORY_MESSAGES: '200',
  LIMIT_PUBLISH_PER_SECOND: '300',
  LIMIT_PUBLISH_BURST: '600',
  DRAIN_NOTICE_MS: '1000',
  DRAIN_SPREAD_MIN_MS: '2000',
};

/** What no server of today can be asked from outside. */
const NEVER_SEEN = [
  /^close: (1001|1011|1013|4005|4009|4501|4503|4510):/,
  /^worked session: 7\./,
  /^worked session: 9\. (unauthorized|forbidden|internal)$/,
];
/** Where inboxes are not served all of these are skipped but the one that says so; where they are, that one alone. */
const INBOX = /^(inbox|worked session: 6\.)/;
const NO_INBOX = /^inbox: where inboxes are not served/;

export interface Suite {
  readonly urls: readonly string[];
  readonly hooks?: Hooks;
  readonly filter?: string;
  readonly timeoutMs?: number;
  /** Checks that this deployment cannot be asked. */
  readonly skipped?: readonly RegExp[];
}

export function results({ urls, hooks = {}, filter, timeoutMs = 5000 }: Suite): Promise<Result[]> {
  return runChecks({
    topics: SUITE,
    urls,
    open: openWire,
    clock: systemClock,
    token: () => systemRandom.token(),
    timeoutMs,
    hooks,
    parallel: 6,
    filter,
  });
}

/** Every check was judged and none failed; skipped is only what has to be. */
export async function expectConformance(suite: Suite): Promise<void> {
  const all = await results(suite);
  expect(all.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect(all.map(({ check }) => check).sort()).toEqual([...checkNames(SUITE)].sort());
  const servesInboxes = all.some(({ check, outcome }) => NO_INBOX.test(check) && outcome === 'skipped');
  const expected = [...NEVER_SEEN, servesInboxes ? NO_INBOX : INBOX, ...(suite.skipped ?? [])];
  const skipped = all.filter(
    ({ outcome, check }) => outcome === 'skipped' && !expected.some((one) => one.test(check)),
  );
  expect(skipped).toEqual([]);
}
