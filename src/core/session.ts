/**
 * What a node knows of one connection after its first frame: who it is, the
 * rooms it is in, its budgets. Pure state; use cases in node/ change it.
 */
import { inboxOf } from '../protocol/names.ts';
import type { Position } from '../protocol/position.ts';
import type { Connection } from './connection.ts';
import { SecondsInRow, TokenBucket } from './rate-limit.ts';
import { RoomQueue } from './room-queue.ts';

export type PresenceMode = 'full' | 'count' | 'none';

/** One connection in one room. A new join of the same room makes a new subscription. */
export interface Subscription {
  readonly session: Session;
  /** Its session's: the fan-out reaches for it once per delivery. */
  readonly connection: Connection;
  readonly room: string;
  readonly presence: PresenceMode;
  /** The number of the first item of the fan-out that is still to be given to it; those before it has, or needs not. */
  nextItem: number;
  /** Presence frames with a version below it are already contained in the `joined` reply. */
  presenceFrom: number;
  /** Set while this member is a slow consumer: it has everything up to here and catches up from here. */
  behind: Position | undefined;
  /** Presence was shed while the connection was full: a snapshot is due once it drained. */
  missedPresence: boolean;
}

export interface SessionLimits {
  readonly limitPublishPerSecond: number;
  readonly limitPublishBurst: number;
  readonly limitJoinsPerSecond: number;
  readonly limitJoinsBurst: number;
}

export class Session {
  readonly connection: Connection;
  readonly user: string;
  /** False for the `anon-…` names the server makes up: nobody can ask for their online state, so none is kept. */
  readonly named: boolean;
  readonly subscriptions = new Map<string, Subscription>();
  readonly queue = new RoomQueue();
  readonly joins: TokenBucket;
  readonly #limits: SessionLimits;
  // Made when first asked for: most connections only listen, and each of these is memory of an idle one.
  #publishes: TokenBucket | undefined;
  #refusals: SecondsInRow | undefined;
  /** Joins under way count as rooms: without it a burst of joins passes the limit. */
  joining = 0;
  closed = false;
  /** Its inbox was asked for and is not joined yet: Redis is away, or has not answered. */
  awaitsInbox = false;

  constructor(connection: Connection, user: string, named: boolean, limits: SessionLimits, now: number) {
    this.connection = connection;
    this.user = user;
    this.named = named;
    this.#limits = limits;
    this.joins = new TokenBucket(limits.limitJoinsPerSecond, limits.limitJoinsBurst, now);
  }

  get publishes(): TokenBucket {
    // Full whenever it is made, so from when it fills up makes no difference.
    this.#publishes ??= new TokenBucket(
      this.#limits.limitPublishPerSecond,
      this.#limits.limitPublishBurst,
      0,
    );
    return this.#publishes;
  }

  get refusals(): SecondsInRow {
    this.#refusals ??= new SecondsInRow();
    return this.#refusals;
  }

  /** How many rooms it is in. Its own inbox is none of them: nobody asked to join it by name. */
  get rooms(): number {
    return this.subscriptions.size - (this.subscriptions.has(inboxOf(this.user)) ? 1 : 0);
  }

  get id(): string {
    return this.connection.id;
  }
}
