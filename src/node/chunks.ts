/**
 * What one step of a catch-up gives a slow consumer: the next messages of a room
 * after a position, as much as a connection takes at once. Members who drain in
 * the same turn at the same position, as after an outage or a storm, share one
 * chunk: it is encoded once, and is in memory once.
 */
import type { Entry, ReadResult } from '../core/entry.ts';
import { textFrame } from '../core/frame.ts';
import { RoomStream, type StreamLimits } from '../core/room-stream.ts';
import { encodeFrame, messageFrame } from '../protocol/encode.ts';
import type { Position } from '../protocol/position.ts';
import type { Turn } from './turn.ts';

/** Without frames where nothing is to be told: the member is ahead of what was read. */
export interface Chunk {
  readonly frames: Buffer | undefined;
  readonly reached: Position;
}

export class Chunks {
  readonly #limits: StreamLimits;
  readonly #bytesMax: number;
  /** Of this turn: what is said between two turns makes them longer. */
  #made = new Map<string, Chunk>();
  #turnNumber = -1;

  constructor(limits: StreamLimits, bytesMax: number) {
    this.#limits = limits;
    this.#bytesMax = bytesMax;
  }

  /** Of what the ring has after the position. */
  ofRing(turn: Turn, room: string, behind: Position, entries: readonly Entry[]): Chunk {
    return this.#shared(turn, `ring ${room} ${behind.epoch} ${behind.seq}`, () => {
      const taking = new Taking(behind, this.#bytesMax);
      for (const entry of entries) {
        const reached = { epoch: behind.epoch, seq: entry.seq };
        if (!taking.take(messageFrame(room, entry), reached)) break;
      }
      return taking.chunk;
    });
  }

  /** Of what the store answered: a stream of its own, the same merge and the same verdicts as for everybody. */
  ofStore(turn: Turn, room: string, behind: Position, result: ReadResult): Chunk {
    return this.#shared(turn, `store ${room} ${behind.epoch} ${behind.seq}`, () => {
      const taking = new Taking(behind, this.#bytesMax);
      // `own` is at a frame's position when it tells it.
      const tell = (frame: string | Buffer) => void taking.take(frame, own.cursor ?? behind);
      const own = new RoomStream(
        this.#limits,
        {
          deliver: (entry) => tell(messageFrame(room, entry)),
          epoch: (position) => tell(encodeFrame({ type: 'epoch', room, ...position })),
          reset: (position, reason) => tell(encodeFrame({ type: 'reset', room, ...position, reason })),
        },
        behind,
      );
      own.readAnswered(own.readIssued(), result);
      return taking.chunk;
    });
  }

  /** Nobody is at work: what sockets hold of the chunks is theirs. */
  clear(): void {
    if (this.#made.size > 0) this.#made = new Map();
  }

  #shared(turn: Turn, key: string, make: () => Chunk): Chunk {
    if (turn.number !== this.#turnNumber) this.clear();
    this.#turnNumber = turn.number;
    let chunk = this.#made.get(key);
    if (!chunk) {
      chunk = make();
      this.#made.set(key, chunk);
    }
    return chunk;
  }
}

/** Frames up to the first that passes the limit: what is left of them is for the next step. */
class Taking {
  readonly #bytesMax: number;
  readonly #frames: Buffer[] = [];
  #bytes = 0;
  #reached: Position;

  constructor(from: Position, bytesMax: number) {
    this.#reached = from;
    this.#bytesMax = bytesMax;
  }

  take(frame: string | Buffer, reached: Position): boolean {
    if (this.#bytes > this.#bytesMax) return false;
    const framed = textFrame(frame);
    this.#frames.push(framed);
    this.#bytes += framed.length;
    this.#reached = reached;
    return true;
  }

  get chunk(): Chunk {
    const frames = this.#frames.length > 0 ? Buffer.concat(this.#frames) : undefined;
    return { frames, reached: this.#reached };
  }
}
