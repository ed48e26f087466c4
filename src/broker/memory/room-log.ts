/**
 * The log of one room in memory: numbers messages from 1, keeps the newest of
 * them, and answers what came after a position or why that cannot be told. One
 * log is one life of a room, hence one epoch; with no Redis behind it that can
 * lose a tail, it has one term for ever. It knows nothing of time or of other
 * rooms: when to forget is decided by room-store.ts.
 */
import type { Entry, HistoryPage, HistoryQuery, ReadResult } from '../broker.ts';
import type { Position, ResetReason } from '../../protocol/position.ts';

type WithoutPresence<Result> = Result extends unknown ? Omit<Result, 'presenceVersion'> : never;
/** A `ReadResult` but for the presence version, of which a log knows nothing. */
export type LogRead = WithoutPresence<ReadResult>;

/** Reckoned for an entry beside its body: the object, the map's slot, the buffer's own records. */
const ENTRY_OVERHEAD_BYTES = 256;

export class RoomLog {
  readonly epoch: string;
  readonly #keepMax: number;
  /** seq -> entry, without a hole from `#first` to `#top`. */
  readonly #entries = new Map<number, Entry>();
  #first = 1;
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
    return this.#entries.size;
  }

  append(ts: number, body: Buffer): Entry {
    this.#top += 1;
    const entry: Entry = { seq: this.#top, ts, body };
    this.#entries.set(entry.seq, entry);
    this.#bytes += body.length + ENTRY_OVERHEAD_BYTES;
    if (this.#entries.size > this.#keepMax) this.dropOldest();
    return entry;
  }

  dropOldest(): void {
    const oldest = this.#entries.get(this.#first);
    if (!oldest) return;
    this.#entries.delete(this.#first);
    this.#bytes -= oldest.body.length + ENTRY_OVERHEAD_BYTES;
    this.#first += 1;
  }

  /** Forgets every message, but not the numbering: who comes back with a position below the top is told `trimmed`. */
  forgetEntries(): void {
    this.#entries.clear();
    this.#bytes = 0;
    this.#first = this.#top + 1;
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
    const entries: Entry[] = [];
    for (let seq = from; seq <= to; seq += 1) {
      const entry = this.#entries.get(seq);
      if (entry) entries.push(entry);
    }
    return entries;
  }
}
