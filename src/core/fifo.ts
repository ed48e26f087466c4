/**
 * First in, first out, in one array that is used round and round. For queues
 * that fill and empty thousands of times a second: a Set or Map that does so
 * replaces its table every few operations, each old table points to the new
 * one, and once an old one has been promoted every later one is kept alive by
 * it until the next full collection, with all that was in it.
 */
const CAPACITY_MIN = 16;

export class Fifo<T extends object> {
  /** Its length is a power of two, so that a place is found with a mask. */
  #places: (T | undefined)[] = Array.from({ length: CAPACITY_MIN });
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size === this.#places.length) this.#grow();
    this.#places[(this.#head + this.#size) & (this.#places.length - 1)] = item;
    this.#size += 1;
  }

  /** The one that waits longest. */
  peek(): T | undefined {
    return this.#places[this.#head];
  }

  /** Counted from the one that waits longest, which is 0. */
  at(place: number): T | undefined {
    return place < this.#size ? this.#places[(this.#head + place) & (this.#places.length - 1)] : undefined;
  }

  shift(): T | undefined {
    const item = this.#places[this.#head];
    if (item === undefined) return undefined;
    this.#places[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#places.length - 1);
    this.#size -= 1;
    return item;
  }

  clear(): void {
    this.#places.fill(undefined);
    this.#head = 0;
    this.#size = 0;
  }

  #grow(): void {
    const ordered = [...this.#places.slice(this.#head), ...this.#places.slice(0, this.#head)];
    ordered.length *= 2;
    this.#places = ordered.fill(undefined, this.#size);
    this.#head = 0;
  }
}
