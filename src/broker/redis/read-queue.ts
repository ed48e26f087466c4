/**
 * Reads, at most 64 at a time: after a lost link every room of a node wants to
 * read at once, and without a limit the publishes behind them would wait for all.
 * Fewer where answers take long. Over a slow network 64 large ones do not arrive
 * within the deadline of the first, the link is given up although Redis answers,
 * and the next one would end the same way, for ever.
 * A read changes nothing, so one whose answer was lost with the link is simply
 * made again, for as long as its caller waits.
 */
import type { Clock } from '../../core/clock.ts';
import { BrokerError } from '../broker.ts';
import type { Commands } from './commands.ts';
import type { ScriptName } from './scripts.ts';

export const READS_IN_FLIGHT_MAX = 64;
/** Reads waiting for their turn; above it they are refused. */
export const READS_WAITING_MAX = 10_000;
/** An answer that took this part of the deadline was slow: half as many go out, and one more with each that was not. */
const SLOW_SHARE = 0.25;

export interface ReadQueueOptions {
  readonly commands: Pick<Commands, 'usable' | 'runBuffers' | 'onUsable'>;
  readonly clock: Clock;
  /** From asking to sending. */
  readonly deadlineMs: number;
}

interface Read {
  readonly script: ScriptName;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly untilMs: number;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: BrokerError) => void;
}

export class ReadQueue {
  readonly #options: ReadQueueOptions;
  #waiting: Read[] = [];
  #inFlight = 0;
  #inFlightMax = READS_IN_FLIGHT_MAX;
  #down: string | undefined;

  constructor(options: ReadQueueOptions) {
    this.#options = options;
    options.commands.onUsable((usable) => {
      if (usable) this.#next();
    });
  }

  /** Resolves to the reply with its strings as Buffers; rejects with `unavailable` and nothing else. */
  run(script: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const { clock, deadlineMs } = this.#options;
    if (this.#down !== undefined) return unavailable(this.#down);
    if (this.#waiting.length >= READS_WAITING_MAX)
      return unavailable(`${READS_WAITING_MAX} reads wait already`);
    return new Promise((resolve, reject) => {
      const untilMs = clock.now() + deadlineMs;
      this.#waiting.push({ script, keys, args, untilMs, resolve, reject });
      this.#next();
    });
  }

  /** Refuses everything that waits, and every read from now on, until `up`. */
  down(reason: string): void {
    this.#down = reason;
    const refused = this.#waiting;
    this.#waiting = [];
    for (const read of refused) read.reject(new BrokerError('unavailable', reason));
  }

  up(): void {
    this.#down = undefined;
  }

  /** While the link is away but not yet `down`, reads wait: `down` ends that within moments. */
  #next(): void {
    while (this.#options.commands.usable && this.#inFlight < this.#inFlightMax) {
      const read = this.#waiting.shift();
      if (read === undefined) return;
      if (this.#options.clock.now() >= read.untilMs) tooLate(read);
      else void this.#send(read);
    }
  }

  async #send(read: Read): Promise<void> {
    const { commands, clock, deadlineMs } = this.#options;
    const sentMs = clock.now();
    this.#inFlight += 1;
    try {
      read.resolve(await commands.runBuffers(read.script, read.keys, read.args));
      this.#pace(clock.now() - sentMs > deadlineMs * SLOW_SHARE);
    } catch (error) {
      if (this.#isLost(error)) this.#lost(read);
      else read.reject(new BrokerError('unavailable', String(error)));
    } finally {
      this.#inFlight -= 1;
      this.#next();
    }
  }

  #lost(read: Read): void {
    this.#pace(true);
    if (this.#down !== undefined) read.reject(new BrokerError('unavailable', this.#down));
    else this.#waiting.unshift(read);
  }

  #pace(isSlow: boolean): void {
    this.#inFlightMax = isSlow
      ? Math.max(1, this.#inFlightMax >> 1)
      : Math.min(READS_IN_FLIGHT_MAX, this.#inFlightMax + 1);
  }

  /** With the link. On a link that works, a script that raised an error would raise it again, without an end. */
  #isLost(error: unknown): boolean {
    const { commands } = this.#options;
    return error instanceof BrokerError && error.code === 'unknown_outcome' && !commands.usable;
  }
}

function tooLate(read: Read): void {
  read.reject(new BrokerError('unavailable', 'the read waited for too long'));
}

function unavailable(message: string): Promise<never> {
  return Promise.reject(new BrokerError('unavailable', message));
}
