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

  readonly #before: Readonly<Record<number, number>> | undefined;

  /** `before`: the newest number of each stream from before this connection; without it, streams begin with whatever comes first. */
  constructor(before?: Readonly<Record<number, number>>) {
    this.#before = before;
  }

  see(stream: number, number: number): void {
    this.seen += 1;
    const last = this.#last.get(stream) ?? (this.#before ? (this.#before[stream] ?? 0) : number - 1);
    if (number === last + 1) {
      this.#last.set(stream, number);
    } else if (number > last) {
      this.#skip(stream, last + 1, number);
      this.#last.set(stream, number);
    } else {
      this.#late(stream, number);
    }
  }

  /** The highest number seen of a stream, or the newest from before. */
  lastOf(stream: number): number {
    return this.#last.get(stream) ?? this.#before?.[stream] ?? 0;
  }

  /** How many numbers up to `newest` are still to come, over all streams. */
  behind(newest: Readonly<Record<number, number>>): number {
    return Object.entries(newest).reduce(
      (sum, [stream, number]) => sum + number - this.lastOf(Number(stream)),
      0,
    );
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
