/**
 * What one connection was owed and got: per stream the numbers grow by exactly
 * one, each comes once. A number that is skipped counts as missing until it
 * comes late (then it is out of order); one that comes again is a duplicate.
 * The tail cannot be seen from here: `lastOf` is compared with what was sent.
 */

export interface DeliveryFaults {
  missing: number;
  duplicates: number;
  disordered: number;
}

export const noFaults = (): DeliveryFaults => ({ missing: 0, duplicates: 0, disordered: 0 });

export function addFaults(to: DeliveryFaults, more: DeliveryFaults): void {
  to.missing += more.missing;
  to.duplicates += more.duplicates;
  to.disordered += more.disordered;
}

/** Beyond it skipped numbers are only counted: a stream that jumps that far lost them. */
const SKIPPED_MAX = 100_000;

export class DeliveryCheck {
  readonly faults: DeliveryFaults = noFaults();
  seen = 0;
  readonly #last = new Map<number, number>();
  readonly #skipped = new Map<number, Set<number>>();

  readonly #first: number | undefined;

  /** `first` is the number each stream begins with for this connection; without it, whatever comes first. */
  constructor(first?: number) {
    this.#first = first;
  }

  see(stream: number, number: number): void {
    this.seen += 1;
    const before = this.#last.get(stream);
    const last = before ?? (this.#first === undefined ? number - 1 : this.#first - 1);
    if (number === last + 1) {
      this.#last.set(stream, number);
    } else if (number > last) {
      this.#skip(stream, last + 1, number);
      this.#last.set(stream, number);
    } else {
      this.#late(stream, number);
    }
  }

  /** The highest number seen of a stream, 0 for none. */
  lastOf(stream: number): number {
    return this.#last.get(stream) ?? 0;
  }

  #skip(stream: number, from: number, to: number): void {
    this.faults.missing += to - from;
    let skipped = this.#skipped.get(stream);
    if (!skipped) this.#skipped.set(stream, (skipped = new Set()));
    for (let number = from; number < to && skipped.size < SKIPPED_MAX; number += 1) skipped.add(number);
  }

  #late(stream: number, number: number): void {
    if (this.#skipped.get(stream)?.delete(number)) {
      this.faults.missing -= 1;
      this.faults.disordered += 1;
    } else {
      this.faults.duplicates += 1;
    }
  }
}
