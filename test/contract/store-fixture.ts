/**
 * What a contract suite needs from the store it is run against, and the few
 * words all its files share. Each implementation's test file builds a fixture
 * and says nothing else, so that both keep the same promises through the ports
 * alone.
 */
import { expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { Broker, Entry, PublishRequest, ReadResult, Receipt } from '../../src/broker/broker.ts';
import type { PresenceStore } from '../../src/broker/presence.ts';
import type { BrokerRecorder } from './broker-recorder.ts';

/** The part of `Config` that decides what is kept, and for how long. */
export interface StoreSettings {
  readonly historyMessages: number;
  readonly historyTtlS: number;
  readonly metaTtlS: number;
  readonly onceTtlMs: number;
  readonly inboxMessages: number;
  readonly inboxTtlS: number;
}

/** One node's view of a store: a broker that was started with `heard` and told `up`, and its presence store, started too. */
export interface StoreNode {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly heard: BrokerRecorder;
}

export interface StoreFixture extends StoreNode {
  /** A second node over the same store, started and up. Absent where the store lives inside one process. */
  another?: (() => Promise<StoreNode>) | undefined;
  /** Lets this much time pass for the store: a fake clock is moved, a real one is waited for. */
  readonly elapse: (ms: number) => Promise<void>;
  /** Stops every node (also those of `another`) and removes what they left. Called once, also after a test stopped the broker. */
  teardown(): Promise<void>;
}

/** Builds an empty store with these settings, resolving once its first node is up. */
export type StoreSetup = (settings: StoreSettings) => Promise<StoreFixture>;

export interface ContractOptions {
  /** What `health()` says of a store that works. */
  readonly health: 'connected' | 'disabled';
  /** Nodes that can share the store; 1 where it lives inside one process. */
  readonly nodes: 1 | 2;
  /** Runs of each property test; more where the store is quick. */
  readonly runs: number;
}

/** Nothing expires during a test; the log is short enough to be filled. */
export const LASTING: StoreSettings = {
  historyMessages: 40,
  historyTtlS: 300,
  metaTtlS: 3_600,
  onceTtlMs: 120_000,
  inboxMessages: 30,
  inboxTtlS: 600,
};

let rooms = 0;

/** A room no other test of this process uses. */
export function newRoom(topic = 'room'): string {
  rooms += 1;
  return `${topic}/${rooms}`;
}

/** A body as a node makes them: the end of a JSON object. */
export function bodyOf(data: unknown): Buffer {
  return Buffer.from(`"from":{"user":"ann","connection":"c1"},"data":${JSON.stringify(data)}}`);
}

export function publish(
  broker: Broker,
  room: string,
  data: unknown,
  more: Partial<PublishRequest> = {},
): Promise<Receipt> {
  return broker.publish({ room, lane: 'lane', user: 'ann', body: bodyOf(data).toString(), ...more });
}

/** Publishes the numbers `from`..`to`, one after the other. Resolves to the epoch they are in. */
export async function publishNumbers(
  broker: Broker,
  room: string,
  from: number,
  to: number,
): Promise<string> {
  let epoch = '';
  for (let number = from; number <= to; number += 1) ({ epoch } = await publish(broker, room, number));
  return epoch;
}

export function seqsOf(entries: readonly Entry[]): number[] {
  return entries.map((entry) => entry.seq);
}

/** A verdict in one line: what was told and where it ends. The bodies must be those of `publishNumbers`. */
export function told(result: ReadResult): unknown {
  if (result.verdict === 'fresh') return [result.verdict, result.top];
  for (const entry of result.entries) expect(entry.body.equals(bodyOf(entry.seq))).toBe(true);
  return [result.verdict, result.top, seqsOf(result.entries)];
}

/** Ascending whole numbers, both ends included; empty where `to` is below `from`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

/**
 * Resolves when everything that was published before the call has been told to
 * the node or never will be: its link is ordered, so the message of a room of
 * our own comes behind all of them.
 */
export async function caughtUp(node: StoreNode): Promise<void> {
  const room = newRoom('barrier');
  await node.broker.subscribe(room);
  await publish(node.broker, room, 'barrier');
  await node.heard.until(() => node.heard.messages(room).length > 0, `the barrier of ${room}`);
  await node.broker.unsubscribe(room);
}

/** Tries of `presenceReady`, 10 ms apart. */
const READY_TRIES_MAX = 300;

/**
 * Resolves when the presence store takes writes. A lease begins a moment after
 * the broker is up, and until then `hold` says `unavailable`, as the port allows.
 */
export async function presenceReady({ presence }: StoreNode): Promise<void> {
  const room = newRoom('ready');
  for (let tries = 1; ; tries += 1) {
    try {
      await presence.hold(room, 'ready', '{}', false);
      await presence.drop(room, 'ready', 'left');
      return;
    } catch (error) {
      const early = error instanceof BrokerError && error.code === 'unavailable';
      if (!early || tries === READY_TRIES_MAX) throw error;
      await new Promise((resolve) => void setTimeout(resolve, 10));
    }
  }
}

/** The fixture of a suite, once it is set up, and what is known of it before. */
export interface FixtureOf {
  (): StoreFixture;
  readonly nodes: ContractOptions['nodes'];
}

/** A case for two nodes over one store: it exists only where there can be two. */
export function itOnTwoNodes(
  title: string,
  fixture: FixtureOf,
  run: (one: StoreNode, two: StoreNode) => Promise<void>,
): void {
  if (fixture.nodes < 2) return;
  it(title, async () => {
    const one = fixture();
    const two = await one.another?.();
    if (!two) throw new Error('a store for two nodes gave no second one');
    await presenceReady(two);
    await run(one, two);
  });
}
