/**
 * The end of a turn of the event loop: what is written to many is written here,
 * and no turn takes longer than its budget, whoever joins, leaves or drains. Who
 * has much to do (a room, the slow consumers, a change of status, what closed connections leave behind) is a `Work`
 * on one list and does a piece when it is its turn, so that a small room waits
 * for a piece of a large one and never for all of it. What is left goes on after
 * the next look at sockets and timers.
 *
 * Connections that are given several things in one turn are corked and let go
 * together, so that a hundred replies are one write.
 */
import type { Clock } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';

export interface Work {
  /** Kept by the turn: whether it is on the list. */
  listed: boolean;
  /** Does a piece of about a millisecond, less where `turn.isOver` says so; true while something is left. */
  step(turn: Turn): boolean;
}

type Corkable = Pick<Connection, 'cork' | 'uncork'>;

/** Some 2,000 writes of 4 µs: well below what a heartbeat would notice, long enough that a round of the loop is little of it. */
const TURN_MS = 8;
/** Connections that are let go at the end of a turn, one write each: holding back is cheap and no measure of it. */
const CORKED_MAX = 1500;
/** Replies share a write with what the turn brings their connection, but do not wait for longer than this for it. */
const REPLIES_WAIT_MS = 1;
/** The list is moved to its start again once so many places before it are empty. */
const EMPTY_PLACES_MAX = 1024;

export class Turn {
  readonly #clock: Clock;
  /** A queue from `#head` on. Its array is kept: one that fills and empties with each message feeds the collector. */
  readonly #works: (Work | undefined)[] = [];
  #head = 0;
  #tail = 0;
  readonly #corked: (Corkable | undefined)[] = [];
  #corkedCount = 0;
  /** Those of before this turn: the replies, which are let go within it. */
  #corkedBefore = 0;
  #scheduled = false;
  #number = 0;
  #nowMs = 0;
  #endMs = 0;
  readonly #atEnd = () => this.#run();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Which turn it is, for what is shared within one. */
  get number(): number {
    return this.#number;
  }

  /** Whether others are on the list behind who is at work. */
  get hasMore(): boolean {
    return this.#head < this.#tail;
  }

  /** When the clock was read last in this turn. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Reads the clock: true once the budget is spent, or what is corked will take as long again to write. */
  get isOver(): boolean {
    this.#nowMs = this.#clock.now();
    return this.#nowMs >= this.#endMs || this.#corkedCount - this.#corkedBefore >= CORKED_MAX;
  }

  /** Puts it at the end of the list, where it is not on it already. */
  add(work: Work): void {
    if (work.listed) return;
    work.listed = true;
    this.#push(work);
    this.#schedule();
  }

  /** Holds back what the connection is given from here on until the turn ends. */
  cork(connection: Corkable): void {
    if (!connection.cork()) return;
    this.#corked[this.#corkedCount] = connection;
    this.#corkedCount += 1;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.afterTurn(this.#atEnd);
  }

  #run(): void {
    this.#scheduled = false;
    this.#number += 1;
    this.#nowMs = this.#clock.now();
    this.#endMs = this.#nowMs + TURN_MS;
    const repliesUntilMs = this.#nowMs + REPLIES_WAIT_MS;
    let replies = this.#corkedCount;
    this.#corkedBefore = replies;
    try {
      while (this.#head < this.#tail) {
        this.#next();
        if (this.isOver) break;
        if (replies > 0 && this.#nowMs >= repliesUntilMs) {
          this.#uncork(replies);
          replies = 0;
        }
      }
    } finally {
      // Also where a step threw: a connection left corked would never be written to again.
      this.#uncork(this.#corkedCount);
      this.#corkedCount = 0;
      if (this.#head < this.#tail) this.#schedule();
    }
  }

  #next(): void {
    const work = this.#works[this.#head];
    this.#works[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
    if (!work) return;
    let isLeft = true;
    try {
      isLeft = work.step(this);
    } finally {
      // What threw is still listed and goes on behind the member that made it throw.
      if (isLeft) this.#push(work);
      else work.listed = false;
    }
  }

  #push(work: Work): void {
    if (this.#head > EMPTY_PLACES_MAX) {
      this.#works.copyWithin(0, this.#head, this.#tail);
      this.#works.fill(undefined, this.#tail - this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    this.#works[this.#tail] = work;
    this.#tail += 1;
  }

  /** Lets go of the first so many that were corked. */
  #uncork(count: number): void {
    for (let at = 0; at < count; at += 1) {
      const connection = this.#corked[at];
      this.#corked[at] = undefined;
      connection?.uncork();
    }
  }
}
