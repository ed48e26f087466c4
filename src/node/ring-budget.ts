/**
 * The node-wide cap on ring memory: over it, the rings of the rooms least
 * recently written to are dropped. Their next joins read from the store.
 */
import type { RoomStream } from '../core/room-stream.ts';

interface Ring {
  readonly stream: RoomStream;
  bytes: number;
  /** Which write was its last; later ones have larger numbers. */
  usedAt: number;
}

/** Down to this share of the cap: at the cap itself every message would look for the oldest again. */
const KEPT_SHARE = 7 / 8;

export class RingBudget {
  readonly #bytesMax: number;
  /** Rings are found by their last use only when memory is short: keeping them in order would cost every message. */
  readonly #rings = new Map<string, Ring>();
  #bytes = 0;
  #uses = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  touch(room: string, stream: RoomStream): void {
    let ring = this.#rings.get(room);
    if (!ring) {
      ring = { stream, bytes: 0, usedAt: 0 };
      this.#rings.set(room, ring);
    }
    this.#uses += 1;
    ring.usedAt = this.#uses;
    this.#bytes += stream.ring.bytes - ring.bytes;
    ring.bytes = stream.ring.bytes;
    if (this.#bytes > this.#bytesMax) this.#dropOldest(room);
  }

  forget(room: string): void {
    this.#bytes -= this.#rings.get(room)?.bytes ?? 0;
    this.#rings.delete(room);
  }

  #dropOldest(except: string): void {
    const byUse = [...this.#rings].sort(([, one], [, other]) => one.usedAt - other.usedAt);
    for (const [room, { stream }] of byUse) {
      if (this.#bytes <= this.#bytesMax * KEPT_SHARE) return;
      if (room === except) continue;
      stream.dropRing();
      this.forget(room);
    }
  }
}
