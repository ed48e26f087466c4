/**
 * Sends commands on one open connection and gives each exactly one outcome, at
 * the latest when its deadline is over. ioredis alone does not promise that: with
 * its resending off, a command in flight on a lost link never settles, and its
 * own timeout lets the command run later. Here the silence of one command ends
 * the whole connection, because nothing behind it can be trusted either.
 * It does not retry and does not know what a command means.
 */
import { Command, type Redis } from 'ioredis';
import type { Clock, Timer } from '../../core/clock.ts';
import type { Argument } from './commands.ts';
import { failedOutcome, type Outcome } from './outcome.ts';

export interface ExchangeOptions {
  readonly connection: Redis;
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** A deadline passed: destroy the socket and call `end`. */
  readonly silent: () => void;
}

/** How strings inside a reply are given: text, or bytes that must not be decoded. */
export type ReplyEncoding = 'utf8' | 'buffer';

/** Commands without an answer yet. At 10,000 a second this is ten seconds of silence: more is refused, not hoarded. */
export const IN_FLIGHT_MAX = 100_000;

interface Waiting {
  readonly sentMs: number;
  readonly settle: (outcome: Outcome) => void;
}

export class Exchange {
  readonly #connection: Redis;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #silent: () => void;
  /** In the order of sending, so the first one is always the next to expire. */
  readonly #waiting = new Set<Waiting>();
  /** One timer for all: it follows the oldest command. */
  #watch: Timer | undefined;
  #corked = false;
  #ended: string | undefined;

  constructor({ connection, clock, deadlineMs, silent }: ExchangeOptions) {
    this.#connection = connection;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#silent = silent;
  }

  /** Never rejects. Commands sent in one turn leave in one write. */
  send(name: string, args: readonly Argument[], encoding: ReplyEncoding = 'utf8'): Promise<Outcome> {
    if (
      this.#ended !== undefined ||
      this.#connection.status !== 'ready' ||
      !this.#connection.stream.writable
    ) {
      return Promise.resolve({ kind: 'not_sent', message: this.#ended ?? 'the connection is closing' });
    }
    if (!this.accepts(1)) {
      const message = `${IN_FLIGHT_MAX} commands are in flight`;
      return Promise.resolve({ kind: 'error', verdict: 'refused', message });
    }
    this.#cork();
    return new Promise((resolve) => {
      const entry: Waiting = {
        sentMs: this.#clock.now(),
        settle: (outcome) => {
          if (this.#waiting.delete(entry)) resolve(outcome);
        },
      };
      this.#waiting.add(entry);
      if (this.#watch === undefined) this.#watchFor(this.#deadlineMs);
      const options = encoding === 'utf8' ? { replyEncoding: 'utf8' as const } : { replyEncoding: null };
      const answer = this.#connection.sendCommand(new Command(name, [...args], options)) as Promise<unknown>;
      answer.then(
        (value) => entry.settle({ kind: 'reply', value }),
        (error: unknown) => entry.settle(failedOutcome(error)),
      );
    });
  }

  /** Whether `count` more commands fit: asked before a MULTI, which must not be sent without its EXEC. */
  accepts(count: number): boolean {
    return this.#waiting.size + count <= IN_FLIGHT_MAX;
  }

  /** Writes now what was sent in this turn, for callers that run at its very end. */
  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#connection.stream.uncork();
  }

  /** The connection is gone: everything in flight is `lost`, everything from now on `not_sent`. */
  end(reason: string): void {
    this.#ended ??= reason;
    this.#watch?.cancel();
    for (const entry of this.#waiting) entry.settle({ kind: 'lost', message: reason });
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#connection.stream.cork();
    this.#clock.afterTurn(() => this.flush());
  }

  #watchFor(ms: number): void {
    this.#watch = this.#clock.after(ms, () => {
      // Answers that came while this process was busy are still in the socket; they count.
      this.#clock.afterTurn(() => this.#judgeOldest());
    });
  }

  #judgeOldest(): void {
    this.#watch = undefined;
    const [oldest] = this.#waiting;
    if (oldest === undefined || this.#ended !== undefined) return;
    const leftMs = oldest.sentMs + this.#deadlineMs - this.#clock.now();
    if (leftMs > 0) this.#watchFor(leftMs);
    else this.#silent();
  }
}
