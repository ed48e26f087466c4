/**
 * Reads of what came after a position, in chunks: a room keeps up to a thousand
 * messages of 32 KB, and after a lost link every room of a node is read at once.
 * A range goes on where its last chunk ended. Of a break, an answer tells only the
 * newest part of what is kept, and the rest would be skipped: only then all of it
 * is read, a few rooms at a time, because many may have broken together.
 */
import type { Broker } from '../broker/broker.ts';
import type { ReadResult } from '../core/entry.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import { type MessagesKept, messagesKept } from '../core/retention.ts';
import type { RoomBuffer } from '../core/room-buffer.ts';
import type { Position } from '../protocol/position.ts';

/** Reads of all that a room keeps that are under way. */
const WHOLE_READS_MAX = 4;

export class KeptReads {
  readonly #broker: Broker;
  readonly #settings: MessagesKept;
  readonly #whole = new KeyedMutex();
  #wholeReads = 0;

  constructor(broker: Broker, settings: MessagesKept) {
    this.#broker = broker;
    this.#settings = settings;
  }

  /** At most `limit` entries of a range; of a break, everything that is kept after it. */
  async after(room: string, since: Position | null, limit: number): Promise<ReadResult> {
    const result = await this.#broker.read(room, since, limit);
    const whole = messagesKept(room, this.#settings);
    const isCut = 'entries' in result && !('terms' in result) && result.entries.length >= limit;
    if (!isCut || limit >= whole) return result;
    this.#wholeReads += 1;
    const lane = String(this.#wholeReads % WHOLE_READS_MAX);
    return this.#whole.run(lane, () => this.#broker.read(room, since, whole));
  }
}

/** So many entries as have about `bytes`, by the size of those in memory; `most` where there are none. */
export function entriesOf(
  bytes: number,
  { length, bytes: held }: Pick<RoomBuffer, 'length' | 'bytes'>,
  most: number,
): number {
  if (length === 0) return most;
  return Math.min(most, Math.max(1, Math.ceil((bytes * length) / held)));
}
