/**
 * Rests of a worker that only drains. One read per message and socket costs the
 * generator as much as the write costs the server, so with both on one core each
 * it would be the generator that is measured. Nobody reads the clock on these
 * connections, so they may be read late: the worker sleeps until the next tick
 * and then takes from each socket what has gathered there, in one read.
 *
 * Sleeping means blocking the thread. Letting the loop wait instead would wake
 * it with the first byte, and pausing sockets costs more system calls than it
 * saves. The connections that are timed are in a worker that never naps.
 */
import { setImmediate, clearImmediate } from 'node:timers';

/**
 * Long enough for several messages per read from 100/s on, short enough that no receive window fills meanwhile. No
 * rate's period is a multiple of it: at 50/s, ticks of 20 ms met every message at the same moment of its fan-out,
 * and which moment that was decided by a fifth what a write cost.
 */
export const TICK_MS = 23;

export interface NapClock {
  now(): number;
  /** Blocks. */
  sleep(ms: number): void;
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));
const CLOCK: NapClock = {
  now: () => performance.now(),
  sleep: (ms) => void Atomics.wait(NEVER, 0, 0, ms),
};

/** The ticks themselves: how long to sleep, given how long the work since the last one took. */
export class Ticks {
  readonly #clock: NapClock;
  #nextAt: number;

  constructor(clock: NapClock = CLOCK) {
    this.#clock = clock;
    this.#nextAt = clock.now() + TICK_MS;
  }

  /** Sleeps until the next tick; not at all where that has passed, for then there is work enough. */
  rest(): void {
    const now = this.#clock.now();
    if (now < this.#nextAt) {
      this.#clock.sleep(this.#nextAt - now);
      this.#nextAt += TICK_MS;
    } else {
      this.#nextAt = now + TICK_MS;
    }
  }
}

/** Naps after each turn of the loop from `start` to `stop`. */
export class Napper {
  #next: NodeJS.Immediate | undefined;

  start(): void {
    if (this.#next) return;
    const ticks = new Ticks();
    const turn = () => {
      ticks.rest();
      this.#next = setImmediate(turn);
    };
    this.#next = setImmediate(turn);
  }

  stop(): void {
    if (this.#next) clearImmediate(this.#next);
    this.#next = undefined;
  }
}

/** Blocks this thread; for a process that has nothing else to do until then. */
export function sleepExactly(ms: number): void {
  CLOCK.sleep(ms);
}
