/**
 * The ring: the newest messages of a room, kept in the memory of a node so that
 * most joins and catch-ups cost Redis nothing. It holds one contiguous range of
 * one epoch and is emptied whenever it cannot stay that.
 */
import type { Position } from '../protocol/position.ts';
import { BodyStore } from './body-store.ts';
import type { Entry } from './entry.ts';

export interface RingLimits {
  readonly ringMessages: number;
  readonly ringBytes: number;
}

/** What an entry costs beside its body: its place here and its share of a slab, or the objects of one that is held back. */
const ENTRY_OVERHEAD_BYTES = 200;

export function entryBytes(entry: Entry): number {
  return entry.body.length + ENTRY_OVERHEAD_BYTES;
}

export class RoomBuffer {
  readonly #limits: RingLimits;
  readonly #bodies = new BodyStore();
  #epoch = '';
  #lastSeq = 0;
  #bytes = 0;
  /** All that is kept as entries, for as long as nothing is added: a thousand joiners of one moment share it. */
  #entries: readonly Entry[] | undefined;

  constructor(limits: RingLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#bodies.size;
  }

  /** Copies what it keeps: the entry's body may be a view of a read buffer. */
  append(epoch: string, entry: Entry): void {
    if (epoch !== this.#epoch || (this.length > 0 && entry.seq !== this.#lastSeq + 1)) this.clear();
    this.#epoch = epoch;
    this.#lastSeq = entry.seq;
    this.#entries = undefined;
    this.#bodies.push(entry.ts, entry.body);
    this.#bytes += entryBytes(entry);
    while (
      this.length > 0 &&
      (this.length > this.#limits.ringMessages || this.#bytes > this.#limits.ringBytes)
    ) {
      this.#bytes -= this.#bodies.shift() + ENTRY_OVERHEAD_BYTES;
    }
  }

  /** What the store has from before the oldest kept, ascending: as much as there is room for, the newest of it. */
  prepend(epoch: string, older: readonly Entry[]): void {
    if (this.length > 0 && epoch !== this.#epoch) return;
    const kept = this.#all();
    const fitting: Entry[] = [];
    let next = kept[0]?.seq;
    let bytes = this.#bytes;
    for (const entry of older.toReversed()) {
      if (next !== undefined && entry.seq >= next) continue;
      bytes += entryBytes(entry);
      const isHole = next !== undefined && entry.seq !== next - 1;
      const isFull =
        this.length + fitting.length >= this.#limits.ringMessages || bytes > this.#limits.ringBytes;
      if (isHole || isFull) break;
      fitting.push(entry);
      next = entry.seq;
    }
    if (fitting.length === 0) return;
    this.clear();
    for (const entry of [...fitting.reverse(), ...kept]) this.append(epoch, entry);
  }

  /**
   * The entries right after `since` up to the newest, or undefined where the
   * ring cannot tell: another epoch, or a range that begins before it. Their
   * bodies are views that nobody writes to again.
   */
  after(since: Position): readonly Entry[] | undefined {
    if (this.length === 0 || since.epoch !== this.#epoch) return undefined;
    const skip = since.seq - (this.#lastSeq - this.length);
    if (skip < 0 || skip > this.length) return undefined;
    return skip === this.length ? NOTHING : this.#all().slice(skip);
  }

  clear(): void {
    this.#bodies.clear();
    this.#entries = undefined;
    this.#bytes = 0;
  }

  #all(): readonly Entry[] {
    const firstSeq = this.#lastSeq - this.length + 1;
    this.#entries ??= Array.from({ length: this.length }, (_, nth) => ({
      seq: firstSeq + nth,
      ts: this.#bodies.ts(nth),
      body: this.#bodies.body(nth),
    }));
    return this.#entries;
  }
}

const NOTHING: readonly Entry[] = [];
