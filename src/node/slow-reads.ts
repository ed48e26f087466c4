/**
 * What slow consumers read from the store, where the ring no longer reaches back
 * to them: about as much as one chunk, shared by all who ask for the same, and
 * all that is kept where a shorter answer would hide a part of it.
 */
import type { Broker } from '../broker/broker.ts';
import type { ReadResult } from '../core/entry.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import { type MessagesKept, messagesKept } from '../core/retention.ts';
import type { RoomStream } from '../core/room-stream.ts';
import { SingleFlight } from '../core/single-flight.ts';
import type { Position } from '../protocol/position.ts';

/** Entries read for one step of a catch-up, at most; what is written of them is bounded by bytes. */
const CHUNK_ENTRIES = 64;

export class SlowReads {
  readonly #broker: Broker;
  readonly #settings: MessagesKept;
  readonly #chunkBytes: number;
  readonly #reads = new SingleFlight<ReadResult>();
  readonly #wholeReads = new KeyedMutex();

  constructor(broker: Broker, settings: MessagesKept, chunkBytes: number) {
    this.#broker = broker;
    this.#settings = settings;
    this.#chunkBytes = chunkBytes;
  }

  /** What comes after the position. Members who fell behind together, as after an outage, share their reads. */
  after(room: string, behind: Position, stream: RoomStream): Promise<ReadResult> {
    const limit = this.#chunkEntries(stream);
    const question = `${room} ${behind.epoch} ${behind.seq} ${limit}`;
    return this.#reads.run(question, () => this.#readWhole(room, behind, limit));
  }

  async #readWhole(room: string, behind: Position, limit: number): Promise<ReadResult> {
    const result = await this.#broker.read(room, behind, limit);
    const cut = 'entries' in result && !('terms' in result) && result.entries.length >= limit;
    if (!cut) return result;
    // Of a break, an answer tells only its newest part: the rest of what is kept would be skipped. One at a time,
    // because all that a room keeps is much, and many may have fallen out of it together.
    return this.#wholeReads.run('', () =>
      this.#broker.read(room, behind, messagesKept(room, this.#settings)),
    );
  }

  /** So many entries as a chunk may have bytes, by the size of those in the ring. */
  #chunkEntries({ ring }: RoomStream): number {
    if (ring.length === 0) return CHUNK_ENTRIES;
    const entries = Math.ceil((this.#chunkBytes * ring.length) / ring.bytes);
    return Math.min(CHUNK_ENTRIES, Math.max(1, entries));
  }
}
