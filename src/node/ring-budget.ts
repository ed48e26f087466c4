/**
 * The node-wide cap on ring memory: over it, the rings of the rooms least
 * recently written to are dropped. Their next joins read from the store.
 */
import type { RoomStream } from '../core/room-stream.ts';

export class RingBudget {
  readonly #bytesMax: number;
  /** In the order of last use: a Map iterates in the order of insertion. */
  readonly #rooms = new Map<string, { stream: RoomStream; bytes: number }>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  touch(room: string, stream: RoomStream): void {
    this.#bytes += stream.ring.bytes - (this.#rooms.get(room)?.bytes ?? 0);
    this.#rooms.delete(room);
    this.#rooms.set(room, { stream, bytes: stream.ring.bytes });
    if (this.#bytes > this.#bytesMax) this.#dropOldest(room);
  }

  forget(room: string): void {
    this.#bytes -= this.#rooms.get(room)?.bytes ?? 0;
    this.#rooms.delete(room);
  }

  #dropOldest(except: string): void {
    for (const [room, { stream }] of this.#rooms) {
      if (this.#bytes <= this.#bytesMax) return;
      if (room === except) continue;
      stream.dropRing();
      this.forget(room);
    }
  }
}
