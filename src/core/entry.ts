/**
 * A room's messages as a node holds them, and the answer to "what came after
 * this position?". Shared by the broker port, which reads them from the store,
 * and by the pure code that merges them with what is heard live.
 */
import type { ResetReason } from '../protocol/position.ts';

/** One message as kept and relayed. */
export interface Entry {
  readonly seq: number;
  /** Milliseconds since 1970, by the clock of the store. */
  readonly ts: number;
  /**
   * The end of the JSON object that tells this message, made once by the
   * publisher's node: `"from":{…},"key":"k","data":…}`. Every frame and every
   * reply is a header in front of these bytes; nobody encodes them again.
   * Of a message just heard it is a view of the read buffer: who keeps it copies.
   */
  readonly body: Buffer;
}

/** A term of the store that begins inside a range that was read. Nothing was lost across it. */
export interface TermStart {
  /** The epoch of `start` and what follows. */
  readonly epoch: string;
  /** First seq of the term: announce `epoch {epoch, seq: start - 1}` before it. */
  readonly start: number;
}

/** What came after a position. */
export interface ReadRange {
  /** `ok`: up to the top. `more`: the limit ended it, read again from the last entry. */
  readonly verdict: 'ok' | 'more';
  /** The epoch that goes with the last entry (with the caller's position where there is none). */
  readonly epoch: string;
  readonly top: number;
  /** seq since+1, since+2, … without a hole. */
  readonly entries: readonly Entry[];
  readonly terms: readonly TermStart[];
  readonly presenceVersion: number;
}

/** No position was given: only the top is told. */
export interface ReadFresh {
  readonly verdict: 'fresh';
  readonly epoch: string;
  readonly top: number;
  readonly presenceVersion: number;
}

/** Why what came after a position cannot be told. */
export interface ReadReset {
  readonly verdict: ResetReason;
  readonly epoch: string;
  readonly top: number;
  /** What is kept after the break, contiguous up to `top`; the reset's seq is `top - entries.length`. */
  readonly entries: readonly Entry[];
  readonly presenceVersion: number;
}

/** The answer to "what came after this position?". */
export type ReadResult = ReadRange | ReadFresh | ReadReset;
