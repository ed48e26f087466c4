/**
 * Sends commands on one open connection and gives each exactly one outcome, at
 * the latest when its deadline is over or its answer stops arriving. ioredis
 * alone does not promise that: with its resending off, a command in flight on a
 * lost link never settles, and its own timeout lets the command run later. Here the silence of one command ends
 * the whole connection, because nothing behind it can be trusted either.
 * It does not retry and does not know what a command means.
 */
import type { Socket } from 'node:net';
import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../../core/clock.ts';
import { Fifo } from '../../core/fifo.ts';
import type { Argument } from './commands.ts';
import type { Outcome } from './outcome.ts';
import { type ReplyEncoding, Request } from './request.ts';
import { commandWire } from './wire-text.ts';

export interface ExchangeOptions {
  readonly connection: Redis;
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** A deadline passed: destroy the socket and call `end`. */
  readonly silent: () => void;
}

/** Commands without an answer yet. At 10,000 a second this is ten seconds of silence: more is refused, not hoarded. */
export const IN_FLIGHT_MAX = 100_000;

/** Beyond the deadline an answer that goes on arriving is waited for, looked at so often, and for so long. */
const LOOK_SHARE = 0.25;
const ARRIVING_DEADLINES_MAX = 10;

const NO_ARGUMENTS: readonly Argument[] = [];

export class Exchange {
  readonly #connection: Redis;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #silent: () => void;
  /** In the order of sending, which is that of the answers: the first one is always the next to expire. */
  readonly #waiting = new Fifo<Request>();
  /** One timer for all: it follows the oldest command. */
  #watch: Timer | undefined;
  /** Read from the socket when the watch began. */
  #bytesSeen = 0;
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
    return new Promise((resolve) => {
      this.#send(name, args, commandWire(name, args), encoding, resolve);
    });
  }

  /** As `send`, for a command that is RESP already, with the outcome told by a call, perhaps before this returns. */
  sendWire(
    name: string,
    wire: string,
    settle: (outcome: Outcome) => void,
    encoding: ReplyEncoding = 'utf8',
  ): void {
    this.#send(name, NO_ARGUMENTS, wire, encoding, settle);
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
    const lost: Outcome = { kind: 'lost', message: reason };
    for (let request = this.#waiting.shift(); request; request = this.#waiting.shift()) request.settle(lost);
  }

  #send(
    name: string,
    args: readonly Argument[],
    wire: string | Buffer,
    encoding: ReplyEncoding,
    settle: (outcome: Outcome) => void,
  ): void {
    const connection = this.#connection;
    if (this.#ended !== undefined || connection.status !== 'ready' || !connection.stream.writable) {
      settle({ kind: 'not_sent', message: this.#ended ?? 'the connection is closing' });
      return;
    }
    if (!this.accepts(1)) {
      settle({ kind: 'error', verdict: 'refused', message: `${IN_FLIGHT_MAX} commands are in flight` });
      return;
    }
    this.#cork();
    const request = new Request(name, args, wire, encoding, this.#clock.now(), (outcome) => {
      this.#forgetSettled();
      settle(outcome);
    });
    this.#waiting.push(request);
    if (this.#watch === undefined) this.#watchFor(this.#deadlineMs);
    // What it returns is the promise of a Command of its own, which a request has not got.
    void connection.sendCommand(request.asCommand);
  }

  #forgetSettled(): void {
    while (this.#waiting.peek()?.settled) this.#waiting.shift();
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#connection.stream.cork();
    this.#clock.afterTurn(() => this.flush());
  }

  #watchFor(ms: number): void {
    this.#bytesSeen = this.#bytesRead;
    this.#watch = this.#clock.after(ms, () => {
      // Answers that came while this process was busy are still in the socket; they count.
      this.#clock.afterTurn(() => this.#judgeOldest());
    });
  }

  #judgeOldest(): void {
    this.#watch = undefined;
    const oldest = this.#waiting.peek();
    if (oldest === undefined || this.#ended !== undefined) return;
    const leftMs = oldest.sentMs + this.#deadlineMs - this.#clock.now();
    if (leftMs > 0) this.#watchFor(leftMs);
    else if (this.#isArriving(-leftMs)) this.#watchFor(this.#deadlineMs * LOOK_SHARE);
    else this.#silent();
  }

  /**
   * Answers come in order, so what came in since the last look is the oldest command's or was in front of it. Without
   * this an answer larger than the network carries within the deadline ends the link, and so does its repetition
   * on the next one, for ever. docs/decisions/0026.
   */
  #isArriving(overdueMs: number): boolean {
    return overdueMs < ARRIVING_DEADLINES_MAX * this.#deadlineMs && this.#bytesRead !== this.#bytesSeen;
  }

  get #bytesRead(): number {
    return (this.#connection.stream as Partial<Socket>).bytesRead ?? 0;
  }
}
