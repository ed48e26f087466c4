/**
 * A member of a room who trusts nobody: it is told what a `RoomStream` tells
 * members, and throws where that breaks a promise of the protocol or the truth
 * of the simulated store.
 */
import type { Entry, ReadResult } from '../../src/core/entry.ts';
import type { StreamOutput } from '../../src/core/room-stream.ts';
import type { Position, ResetReason } from '../../src/protocol/position.ts';
import { type Moment, type Names, payloadOf } from './simulated-store.ts';

export class StreamWatcher implements StreamOutput {
  readonly #names: Names;
  readonly #readLimit: number;
  #position: Position | undefined;
  /** Payloads since the last reset after which some may come again. */
  #seenOnce = new Set<number>();
  /** All payloads ever, those of before the join included. */
  readonly #seen = new Set<number>();
  /** What the server had when it answered the read that is being applied. */
  #moment: Moment | undefined;
  #verdict: ReadResult['verdict'] | undefined;
  delivered = 0;
  resets = 0;

  /** `readLimit`: more than one read may carry is not told after a reset; choosing the limit is the reader's part. */
  constructor(names: Names, readLimit: number) {
    this.#names = names;
    this.#readLimit = readLimit;
  }

  /** A read's answer arrives. `awaited`: it is the one the stream must use, if it uses any. */
  answering(result: ReadResult, moment: Moment, awaited: boolean): void {
    this.#moment = awaited ? moment : undefined;
    this.#verdict = result.verdict;
    if (!awaited || this.#position) return;
    // The first answer: members join here, in the turn in which it comes.
    this.#position = { epoch: result.epoch, seq: result.top };
    for (const { payload } of moment.history) this.#seen.add(payload);
  }

  /** The answer was applied, or thrown away. */
  answered(live: boolean): void {
    const moment = this.#moment;
    if (moment && live && this.#verdict !== 'more') this.#mustHaveSeen(moment, 'a read was applied');
    this.#moment = undefined;
  }

  deliver(entry: Entry): void {
    const at = this.#mustHavePosition('message');
    const payload = payloadOf(entry);
    if (entry.seq !== at.seq + 1) throw new Error(`message ${entry.seq} after ${at.seq}`);
    const position = { epoch: at.epoch, seq: entry.seq };
    const named = this.#names.payloadAt(position);
    if (named !== payload) throw new Error(`${at.epoch}:${entry.seq} names ${named}, told was ${payload}`);
    if (this.#seenOnce.has(payload)) throw new Error(`message ${entry.seq} was told twice`);
    this.#seenOnce.add(payload);
    this.#seen.add(payload);
    this.#position = position;
    this.delivered += 1;
  }

  epoch(position: Position): void {
    const at = this.#mustHavePosition('epoch');
    if (position.seq !== at.seq) throw new Error(`epoch at ${position.seq}, the last message was ${at.seq}`);
    if (position.epoch === at.epoch) throw new Error(`epoch ${position.epoch} was announced twice`);
    this.#position = position;
  }

  reset(position: Position, reason: ResetReason): void {
    const at = this.#mustHavePosition('reset');
    const moment = this.#moment;
    if (!moment) throw new Error('a reset without an answer that is awaited');
    if (this.#couldContinue(at, moment)) {
      throw new Error(`reset ${reason} at ${at.epoch}:${at.seq}, though nothing after it was lost`);
    }
    const told = moment.history.length - this.#readLimit;
    this.#mustHaveSeen(moment, `reset ${reason}`, told, position.seq);
    // What lies before the break is told to be gone; a replica that is behind may bring it back, and nobody waits for it.
    for (const { payload } of moment.history.slice(0, position.seq)) this.#seen.add(payload);
    this.#position = position;
    this.resets += 1;
    // Nothing is told twice because a log was trimmed; after a loss the numbers, and with them messages, may come again.
    if (reason !== 'trimmed') this.#seenOnce = new Set();
  }

  /** Quiet, and all links healed. */
  finished(live: boolean, cursor: Position | null, moment: Moment): void {
    if (!live) throw new Error('at the end the room is not live');
    const top = moment.history[moment.history.length - 1];
    if (cursor?.seq !== moment.history.length)
      throw new Error(`at the end ${cursor?.seq} of ${moment.history.length}`);
    if (top && this.#names.payloadAt(cursor) !== top.payload) {
      throw new Error(`at the end ${cursor.epoch}:${cursor.seq} is not the top`);
    }
    const at = this.#mustHavePosition('end');
    if (at.epoch !== cursor.epoch || at.seq !== cursor.seq)
      throw new Error('members are not where the room is');
    this.#mustHaveSeen(moment, 'the end');
  }

  /** Whether the server's history contains the position and still has all after it. */
  #couldContinue(at: Position, moment: Moment): boolean {
    const { history, kept, forgotten } = moment;
    if (at.seq < history.length - kept || forgotten.includes(at.epoch)) return false;
    const named = this.#names.payloadAt(at);
    if (named === undefined) return at.seq > 0 ? false : history[0]?.epoch === at.epoch;
    return history[at.seq - 1]?.payload === named;
  }

  /** What the store still has, between two seqs, was told or was before the join. */
  #mustHaveSeen(moment: Moment, when: string, after = 0, upTo = Number.POSITIVE_INFINITY): void {
    const { history, kept } = moment;
    for (const { payload, seq, epoch } of history.slice(Math.max(after, history.length - kept))) {
      if (seq > upTo) return;
      if (!this.#seen.has(payload)) throw new Error(`${epoch}:${seq} is kept and was skipped (${when})`);
    }
  }

  #mustHavePosition(what: string): Position {
    if (!this.#position) throw new Error(`${what} before the first position`);
    return this.#position;
  }
}
