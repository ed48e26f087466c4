/** How long a peer has taken nothing of what waits for it, as far as looks from time to time can tell. */
import type { Connection } from '../core/connection.ts';

export class Stall {
  #progress: number;
  #sinceMs: number;

  constructor({ progress }: Connection, nowMs: number) {
    this.#progress = progress;
    this.#sinceMs = nowMs;
  }

  /** Looks again; milliseconds since the look that last saw something taken, or nothing waiting. */
  lookedAt({ progress, queuedBytes }: Connection, nowMs: number): number {
    if (queuedBytes === 0 || progress !== this.#progress) {
      this.#progress = progress;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}
