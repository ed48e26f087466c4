/**
 * One room as one node follows it: a cursor that only ever advances by one, or
 * says aloud that it could not. Pure: it is told what was heard and what was
 * read, and answers with what members must be told and whether a read is due.
 *
 *   syncing --(read answered, nothing missing)--> live
 *   live --(gap, foreign epoch, link lost)--> syncing
 *
 * While syncing, what is heard is buffered; the read covers everything heard
 * before it was issued, because the SUBSCRIBE was acknowledged before it on the
 * same single-threaded Redis. docs/decisions/0003.
 */
import type { Position, ResetReason } from '../protocol/position.ts';
import type { Entry, ReadRange, ReadReset, ReadResult } from './entry.ts';
import { entryBytes, type RingLimits, RoomBuffer } from './room-buffer.ts';

/** What the members of the room are told, in this order. */
export interface StreamOutput {
  deliver(entry: Entry): void;
  /** Nothing was lost; after `position.seq` the stream goes on under `position.epoch`. */
  epoch(position: Position): void;
  reset(position: Position, reason: ResetReason): void;
}

export interface StreamLimits extends RingLimits {
  readonly syncMessages: number;
  readonly syncBytes: number;
}

interface Heard {
  readonly epoch: string;
  readonly entry: Entry;
}

/** `read`: a read from the cursor is due now. `none`: nothing to do. */
export type Need = 'none' | 'read';

export class RoomStream {
  readonly ring: RoomBuffer;
  readonly #limits: StreamLimits;
  readonly #output: StreamOutput;
  #live = false;
  #cursor: Position | null = null;
  #heard: Heard[] = [];
  #heardBytes = 0;
  /** The buffer ran over while a read was under way: what it held is known to Redis only, so another read is due. */
  #overflowed = false;
  /** Grows with every read issued and every lost link: an answer that belongs to an older one is thrown away. */
  #generation = 0;

  /** `cursor`: where to go on from; without one the first read says where the room is. */
  constructor(limits: StreamLimits, output: StreamOutput, cursor: Position | null = null) {
    this.#limits = limits;
    this.#output = output;
    this.#cursor = cursor;
    this.ring = new RoomBuffer(limits);
  }

  get live(): boolean {
    return this.#live;
  }

  /** The position of the newest message the members were given; null until the first read was answered. */
  get cursor(): Position | null {
    return this.#cursor;
  }

  get bufferedBytes(): number {
    return this.#heardBytes;
  }

  /** A message was heard on the room's channel. Its body may be a view: what is kept is copied. */
  heard(epoch: string, entry: Entry): Need {
    const cursor = this.#cursor;
    if (!this.#live || !cursor) {
      this.#buffer(epoch, entry);
      return 'none';
    }
    if (epoch === cursor.epoch) {
      if (entry.seq <= cursor.seq) return 'none';
      if (entry.seq === cursor.seq + 1) {
        // Under the string that is known already: the equal one just heard need not be kept.
        this.#advance(cursor.epoch, entry);
        return 'none';
      }
    }
    this.#live = false;
    this.#buffer(epoch, entry);
    return 'read';
  }

  /** Something was missed or may have been. Nothing is delivered until a read was answered. */
  suspect(): void {
    this.#live = false;
    this.#generation += 1;
    this.#forgetHeard();
  }

  /** A read from the cursor is issued now. Returns the generation to give back with its answer. */
  readIssued(): number {
    this.#generation += 1;
    // Everything heard so far was published before this read runs: the read contains it.
    this.#forgetHeard();
    return this.#generation;
  }

  /** Whether a read of this generation is still the one that is waited for. */
  isCurrent(generation: number): boolean {
    return generation === this.#generation && !this.#live;
  }

  /** A read was answered. Entries below or beyond cursor+1 are never applied. */
  readAnswered(generation: number, result: ReadResult): Need {
    if (generation !== this.#generation || this.#live) return 'none';
    const cursor = this.#cursor;
    if (result.verdict === 'fresh' || !cursor) {
      this.#cursor = { epoch: result.epoch, seq: result.top };
      return this.#drain();
    }
    if ('terms' in result) {
      this.#applyRange(cursor, result);
      return result.verdict === 'more' ? 'read' : this.#drain();
    }
    this.#applyReset(result);
    return this.#drain();
  }

  /**
   * Messages up to the cursor that somebody read: who asks for them next finds them in the ring, and also that
   * there are none before `keptFrom`, where that is known.
   */
  backfill(epoch: string, entries: readonly Entry[], keptFrom?: number): void {
    const cursor = this.#cursor;
    if (!this.#live || cursor?.epoch !== epoch) return;
    const last = entries[entries.length - 1];
    // The ring ends at the cursor: what does not reach it would leave a hole.
    if (last && (this.ring.length > 0 || last.seq >= cursor.seq)) {
      this.ring.prepend(
        epoch,
        entries.filter((entry) => entry.seq <= cursor.seq),
      );
    }
    if (keptFrom !== undefined) this.ring.nothingBefore(cursor, keptFrom);
  }

  /** Frees the memory of the ring: joins then read from the store. */
  dropRing(): void {
    this.ring.clear();
  }

  #applyRange(cursor: Position, result: ReadRange): void {
    let epoch = cursor.epoch;
    let term = 0;
    for (const entry of result.entries) {
      for (let begun = result.terms[term]; begun && begun.start <= entry.seq; begun = result.terms[term]) {
        epoch = begun.epoch;
        term += 1;
        this.#cursor = { epoch, seq: begun.start - 1 };
        this.#output.epoch(this.#cursor);
      }
      this.#advance(epoch, entry);
    }
  }

  #applyReset(result: ReadReset): void {
    const position = { epoch: result.epoch, seq: result.top - result.entries.length };
    this.ring.clear();
    this.#cursor = position;
    this.#output.reset(position, result.verdict);
    for (const entry of result.entries) this.#advance(result.epoch, entry);
  }

  /** After a read: what was heard meanwhile, as far as it joins on without a hole. */
  #drain(): Need {
    const heard = this.#heard;
    const overflowed = this.#overflowed;
    this.#forgetHeard();
    if (overflowed) return 'read';
    for (const { epoch, entry } of heard) {
      const cursor = this.#cursor;
      // Another epoch is another term of the store: only a read can say what lies between.
      if (!cursor || epoch !== cursor.epoch) return 'read';
      if (entry.seq <= cursor.seq) continue;
      if (entry.seq !== cursor.seq + 1) return 'read';
      this.#advance(epoch, entry);
    }
    this.#live = true;
    return 'none';
  }

  #advance(epoch: string, entry: Entry): void {
    this.#cursor = { epoch, seq: entry.seq };
    this.ring.append(epoch, entry);
    this.#output.deliver(entry);
  }

  #buffer(epoch: string, entry: Entry): void {
    // A copy: the body may be a view of what one read of a socket brought, 64 KB for each message held back.
    this.#heard.push({ epoch, entry: { seq: entry.seq, ts: entry.ts, body: Buffer.from(entry.body) } });
    this.#heardBytes += entryBytes(entry);
    if (this.#heard.length > this.#limits.syncMessages || this.#heardBytes > this.#limits.syncBytes) {
      this.#forgetHeard();
      this.#overflowed = true;
    }
  }

  /** Node-wide, the buffers grew too big: read again instead of holding on to this one. */
  overflow(): void {
    if (this.#heard.length === 0) return;
    this.#forgetHeard();
    this.#overflowed = true;
  }

  #forgetHeard(): void {
    this.#heard = [];
    this.#heardBytes = 0;
    this.#overflowed = false;
  }
}
