/**
 * Which buffers wait for one peer, so that what a node holds for all of them can
 * be told: a message that waits for a thousand members is one buffer. It keeps
 * nothing alive, the socket does that for as long as it has not written it; only
 * who has a backlog at all pays for this.
 */
interface Kept {
  readonly buffer: WeakRef<Buffer>;
  readonly bytes: number;
}

export class Backlog {
  /** The newest last; those before the first that waits are cut off as others come. */
  #kept: Kept[] = [];
  #bytes = 0;

  /** `queued`: all that waits, these bytes included. */
  add(buffer: Buffer, queued: number): void {
    this.#kept.push({ buffer: new WeakRef(buffer), bytes: buffer.length });
    this.#bytes += buffer.length;
    let written = 0;
    for (const { bytes } of this.#kept) {
      if (this.#bytes - bytes < queued) break;
      this.#bytes -= bytes;
      written += 1;
    }
    if (written > 0) this.#kept = this.#kept.slice(written);
  }

  /** The newest that together are at least `queued` bytes: what is older was written, as a socket keeps the order. */
  buffers(queued: number): Buffer[] {
    const buffers: Buffer[] = [];
    let bytes = 0;
    for (let at = this.#kept.length - 1; at >= 0 && bytes < queued; at -= 1) {
      const kept = this.#kept[at];
      const buffer = kept?.buffer.deref();
      bytes += kept?.bytes ?? 0;
      if (buffer) buffers.push(buffer);
    }
    return buffers;
  }
}
