/**
 * The broker port: what is said everywhere. It orders a room's messages, keeps
 * the newest of them, and carries messages, signals and presence changes
 * between nodes. Two implementations, one contract suite: `memory/` (embedded)
 * and `redis/`.
 *
 * What it does not do: it never repairs a gap (node/relay.ts does, from what
 * `BrokerEvents` tells), never knows a connection, never delivers to a socket.
 */
import type { Entry, ReadResult } from '../core/entry.ts';
import type { PresenceChange } from '../core/member.ts';
import type { Position } from '../protocol/position.ts';

export type { Entry, ReadResult, TermStart } from '../core/entry.ts';

export interface PublishRequest {
  readonly room: string;
  /** The publishing connection. Publishes of one lane and room are applied in the order of the calls. */
  readonly lane: string;
  readonly user: string;
  /** Idempotency key of (room, user), remembered for `onceTtlMs`. Without one the broker mints its own, so that its own retry is safe. */
  readonly key?: string | undefined;
  /** What `messageBody` made, as text: whoever stores or sends it encodes it, once. */
  readonly body: string;
}

export interface Receipt extends Position {
  /** True where the key had been applied before: `epoch` and `seq` are those of the first time. */
  readonly duplicate: boolean;
}

export interface HistoryQuery {
  /** The `limit` messages right before it. */
  readonly before?: number | undefined;
  /** The first `limit` messages after it. Not together with `before`. */
  readonly after?: number | undefined;
  readonly limit: number;
}

export interface HistoryPage extends Position {
  /** Ascending. `seq` of the page is the room's top. */
  readonly entries: readonly Entry[];
  /** Whether the store keeps more in the direction asked. */
  readonly more: boolean;
}

/** An ephemeral message: no seq, not stored, at most once. */
export interface Signal {
  /** The connection that sent it, which never receives it. */
  readonly sender: string;
  readonly to?: { readonly user: string } | { readonly connection: string } | undefined;
  /** `"from":{…},"data":…}`, as with `Entry.body`. */
  readonly body: Buffer;
}

/** What a broker tells its node. Calls come in the order of the store, and never throw back into the broker. */
export interface BrokerEvents {
  message(room: string, epoch: string, entry: Entry): void;
  presence(room: string, change: PresenceChange): void;
  signal(room: string, signal: Signal): void;
  /** Something of this room was heard that cannot be read (an envelope of a newer release): treat as a missed message. */
  gap(room: string): void;
  /** The subscription link broke: whatever was published since may have been missed, in every room. */
  linkLost(): void;
  /**
   * The room's channel was acknowledged on the present link after a `linkLost`: a
   * read issued from now on overlaps with what is heard. `sameStore` is false where
   * the store restarted or another one took over: it may not know yet whom the other nodes hold.
   */
  subscribed(room: string, sameStore: boolean): void;
  /** `down`: publishes, reads and joins are refused at once. `up`: they work again; `subscribed` follows or went before, room by room. */
  status(status: BrokerStatus): void;
}

export type BrokerStatus = 'up' | 'down';

export interface BrokerHealth {
  readonly status: 'connected' | 'down' | 'disabled';
  /** Last measured round trip to the store. */
  readonly latencyMs?: number;
}

export interface Broker {
  /** Begins to connect and to tell `events`. Resolves at once: being down is a state, not an error. */
  start(events: BrokerEvents): void;
  /** Lets publishes under way finish (at most 5 s), then closes every link. */
  stop(): Promise<void>;

  /**
   * Hears the room from now on. Resolves after the store acknowledged it on the
   * present link; rejects with `unavailable` after 2 s or while down, and then
   * the room is not heard. Idempotent. Kept across lost links until `unsubscribe`.
   */
  subscribe(room: string): Promise<void>;
  /** Resolves when the store acknowledged, or the link is gone anyway. */
  unsubscribe(room: string): Promise<void>;

  /**
   * Orders, stores and announces a message in one atomic step. Resolves when it
   * is stored; rejects with a `BrokerError`: `unavailable` and `rate_limited`
   * (too many in flight in this lane) mean certainly not applied,
   * `unknown_outcome` means perhaps applied.
   */
  publish(request: PublishRequest): Promise<Receipt>;
  /** At most once, to every node that hears the room, this one included. Silently only local while down. */
  signal(room: string, signal: Signal): void;

  /** What came after `since` (at most `limit` entries), or the top where `since` is null. Creates the room. Rejects with `unavailable`. */
  read(room: string, since: Position | null, limit: number): Promise<ReadResult>;
  /** A page of what is kept. Rejects with `unavailable`. */
  history(room: string, query: HistoryQuery): Promise<HistoryPage>;

  /**
   * Up to where the user of this inbox has read, on any device; seq 0 of the present epoch where nothing was
   * ever marked. The mark may be of an epoch that is gone: reading on from it says so. Creates the room.
   * Rejects with `unavailable`.
   */
  readMark(room: string): Promise<Position>;
  /**
   * "Read up to here": moves the mark forward, never back; may be repeated. Resolves to false, and changes
   * nothing, where the position is none of the room's present stream: of another life, of messages that
   * were lost, or beyond the top. Rejects with `unavailable` or `unknown_outcome`.
   */
  markRead(room: string, position: Position): Promise<boolean>;

  health(): BrokerHealth;
}

export type BrokerErrorCode = 'unavailable' | 'unknown_outcome' | 'rate_limited';

export class BrokerError extends Error {
  readonly code: BrokerErrorCode;

  constructor(code: BrokerErrorCode, message: string) {
    super(message);
    this.name = 'BrokerError';
    this.code = code;
  }
}
