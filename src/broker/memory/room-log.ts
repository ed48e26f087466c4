/**
 * The log of one room in memory: numbers messages from 1, keeps the newest of
 * them, and answers what came after a position or why that cannot be told. One
 * log is one life of a room, hence one epoch; with no Redis behind it that can
 * lose a tail, it has one term for ever. It knows nothing of time or of other
 * rooms: when to forget is decided by room-store.ts.
 *
 * A kept message is bytes in a slab (core/body-store.ts), as on a node with Redis: as an object with a Buffer of
 * its own each would die old, and the collections that takes stop the loop. docs/decisions/0023.
 */
import type { Entry, HistoryPage, HistoryQuery, ReadResult } from '../broker.ts';
import { BodyStore } from '../../core/body-store.ts';
import type { Position, ResetReason } from '../../protocol/position.ts';

type WithoutPresence<Result> = Result extends unknown ? Omit<Result, 'presenceVersion'> : never;
/** A `ReadResult` but for the presence version, of which a log knows nothing. */
export type LogRead = WithoutPresence<ReadResult>;

/** Reckoned for an entry beside its body: its place, and its share of what is free in a slab. */
const ENTRY_OVERHEAD_BYTES = 200;

export class RoomLog {
  readonly epoch: string;
  readonly #keepMax: number;
  /** Without a hole: the newest has the number `#top`. */
  readonly #bodies = new BodyStore();
  #top = 0;
  #bytes = 0;

  constructor(epoch: string, keepMax: number) {
    this.epoch = epoch;
    this.#keepMax = keepMax;
  }

  get top(): number {
    return this.#top;
  }

  /** Memory that what is kept takes, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#bodies.size;
  }

  /** The number of the oldest that is kept, or would be. */
  get #first(): number {
    return this.#top - this.count + 1;
  }

  /** Copies the body; the entry returned has the caller's. */
  append(ts: number, body: Buffer): Entry {
    this.#top += 1;
    this.#bodies.push(ts, body);
    this.#bytes += body.length + ENTRY_OVERHEAD_BYTES;
    if (this.count > this.#keepMax) this.dropOldest();
    return { seq: this.#top, ts, body };
  }

  dropOldest(): void {
    if (this.count > 0) this.#bytes -= this.#bodies.shift() + ENTRY_OVERHEAD_BYTES;
  }

  /** Forgets every message, but not the numbering: who comes back with a position below the top is told `trimmed`. */
  forgetEntries(): void {
    this.#bodies.clear();
    this.#bytes = 0;
  }

  read(since: Position | null, limit: number): LogRead {
    const { epoch } = this;
    const top = this.#top;
    if (!since) return { verdict: 'fresh', epoch, top };
    if (since.epoch !== epoch) return this.#broken('lost', 0, limit);
    // The caller names a message this log never had: following on from there would hide the difference.
    if (since.seq > top) return this.#broken('diverged', top, limit);
    if (since.seq + 1 < this.#first) return this.#broken('trimmed', since.seq, limit);
    const last = Math.min(top, since.seq + limit);
    const entries = this.#between(since.seq + 1, last);
    return { verdict: last === top ? 'ok' : 'more', epoch, top, entries, terms: [] };
  }

  history(query: HistoryQuery): HistoryPage {
    const { before, after, limit } = query;
    const page = (entries: Entry[], more: boolean): HistoryPage => {
      return { epoch: this.epoch, seq: this.#top, entries, more };
    };
    if (after !== undefined) {
      const from = Math.max(this.#first, after + 1);
      const to = Math.min(this.#top, from + limit - 1);
      return page(this.#between(from, to), to < this.#top);
    }
    const to = Math.min(this.#top, (before ?? this.#top + 1) - 1);
    const from = Math.max(this.#first, to - limit + 1);
    return page(this.#between(from, to), from > this.#first);
  }

  /** The newest of what is kept above `above`, so that nothing kept after the break is skipped. */
  #broken(verdict: ResetReason, above: number, limit: number): LogRead {
    const from = Math.max(this.#first, above + 1, this.#top - limit + 1);
    return { verdict, epoch: this.epoch, top: this.#top, entries: this.#between(from, this.#top) };
  }

  #between(from: number, to: number): Entry[] {
    const first = this.#first;
    const entries: Entry[] = [];
    for (let seq = from; seq <= to; seq += 1) {
      entries.push({ seq, ts: this.#bodies.ts(seq - first), body: this.#bodies.body(seq - first) });
    }
    return entries;
  }
}
