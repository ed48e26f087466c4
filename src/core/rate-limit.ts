/** How often something may be done: token buckets and counters. Pure: each is told the time when it is asked. */

/** One token, in the unit in which credit is counted. */
const TOKEN = 1000;

/**
 * A token bucket: `perSecond` on average, `burst` at once. It has no timer; it
 * fills up by the time that passed when it is asked. A rate of 0 is "off".
 */
export class TokenBucket {
  readonly #perSecond: number;
  /** Thousandths of a token: `perSecond` of them come in every ms, so whole ms and rates add up without rounding. */
  readonly #burst: number;
  #credit: number;
  #filledAt: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perSecond = perSecond;
    this.#burst = Math.max(burst, 1) * TOKEN;
    this.#credit = this.#burst;
    this.#filledAt = now;
  }

  /** Takes one token. Returns 0, or the milliseconds until there will be one (nothing is taken then). */
  take(now: number): number {
    if (this.#perSecond === 0) return 0;
    this.#credit = this.#creditAt(now);
    // A clock that seems to go back takes no tokens away, nor is the same time paid out twice.
    this.#filledAt = Math.max(this.#filledAt, now);
    if (this.#credit >= TOKEN) {
      this.#credit -= TOKEN;
      return 0;
    }
    return Math.max(1, Math.ceil((TOKEN - this.#credit) / this.#perSecond));
  }

  /** True where forgetting this bucket and making a new one would change nothing. */
  isFull(now: number): boolean {
    return this.#perSecond === 0 || this.#creditAt(now) >= this.#burst;
  }

  #creditAt(now: number): number {
    const passedMs = Math.max(0, now - this.#filledAt);
    return Math.min(this.#burst, this.#credit + passedMs * this.#perSecond);
  }
}

/**
 * One bucket per name (user, room), made when first asked for and forgotten
 * when full again, so that the map holds only names active just now.
 */
export class KeyedBuckets {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #perSecond: number;
  readonly #burst: number;

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  take(name: string, now: number): number {
    if (this.#perSecond === 0) return 0;
    let bucket = this.#buckets.get(name);
    if (!bucket) {
      bucket = new TokenBucket(this.#perSecond, this.#burst, now);
      this.#buckets.set(name, bucket);
    }
    return bucket.take(now);
  }

  /** Forgets what is full again; called every few seconds. */
  sweep(now: number): void {
    for (const [name, bucket] of this.#buckets) if (bucket.isFull(now)) this.#buckets.delete(name);
  }

  get size(): number {
    return this.#buckets.size;
  }
}

/** Counts events in whole seconds: for "more than n a minute" and "in each of n seconds in a row". */
export class SecondsInRow {
  #second = -1;
  #inRow = 0;

  /** Notes an event; returns in how many consecutive seconds, this one included, there was at least one. */
  note(now: number): number {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#inRow = second === this.#second + 1 ? this.#inRow + 1 : 1;
      this.#second = second;
    }
    return this.#inRow;
  }
}

/** Counts events of the last minute, exactly, by remembering at most `max` + 1 moments. */
export class PerMinute {
  readonly #max: number;
  readonly #moments: number[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes an event; true where there were now more than `max` within a minute. 0 = off. */
  exceeds(now: number): boolean {
    if (this.#max === 0) return false;
    this.#moments.push(now);
    while (this.#moments.length > 0 && (this.#moments[0] ?? now) <= now - 60_000) this.#moments.shift();
    if (this.#moments.length > this.#max + 1) this.#moments.shift();
    return this.#moments.length > this.#max;
  }
}
