/**
 * A position names one message of one room: the epoch of the stream and the
 * sequence number in it. A number alone lies after Redis lost data (an old 15
 * and a new 15 are different messages), so the two always travel together.
 * Epochs are opaque: compare them for equality only. PROTOCOL "Rooms".
 */
export interface Position {
  readonly epoch: string;
  /** 1 for the first message of an epoch's room; 0 means "before the first". */
  readonly seq: number;
}

/** Why continuity broke; the wire's `reason` of `reset` and of a `joined` that could not recover. */
export type ResetReason = 'lost' | 'diverged' | 'trimmed';

/** `too_far` exists only for joins: everything is still kept, but it is more than one reply may carry. */
export type JoinReason = ResetReason | 'too_far';

export function samePosition(a: Position, b: Position): boolean {
  return a.seq === b.seq && a.epoch === b.epoch;
}
