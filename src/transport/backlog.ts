/**
 * What waits for one peer, buffer by buffer: how many there are, because each
 * costs memory beside its bytes, and which, so that what a node holds for all
 * peers can be told: a message that waits for a thousand members is one buffer.
 * It keeps nothing alive, the socket does that for as long as it has not written
 * it; only who has a backlog at all pays for this, and only while it has.
 */
import { Fifo } from '../core/fifo.ts';

interface Kept {
  readonly buffer: WeakRef<Buffer>;
  readonly bytes: number;
}

/** What a buffer that waits costs beside its bytes: objects of Node's stream and of this file. */
const ENTRY_BYTES = 256;

export class Backlog {
  readonly #kept = new Fifo<Kept>();
  #bytes = 0;
  #largest = 0;

  /** The length of the longest since nothing waited. */
  get largest(): number {
    return this.#largest;
  }

  /** `queued`: all that waits up to these bytes, which are included. */
  add(buffer: Buffer, queued: number): void {
    const bytes = buffer.length;
    this.#trim(Math.max(0, queued - bytes));
    if (this.#kept.size === 0) this.#largest = 0;
    this.#kept.push({ buffer: new WeakRef(buffer), bytes });
    this.#bytes += bytes;
    this.#largest = Math.max(this.#largest, bytes);
  }

  /** What is kept of `queued` bytes beside them. A million pongs of two bytes are not two megabytes. */
  overhead(queued: number): number {
    this.#trim(queued);
    return this.#kept.size * ENTRY_BYTES;
  }

  /** The newest that together are at least `queued` bytes, oldest first. */
  buffers(queued: number): Buffer[] {
    this.#trim(queued);
    const buffers: Buffer[] = [];
    for (let at = 0; at < this.#kept.size; at += 1) {
      const buffer = this.#kept.at(at)?.buffer.deref();
      if (buffer) buffers.push(buffer);
    }
    return buffers;
  }

  /** What is older than the newest `queued` bytes was written: a socket keeps the order. */
  #trim(queued: number): void {
    for (
      let first = this.#kept.peek();
      first && this.#bytes - first.bytes >= queued;
      first = this.#kept.peek()
    ) {
      this.#kept.shift();
      this.#bytes -= first.bytes;
    }
  }
}
