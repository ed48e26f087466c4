/** Runs the whole suite in this process, against whatever a test put up, and judges what it may skip and what it saw. */
import { expect } from 'vitest';
import { openWire } from '../../src/cli/wire-socket.ts';
import { checkNames, type Result, runChecks } from '../../src/conformance/run.ts';
import { SUITE } from '../../src/conformance/suite.ts';
import type { Hooks, OpenWire } from '../../src/conformance/wire.ts';
import { systemClock, systemRandom } from '../../src/ops/system-clock.ts';

/** Settings of a server that make the suite short without making it weaker: it is told of all of them, or finds out. */
export const SHORT: Readonly<Record<string, string>> = {
  PING_INTERVAL_MS: '2000',
  HISTORY_MESSAGES: '200',
  LIMIT_PUBLISH_PER_SECOND: '300',
  LIMIT_PUBLISH_BURST: '600',
  DRAIN_NOTICE_MS: '1000',
  DRAIN_SPREAD_MIN_MS: '2000',
};

/** What no server of today can be asked from outside, in the words of the suite: the whole list, in every run. */
const NEVER_SEEN = [
  'rooms: left with "kicked": an operator removed me from a room',
  'rooms: left with "forbidden" or "expired": a token no longer allows the room',
  'session: expiring: a token is about to run out',
  'presence: left with "kicked": an operator removed the user',
  'presence: left with "expired": the token ran out',
  'inbox: where inboxes are not served, send, read and hello with inbox say so and nothing breaks',
  'close: 1011: a defect of the server',
  'close: 1013: overload',
  'close: 4005: the token expired',
  'close: 4501: the token is not valid',
  'close: 4503: the identity may not connect',
  'close: 4510: an operator ended the connection',
  'worked session: 7. token expiry, with and without refresh',
  'worked session: 9. unauthorized',
  'worked session: 9. internal',
];

/** One node without Redis: nobody to go to, and nothing that could be away. */
const ONE_NODE = [
  'presence: who was on a node that died is told as node_lost, once, and who came back in time is not',
  'worked session: 2. drop, rejoin on another node with since: exactly the missed messages',
  'worked session: 9. unknown_outcome: Redis gives no answer; repeated with the key it is stored once',
  'worked session: 10. Redis restarted with its data: unavailable meanwhile, then epoch, no reset, resume across it',
  'worked session: 11. Redis restarted empty: status down, reset lost, status up, presence back, no reconnect',
];

export const SKIPPED = { embedded: [...NEVER_SEEN, ...ONE_NODE], redis: NEVER_SEEN } as const;

export interface Suite {
  readonly urls: readonly string[];
  readonly hooks?: Hooks;
  readonly filter?: string;
  readonly timeoutMs?: number;
  readonly open?: OpenWire;
}

export function results({ urls, hooks = {}, filter, timeoutMs = 5000, open }: Suite): Promise<Result[]> {
  return runChecks({
    topics: SUITE,
    urls,
    open: open ?? openWire,
    clock: systemClock,
    token: () => systemRandom.token(),
    timeoutMs,
    hooks,
    parallel: 6,
    filter,
  });
}

/** Every check was judged, none failed, and skipped were these and no others. */
export function expectJudged(all: readonly Result[], skipped: readonly string[]): void {
  expect(all.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect(all.map(({ check }) => check).sort()).toEqual([...checkNames(SUITE)].sort());
  const named = all.filter(({ outcome }) => outcome === 'skipped').map(({ check }) => check);
  expect(named.sort()).toEqual([...skipped].sort());
}

/** What came over all connections of a run. */
export class Sightings {
  readonly frames = new Set<string>();
  readonly errors = new Set<string>();
  readonly closes = new Set<number>();

  /** Sees what the suite sees. */
  readonly open: OpenWire = (url, options, events) =>
    openWire(url, options, {
      ...events,
      text: (text) => {
        const { type, code } = JSON.parse(text) as { type: string; code?: string };
        this.frames.add(type);
        if (type === 'error' && code !== undefined) this.errors.add(code);
        events.text(text);
      },
      closed: (end) => {
        if (end.refused === undefined) this.closes.add(end.code);
        events.closed(end);
      },
    });
}
