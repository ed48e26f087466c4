/** How long a peer has taken nothing of what waits for it, as far as looks from time to time can tell. */
import type { Connection } from '../core/connection.ts';

/**
 * The most that one look adds. They come every second; between two that are further apart this process stood still, and
 * so did its writes: that a peer took nothing meanwhile says nothing about the peer.
 */
const LOOK_MS_MAX = 2000;

export class Stall {
  #progress: number;
  #lookedAtMs: number;
  #stalledMs = 0;

  constructor({ progress }: Connection, nowMs: number) {
    this.#progress = progress;
    this.#lookedAtMs = nowMs;
  }

  /** Looks again; milliseconds since the look that last saw something taken, or nothing waiting. */
  lookedAt({ progress, queuedBytes }: Connection, nowMs: number): number {
    const isMoving = queuedBytes === 0 || progress !== this.#progress;
    this.#stalledMs = isMoving ? 0 : this.#stalledMs + Math.min(nowMs - this.#lookedAtMs, LOOK_MS_MAX);
    this.#progress = progress;
    this.#lookedAtMs = nowMs;
    return this.#stalledMs;
  }
}
