/**
 * Which rooms this node hears. A room is heard while somebody here is in it or
 * is joining it, and for a linger after the last one left, so that a reload
 * does not cost a subscription. One channel per room: a node without members of
 * a room receives nothing of it.
 *
 *   off -> subscribing -> on -> lingering -> unsubscribing -> off
 *
 * Subscribing and unsubscribing of one room never overlap (a mutex per room):
 * otherwise a join racing the last leave ends up joined and deaf.
 */
import type { Broker } from '../broker/broker.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';

export interface InterestSettings {
  readonly lingerMs: number;
}

/** Told when a room begins and ends to be heard. */
export interface Followers {
  follow(room: string): void;
  unfollow(room: string): void;
}

interface Interest {
  /** Subscriptions and joins under way. */
  holders: number;
  /** Settled once the channel is acknowledged; shared by all who join meanwhile. */
  heard: Promise<void> | undefined;
  linger: Timer | undefined;
}

export class RoomInterest {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #settings: InterestSettings;
  readonly #followers: readonly Followers[];
  readonly #rooms = new Map<string, Interest>();
  readonly #mutex = new KeyedMutex();

  constructor(broker: Broker, clock: Clock, settings: InterestSettings, followers: readonly Followers[]) {
    this.#broker = broker;
    this.#clock = clock;
    this.#settings = settings;
    this.#followers = followers;
  }

  get size(): number {
    return this.#rooms.size;
  }

  /** Resolves once the room is heard. Each call that resolves is answered by one `release`; a rejected one is not. */
  async acquire(room: string): Promise<void> {
    const interest = this.#rooms.get(room) ?? { holders: 0, heard: undefined, linger: undefined };
    this.#rooms.set(room, interest);
    interest.holders += 1;
    interest.linger?.cancel();
    interest.linger = undefined;
    interest.heard ??= this.#mutex.run(room, () => this.#enter(room));
    const heard = interest.heard;
    try {
      await heard;
    } catch (error) {
      if (interest.heard === heard) interest.heard = undefined;
      interest.holders -= 1;
      if (interest.holders === 0 && !interest.heard) this.#rooms.delete(room);
      throw error;
    }
  }

  release(room: string): void {
    const interest = this.#rooms.get(room);
    if (!interest) return;
    interest.holders -= 1;
    if (interest.holders > 0) return;
    interest.linger = this.#clock.after(this.#settings.lingerMs, () => {
      void this.#mutex.run(room, () => this.#exit(room, interest));
    });
  }

  async #enter(room: string): Promise<void> {
    await this.#broker.subscribe(room);
    for (const follower of this.#followers) follower.follow(room);
  }

  async #exit(room: string, interest: Interest): Promise<void> {
    // Looked at again under the mutex: somebody may have come back while this waited.
    if (interest.holders > 0 || interest.linger === undefined) return;
    for (const follower of this.#followers) follower.unfollow(room);
    // Who joins from here on waits for the mutex and subscribes anew.
    this.#rooms.delete(room);
    await this.#broker.unsubscribe(room);
  }
}
