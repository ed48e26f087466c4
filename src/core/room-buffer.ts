/**
 * The ring: the newest messages of a room, kept in the memory of a node so that
 * most joins and catch-ups cost Redis nothing. It holds one contiguous range of
 * one epoch and is emptied whenever it cannot stay that.
 */
import type { Position } from '../protocol/position.ts';
import type { Entry } from './entry.ts';

export interface RingLimits {
  readonly ringMessages: number;
  readonly ringBytes: number;
}

/** What an entry costs beside its body: the object, its slot, the Buffer's own header. */
const ENTRY_OVERHEAD_BYTES = 200;

export function entryBytes(entry: Entry): number {
  return entry.body.length + ENTRY_OVERHEAD_BYTES;
}

export class RoomBuffer {
  readonly #limits: RingLimits;
  #epoch = '';
  /** Entries from `#head` on are kept; those before are holes, cut off now and then instead of shifting each time. */
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(limits: RingLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  append(epoch: string, entry: Entry): void {
    const last = this.#entries[this.#entries.length - 1];
    if (epoch !== this.#epoch || (last && entry.seq !== last.seq + 1)) this.clear();
    this.#epoch = epoch;
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
    while (
      this.length > this.#limits.ringMessages ||
      (this.#bytes > this.#limits.ringBytes && this.length > 0)
    ) {
      this.#dropOldest();
    }
  }

  /** What the store has from before the oldest kept, ascending: as much as there is room for, the newest of it. */
  prepend(epoch: string, older: readonly Entry[]): void {
    const first = this.#entries[this.#head];
    if (first && epoch !== this.#epoch) return;
    const fitting: Entry[] = [];
    let next = first?.seq;
    let bytes = this.#bytes;
    for (const entry of older.toReversed()) {
      if (next !== undefined && entry.seq >= next) continue;
      bytes += entryBytes(entry);
      const isHole = next !== undefined && entry.seq !== next - 1;
      const isFull =
        this.length + fitting.length >= this.#limits.ringMessages || bytes > this.#limits.ringBytes;
      if (isHole || isFull) break;
      fitting.push(entry);
      this.#bytes = bytes;
      next = entry.seq;
    }
    if (fitting.length === 0) return;
    this.#epoch = epoch;
    this.#entries = [...fitting.reverse(), ...this.#entries.slice(this.#head)];
    this.#head = 0;
  }

  /**
   * The entries right after `since` up to the newest, or undefined where the
   * ring cannot tell: another epoch, or a range that begins before it.
   */
  after(since: Position): readonly Entry[] | undefined {
    const first = this.#entries[this.#head];
    if (!first || since.epoch !== this.#epoch) return undefined;
    const skip = since.seq + 1 - first.seq;
    if (skip < 0 || skip > this.length) return undefined;
    return this.#entries.slice(this.#head + skip) as Entry[];
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #dropOldest(): void {
    const oldest = this.#entries[this.#head];
    if (oldest) this.#bytes -= entryBytes(oldest);
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    // Moving the kept half costs as much as was dropped since the last time: constant per message.
    if (this.#head > this.#limits.ringMessages) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
