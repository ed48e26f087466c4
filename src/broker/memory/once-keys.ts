/**
 * Idempotency keys of the embedded broker: what position a key of (room, user)
 * got, for as long as a client may still repeat it. All keys live equally long,
 * so the order of their age is the order of their expiry. Over `ONCE_KEYS_MAX` the oldest goes early: a repeat that
 * comes after that is applied again, which is why the limit is far above what
 * a process of this size publishes with keys in two minutes.
 */
import type { Clock } from '../../core/clock.ts';
import type { Position } from '../../protocol/position.ts';
import type { Place } from './age-order.ts';
import { AgeOrder } from './age-order.ts';

/** Keys remembered in a process; about 300 bytes each. */
const ONCE_KEYS_MAX = 100_000;

/** Expired keys taken away with each new one. Two per one added: the map shrinks even without a sweep. */
const FORGET_PER_REMEMBER = 2;

interface Remembered extends Position {
  readonly name: string;
  readonly forgottenAtMs: number;
}

interface OnceKeysOptions {
  readonly clock: Clock;
  /** How long a key is remembered after its first time; 0 remembers none. */
  readonly ttlMs: number;
  readonly max?: number;
}

export class OnceKeys {
  readonly #keys = new Map<string, Place<Remembered>>();
  readonly #byAge = new AgeOrder<Remembered>();
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #max: number;

  constructor(options: OnceKeysOptions) {
    this.#clock = options.clock;
    this.#ttlMs = options.ttlMs;
    this.#max = options.max ?? ONCE_KEYS_MAX;
  }

  /** Where the key was applied in this life of the room. A position of an earlier epoch names nothing any more, so it is no duplicate. */
  find(room: string, epoch: string, user: string, key: string): Position | undefined {
    const found = this.#keys.get(nameOf(room, user, key))?.item;
    if (!found || found.epoch !== epoch || found.forgottenAtMs <= this.#clock.now()) return undefined;
    return found;
  }

  remember(room: string, user: string, key: string, position: Position): void {
    if (this.#ttlMs <= 0) return;
    this.forgetExpired(FORGET_PER_REMEMBER);
    const name = nameOf(room, user, key);
    const { epoch, seq } = position;
    const before = this.#keys.get(name);
    // A key used again is as young as any: in its old place it would hide older ones from expiry.
    if (before) this.#byAge.remove(before);
    const forgottenAtMs = this.#clock.now() + this.#ttlMs;
    this.#keys.set(name, this.#byAge.add({ name, epoch, seq, forgottenAtMs }));
    if (this.#keys.size > this.#max) this.#forgetOldest();
  }

  /** Takes away at most `limit` expired keys. */
  forgetExpired(limit: number): void {
    const nowMs = this.#clock.now();
    for (let left = limit; left > 0; left -= 1) {
      const { oldest } = this.#byAge;
      if (!oldest || oldest.forgottenAtMs > nowMs) return;
      this.#forgetOldest();
    }
  }

  get size(): number {
    return this.#keys.size;
  }

  #forgetOldest(): void {
    const { oldest } = this.#byAge;
    const place = oldest && this.#keys.get(oldest.name);
    if (!place) return;
    this.#byAge.remove(place);
    this.#keys.delete(place.item.name);
  }
}

/** Lengths in front instead of separators: whatever the three parts contain, no two triples share a name. */
function nameOf(room: string, user: string, key: string): string {
  return `${room.length}:${user.length}:${room}${user}${key}`;
}
