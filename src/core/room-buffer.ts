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

const NOTHING: readonly Entry[] = [];

export class RoomBuffer {
  readonly #limits: RingLimits;
  readonly #bodies = new BodyStore();
  #epoch = '';
  #lastSeq = 0;
  #bytes = 0;
  /** The newest as entries, as far back as was asked, for as long as nothing is added: a thousand joiners of one moment share them. */
  #entries: readonly Entry[] = NOTHING;
  /** Whether the store keeps nothing that is older: then fewer than were asked for are all there are. */
  #isAll = false;

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
    if (epoch !== this.#epoch || entry.seq !== this.#lastSeq + 1) this.clear();
    this.#epoch = epoch;
    this.#lastSeq = entry.seq;
    this.#entries = NOTHING;
    this.#bodies.push(entry.ts, entry.body);
    this.#bytes += entryBytes(entry);
    while (
      this.length > 0 &&
      (this.length > this.#limits.ringMessages || this.#bytes > this.#limits.ringBytes)
    ) {
      this.#bytes -= this.#bodies.shift() + ENTRY_OVERHEAD_BYTES;
      this.#isAll = false;
    }
  }

  /** What the store has from before the oldest kept, ascending: as much as there is room for, the newest of it. */
  prepend(epoch: string, older: readonly Entry[]): void {
    if (this.length > 0 && epoch !== this.#epoch) return;
    const kept = this.#tail(this.length);
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
    return this.#tail(this.length - skip);
  }

  /** The store keeps nothing before `seq`. `at`: where the room is, which is where the ring ends. */
  nothingBefore(at: Position, seq: number): void {
    const first = at.seq - this.length + 1;
    if (seq < first || (this.length > 0 && (at.epoch !== this.#epoch || at.seq !== this.#lastSeq))) return;
    this.#epoch = at.epoch;
    this.#lastSeq = at.seq;
    this.#isAll = true;
  }

  /** The newest `count` of a room that is at `at`, fewer where no more are kept. Undefined where only the store knows. */
  newest(at: Position, count: number): readonly Entry[] | undefined {
    if (at.epoch !== this.#epoch || at.seq !== this.#lastSeq) return undefined;
    if (count > this.length && !this.#isAll && this.length < at.seq) return undefined;
    return this.#tail(Math.min(count, this.length));
  }

  clear(): void {
    this.#bodies.clear();
    this.#entries = NOTHING;
    this.#isAll = false;
    this.#bytes = 0;
  }

  #tail(count: number): readonly Entry[] {
    if (this.#entries.length < count) {
      const skip = this.length - count;
      const firstSeq = this.#lastSeq - count + 1;
      this.#entries = Array.from({ length: count }, (_, nth) => ({
        seq: firstSeq + nth,
        ts: this.#bodies.ts(skip + nth),
        body: this.#bodies.body(skip + nth),
      }));
    }
    return this.#entries.slice(this.#entries.length - count);
  }
}
