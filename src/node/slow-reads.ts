/**
 * What slow consumers read from the store, where the ring no longer reaches back
 * to them: about as much as one chunk, shared by all who ask for the same.
 */
import type { Broker } from '../broker/broker.ts';
import type { ReadResult } from '../core/entry.ts';
import type { MessagesKept } from '../core/retention.ts';
import type { RoomStream } from '../core/room-stream.ts';
import { SingleFlight } from '../core/single-flight.ts';
import type { Position } from '../protocol/position.ts';
import { entriesOf, KeptReads } from './kept-reads.ts';

/** Entries read for one step of a catch-up, at most; what is written of them is bounded by bytes. */
const CHUNK_ENTRIES = 64;

export class SlowReads {
  readonly #kept: KeptReads;
  readonly #chunkBytes: number;
  readonly #reads = new SingleFlight<ReadResult>();

  constructor(broker: Broker, settings: MessagesKept, chunkBytes: number) {
    this.#kept = new KeptReads(broker, settings);
    this.#chunkBytes = chunkBytes;
  }

  /** What comes after the position. Members who fell behind together, as after an outage, share their reads. */
  after(room: string, behind: Position, { ring }: RoomStream): Promise<ReadResult> {
    const limit = entriesOf(this.#chunkBytes, ring, CHUNK_ENTRIES);
    return this.#reads.run([room, behind.epoch, behind.seq, limit], () =>
      this.#kept.after(room, behind, limit),
    );
  }
}
