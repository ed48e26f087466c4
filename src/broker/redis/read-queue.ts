/**
 * Reads, at most 64 at a time: after a lost link every room of a node wants to
 * read at once, and without a limit the publishes behind them would wait for all.
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

export interface ReadQueueOptions {
  readonly commands: Pick<Commands, 'usable' | 'runBuffers' | 'onUsable'>;
  readonly clock: Clock;
  /** From asking to answering, waiting included. */
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
    while (this.#options.commands.usable && this.#inFlight < READS_IN_FLIGHT_MAX) {
      const read = this.#waiting.shift();
      if (read === undefined) return;
      if (this.#options.clock.now() >= read.untilMs) tooLate(read);
      else void this.#send(read);
    }
  }

  async #send(read: Read): Promise<void> {
    this.#inFlight += 1;
    try {
      read.resolve(await this.#options.commands.runBuffers(read.script, read.keys, read.args));
    } catch (error) {
      if (!this.#isLost(error)) read.reject(new BrokerError('unavailable', String(error)));
      else if (this.#down !== undefined) read.reject(new BrokerError('unavailable', this.#down));
      else this.#waiting.unshift(read);
    } finally {
      this.#inFlight -= 1;
      this.#next();
    }
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
