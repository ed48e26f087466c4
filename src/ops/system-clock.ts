/**
 * The real time and the real chance of the process: the one implementation of
 * the `Clock` and `Random` ports of src/core/clock.ts that production uses. It
 * fits those ports by shape only, because ops imports nothing of ours. It
 * deliberately keeps no timer that would hold the process open: what must
 * finish before exit is awaited by the drain, not by a timer.
 */
import { randomFillSync, randomInt } from 'node:crypto';
import { v7 } from 'uuid';

/** 2^48 - 1 is the widest range `randomInt` draws from without bias. */
const FRACTION_STEPS = 2 ** 48 - 1;

/** 10 bytes are 80 bits: enough that nobody guesses an epoch, short enough to read in a log. */
const TOKEN_BYTES = 10;

/** Of a uuid before its time and version are put in. */
const ID_BYTES = 16;

/** Drawn from the system at once: a call for each id was a fifteenth of what a new connection costs. */
const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let poolUsed = POOL_BYTES;

/** Random bytes that nobody was given before, to be used before the next call. */
function randomBytes(count: number): Buffer {
  if (poolUsed + count > POOL_BYTES) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  poolUsed += count;
  return pool.subarray(poolUsed - count, poolUsed);
}

/** Of the newest id. A clock set back stands still here until it has caught up. */
const newest = { ms: 0, seq: 0 };

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

  /** uuid v7 that counts within a millisecond from a random start (RFC 9562 section 6.2, method 1). */
  id(): string {
    const random = randomBytes(ID_BYTES);
    const nowMs = Date.now();
    if (nowMs > newest.ms) {
      newest.ms = nowMs;
      // Half of the 32 bits, so that it cannot come round.
      newest.seq = random.readUInt32BE(6) >>> 1;
    } else newest.seq += 1;
    return v7({ random, msecs: newest.ms, seq: newest.seq });
  },

  /** 20 hexadecimal characters. */
  token(): string {
    return randomBytes(TOKEN_BYTES).toString('hex');
  },
};
