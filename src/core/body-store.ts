/**
 * The bodies of a room's newest messages, one behind the other in slabs of the
 * room's own. A message is heard thousands of times a second and kept for
 * seconds: as an object with a Buffer of its own each would outlive its scavenge,
 * be promoted and die in the old generation, whose collections stop the loop;
 * and each would keep alive the 8 KB of Node's Buffer pool that it was cut from,
 * together with whatever replies lay beside it. Here a message leaves no object.
 *
 * What was written is never overwritten, because readers hold views of it; a slab
 * goes when nothing in it is kept any more and the last view is gone.
 */

/** Slabs double up to the largest: a quiet room holds little more than its messages, a busy one rarely asks for memory. */
const SLAB_BYTES_MIN = 512;
const SLAB_BYTES_MAX = 16_384;
/** A larger body has a slab of its own: of those just over a half, each would leave the rest of one empty. */
const SHARED_BYTES_MAX = SLAB_BYTES_MAX / 4;
const PLACES_MIN = 8;
/** Shared by all that are empty: a room nobody talks in costs next to nothing. */
const NO_NUMBERS = new Uint32Array(0);
const NO_TIMES = new Float64Array(0);
const NO_BYTES = Buffer.alloc(0);

export class BodyStore {
  /** Places go round: the oldest is at `#head`, and there is a power of two of them. */
  #slabs: (Buffer | undefined)[] = [];
  #starts = NO_NUMBERS;
  #lengths = NO_NUMBERS;
  #times = NO_TIMES;
  #head = 0;
  #size = 0;
  #slab: Buffer | undefined;
  #used = 0;

  get size(): number {
    return this.#size;
  }

  /** Copies the body; the caller's is not held on to. `ts` in milliseconds since 1970. */
  push(ts: number, body: Buffer): void {
    if (this.#size === this.#slabs.length) this.#grow();
    const place = (this.#head + this.#size) & (this.#slabs.length - 1);
    const isAlone = body.length > SHARED_BYTES_MAX;
    // Not from the pool, which would mix it with what others keep.
    const slab = isAlone ? Buffer.allocUnsafeSlow(body.length) : this.#slabFor(body.length);
    const start = isAlone ? 0 : this.#used;
    body.copy(slab, start);
    this.#slabs[place] = slab;
    this.#starts[place] = start;
    this.#lengths[place] = body.length;
    this.#times[place] = ts;
    if (!isAlone) this.#used += body.length;
    this.#size += 1;
  }

  /** Forgets the oldest and returns the length of its body; 0 where there is none. */
  shift(): number {
    if (this.#size === 0) return 0;
    const bytes = this.#lengths[this.#head] ?? 0;
    this.#slabs[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slabs.length - 1);
    this.#size -= 1;
    return bytes;
  }

  /** A view of the body of the nth oldest. */
  body(nth: number): Buffer {
    const place = this.#placeOf(nth);
    const start = this.#starts[place] ?? 0;
    const slab = this.#slabs[place] ?? NO_BYTES;
    return slab.subarray(start, start + (this.#lengths[place] ?? 0));
  }

  ts(nth: number): number {
    return this.#times[this.#placeOf(nth)] ?? 0;
  }

  clear(): void {
    this.#slabs = [];
    this.#starts = NO_NUMBERS;
    this.#lengths = NO_NUMBERS;
    this.#times = NO_TIMES;
    this.#head = 0;
    this.#size = 0;
    this.#slab = undefined;
    this.#used = 0;
  }

  /** The one that is being filled, or the next where that has no room. */
  #slabFor(bytes: number): Buffer {
    const slab = this.#slab;
    if (slab && slab.length - this.#used >= bytes) return slab;
    const doubled = Math.min(SLAB_BYTES_MAX, Math.max(SLAB_BYTES_MIN, 2 * (slab?.length ?? 0)));
    this.#slab = Buffer.allocUnsafeSlow(Math.max(doubled, bytes));
    this.#used = 0;
    return this.#slab;
  }

  #placeOf(nth: number): number {
    return (this.#head + nth) & (this.#slabs.length - 1);
  }

  #grow(): void {
    const places = Math.max(PLACES_MIN, 2 * this.#slabs.length);
    const slabs = Array.from<Buffer | undefined>({ length: places });
    const starts = new Uint32Array(places);
    const lengths = new Uint32Array(places);
    const times = new Float64Array(places);
    for (let nth = 0; nth < this.#size; nth += 1) {
      const place = this.#placeOf(nth);
      slabs[nth] = this.#slabs[place];
      starts[nth] = this.#starts[place] ?? 0;
      lengths[nth] = this.#lengths[place] ?? 0;
      times[nth] = this.#times[place] ?? 0;
    }
    this.#slabs = slabs;
    this.#starts = starts;
    this.#lengths = lengths;
    this.#times = times;
    this.#head = 0;
  }
}
