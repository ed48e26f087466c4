/** What the bench asks of a worker process and what it answers: the two ends of one conversation. */
import type { DeliveryFaults } from './delivery-check.ts';

/** One connection to open. */
export interface ConnectionPlan {
  /** Index into the endpoints. */
  readonly endpoint: number;
  readonly user: string;
  readonly rooms: readonly string[];
  /** Every frame is read, its marker checked and timed. */
  readonly sampled: boolean;
}

export interface ConnectOrder {
  readonly peer: string;
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  readonly plans: readonly ConnectionPlan[];
  /** Connections that may be opening at a time. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Nothing is timed here: once a phase began, connections may be read some milliseconds late. */
  readonly isDrain: boolean;
  /** Newest number of each stream: the connections are owed what comes after it. */
  readonly published: Readonly<Record<number, number>>;
}

export interface Connected {
  readonly ready: number;
  readonly failed: number;
  readonly firstFailure?: string;
  /** Worker clock, microseconds. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Times from connect to joined, base64 of a histogram in microseconds. */
  readonly histogram: string;
}

/** One publisher in one room. `connection` is the worker's index of the connection that publishes. */
export interface StreamPlan {
  readonly stream: number;
  readonly connection: number;
  readonly room: string;
}

export interface PublishOrder {
  readonly streams: readonly StreamPlan[];
  /** Over all streams of this worker, evenly. */
  readonly perSecond: number;
  readonly seconds: number;
  readonly payloadBytes: number;
}

export interface Published {
  /** Per stream, in the order of the plan. */
  readonly counts: readonly number[];
  /** What was due but not sent because the server had stopped reading. */
  readonly refused: number;
  readonly fromUs: number;
  readonly toUs: number;
  /** How late messages were sent, p99 in microseconds: the generator's own lag, part of every latency. */
  readonly lagP99Us: number;
}

export interface Counted {
  readonly atUs: number;
  readonly messages: number;
  readonly bytes: number;
  readonly open: number;
}

/** Of the phase since the last `phase` order. */
export interface Sampled {
  readonly histogram: string;
  /** Messages the scanner counted and markers that were read on the sampled connections: equal where both are right. */
  readonly messages: number;
  readonly markers: number;
  readonly faults: DeliveryFaults;
  readonly errors: number;
  readonly firstError?: string;
  /** Connections the server closed, by close code. */
  readonly closed: Readonly<Record<string, number>>;
}

/** How one connection that had stopped reading ended. */
export interface SlowEnd {
  readonly open: boolean;
  readonly closeCode: number;
  readonly told: boolean;
  readonly missing: number;
  readonly duplicates: number;
  readonly behind: number;
}

export interface Orders {
  connect(order: ConnectOrder): Promise<Connected>;
  /** Begins a phase: what is counted and timed from here on belongs to it. */
  phase(): Promise<void>;
  publish(order: PublishOrder): Promise<Published>;
  count(): Promise<Counted>;
  sample(): Promise<Sampled>;
  /** The last `count` sampled connections stop reading. */
  pause(count: number): Promise<void>;
  resume(): Promise<void>;
  /** Messages that the other sampled connections are owed and have not got; `last` is the newest number of each stream. */
  othersBehind(last: Readonly<Record<number, number>>): Promise<number>;
  /** How those that were paused ended; `last` is the newest number of each stream. */
  slow(last: Readonly<Record<number, number>>): Promise<readonly SlowEnd[]>;
  disconnect(): Promise<void>;
}

export interface Request {
  readonly id: number;
  readonly order: keyof Orders;
  readonly argument: unknown;
}

export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}
