/**
 * Rates per connection, per user and per room, so that nobody floods the others. One gate
 * per node; what it counts is what this node sees (the number of a user's
 * connections is counted over the cluster, see hello.ts).
 */
import type { Clock } from '../core/clock.ts';
import { KeyedBuckets } from '../core/rate-limit.ts';
import type { Session } from '../core/session.ts';
import { Refusal } from './refusal.ts';

export interface RateSettings {
  readonly limitUserPerSecond: number;
  readonly limitRoomPerSecond: number;
  readonly limitInFlight: number;
}

const OF_USER = 'publishes and signals of this user';

export class RateGate {
  readonly #clock: Clock;
  readonly #users: KeyedBuckets;
  readonly #rooms: KeyedBuckets;

  constructor(clock: Clock, settings: RateSettings) {
    this.#clock = clock;
    this.#users = new KeyedBuckets(settings.limitUserPerSecond, settings.limitUserPerSecond);
    this.#rooms = new KeyedBuckets(settings.limitRoomPerSecond, settings.limitRoomPerSecond);
  }

  /**
   * First of all, for whatever a connection publishes or signals, also where that is refused for
   * another reason. Like the others it throws `rate_limited` with when to come back.
   */
  connection(session: Session): void {
    refuseUntil(session.publishes.take(this.#clock.now()), 'publishes and signals of this connection');
  }

  /**
   * Behind the check that the sender may: without that order, whoever is not in a room could use up its
   * rate with publishes that are refused, and its members could say nothing any more.
   */
  publish(session: Session, room: string): void {
    const now = this.#clock.now();
    refuseUntil(this.#users.take(session.user, now), OF_USER);
    refuseUntil(this.#rooms.take(room, now), 'publishes in this room');
  }

  /** For what is not stored (a signal, a read mark): the rate of a room is for publishes. */
  unstored(session: Session): void {
    refuseUntil(this.#users.take(session.user, this.#clock.now()), OF_USER);
  }

  join(session: Session): void {
    refuseUntil(session.joins.take(this.#clock.now()), 'joins of this connection');
  }

  /** Forgets users and rooms that are quiet; called every few seconds. */
  sweep(): void {
    const now = this.#clock.now();
    this.#users.sweep(now);
    this.#rooms.sweep(now);
  }
}

function refuseUntil(waitMs: number, what: string): void {
  if (waitMs > 0) throw new Refusal('rate_limited', `too many ${what}; try again in ${waitMs} ms`, waitMs);
}
