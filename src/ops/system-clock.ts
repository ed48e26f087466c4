/**
 * The real time and the real chance of the process: the one implementation of
 * the `Clock` and `Random` ports of src/core/clock.ts that production uses. It
 * fits those ports by shape only, because ops imports nothing of ours. It
 * deliberately keeps no timer that would hold the process open: what must
 * finish before exit is awaited by the drain, not by a timer.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { v7 } from 'uuid';

/** 2^48 - 1 is the widest range `randomInt` draws from without bias. */
const FRACTION_STEPS = 2 ** 48 - 1;

/** 10 bytes are 80 bits: enough that nobody guesses an epoch, short enough to read in a log. */
const TOKEN_BYTES = 10;

export const systemClock = {
  /** Monotonic milliseconds since the process began. */
  now(): number {
    return performance.now();
  },

  /** Milliseconds since 1970 by the machine's clock, which an operator may set back. */
  wallMs(): number {
    return Date.now();
  },

  after(ms: number, run: () => void): { cancel(): void } {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },

  every(ms: number, run: () => void): { cancel(): void } {
    const timer = setInterval(run, ms);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },

  /** setImmediate runs after the I/O callbacks of this turn, which is what lets one write carry them all. */
  afterTurn(run: () => void): void {
    setImmediate(run);
  },
};

export const systemRandom = {
  /** Uniform in [0, 1). */
  fraction(): number {
    return randomInt(FRACTION_STEPS) / FRACTION_STEPS;
  },

  /** uuid v7 without options: with any, ids would stop being monotonic within a millisecond. */
  id(): string {
    return v7();
  },

  /** 20 hexadecimal characters. */
  token(): string {
    return randomBytes(TOKEN_BYTES).toString('hex');
  },
};
