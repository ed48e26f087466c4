/**
 * A subscription of the publish model test and the promises it was made. It does what
 * a node does with what it hears and reads, and throws as soon as a promise is
 * broken: a hole, a change of order, a reading that went on although something seen is gone.
 */
import { ancestorAt, type Message, type ReadPrediction, type RoomState, type Term } from './room-model.ts';
import { fail } from './run-log.ts';

export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

export interface ReadReply {
  readonly verdict: string;
  readonly epoch: string;
  readonly top: number;
  readonly entries: readonly { readonly seq: number; readonly payload: string }[];
  readonly terms: readonly Term[];
}

/** What all readers of a run know together. */
export class Witness {
  /** By payload. */
  readonly messages = new Map<string, Message>();
  readonly #named = new Map<string, string>();
  readonly #acknowledged = new Map<string, Message[]>();

  /** Agreement: one position names one message, for everybody and for ever. */
  claim(room: string, epoch: string, seq: number, payload: string): Message {
    const position = `${room} ${epoch}:${seq}`;
    const named = this.#named.get(position) ?? payload;
    if (named !== payload) fail(`${position} names both ${named} and ${payload}`);
    this.#named.set(position, payload);
    const message = this.messages.get(payload);
    if (message === undefined) return fail(`${position} is ${payload}, which nobody published`);
    if (message.seq !== seq) fail(`${payload} has seq ${message.seq} and was told as ${position}`);
    return message;
  }

  acknowledge(message: Message): void {
    this.messages.set(message.payload, message);
    const list = this.#acknowledged.get(message.epoch);
    if (list === undefined) this.#acknowledged.set(message.epoch, [message]);
    else list.push(message);
  }

  /** The promise of `epoch {…, seq: start - 1}`: receipts of the old epoch up to there stand, later ones are void. */
  checkCrossing(oldEpoch: string, start: number, tip: Message | undefined): void {
    for (const message of this.#acknowledged.get(oldEpoch) ?? []) {
      const stands = ancestorAt(tip, message.seq) === message;
      if (stands !== message.seq < start) {
        fail(
          `${oldEpoch} ended before ${start}, but ${message.payload} at ${message.seq} ${stands ? 'stands' : 'is gone'}`,
        );
      }
    }
  }
}

export class Reader {
  readonly room: string;
  /** Index of the server it is connected to. */
  server: number;
  cursor: Cursor | undefined;
  readonly #witness: Witness;
  /** The message at the cursor. */
  #last: Message | undefined;
  /** Up to here the cursor's epoch is that of a reset: kept messages of older terms come under the newest name. */
  #renamedUntil = 0;

  constructor(room: string, server: number, witness: Witness) {
    this.room = room;
    this.server = server;
    this.#witness = witness;
  }

  /** A message from the channel. Returns whether the reader has to read from its cursor. */
  hear(epoch: string, seq: number, payload: string): boolean {
    const message = this.#witness.claim(this.room, epoch, seq, payload);
    if (this.cursor?.epoch !== epoch || seq > this.cursor.seq + 1) return true;
    if (seq === this.cursor.seq + 1) {
      this.#deliver(message, epoch);
    } else if (this.#renamedUntil < seq && ancestorAt(this.#last, seq) !== message) {
      fail(`${payload} at ${epoch}:${seq} was dropped as seen, and never was`);
    }
    return false;
  }

  /** The answer to a read from the cursor, of a server whose room is in this state. */
  take(reply: ReadReply, state: RoomState): void {
    if (reply.verdict === 'fresh') {
      this.#place({ epoch: reply.epoch, seq: reply.top }, state);
      return;
    }
    if (reply.verdict === 'ok' || reply.verdict === 'more') {
      this.#continue(reply, state);
      return;
    }
    const seq = reply.top - reply.entries.length;
    this.#place({ epoch: reply.epoch, seq }, state);
    this.#renamedUntil = reply.top;
    for (const entry of reply.entries) this.#deliverEntry(entry, reply.epoch);
    if (this.cursor?.seq !== reply.top)
      fail(`a ${reply.verdict} reset ends at ${this.cursor?.seq}, not at the top`);
  }

  #continue(reply: ReadReply, state: RoomState): void {
    if (this.cursor === undefined) return fail('continued without a position');
    const [life] = this.cursor.epoch.split('.');
    if (life !== state.life) fail(`read "${reply.verdict}" across two lives of the room`);
    // No false ok: what was seen must still be there.
    if (this.#last !== undefined && ancestorAt(state.tip, this.#last.seq) !== this.#last) {
      fail(`read "${reply.verdict}" although ${this.#last.payload} at ${this.#last.seq} is gone`);
    }
    let epoch = this.cursor.epoch;
    const terms = [...reply.terms];
    for (const entry of reply.entries) {
      while (terms[0] !== undefined && terms[0].start <= entry.seq) {
        const term = terms.shift();
        if (term?.start !== entry.seq)
          return fail(`a term begins at ${term?.start}, behind or inside what was read`);
        this.#witness.checkCrossing(epoch, term.start, state.tip);
        epoch = `${life}.${term.token}`;
      }
      this.#deliverEntry(entry, epoch);
    }
    if (terms.length > 0) fail('a term was announced that begins after what was read');
    if (epoch !== reply.epoch) fail(`the last entry is of ${epoch}, but ${reply.epoch} was told`);
    if (reply.verdict === 'ok' && this.cursor.seq !== reply.top) fail('"ok" before the top');
  }

  #place(cursor: Cursor, state: RoomState): void {
    this.cursor = cursor;
    this.#last = ancestorAt(state.tip, cursor.seq);
    this.#renamedUntil = 0;
  }

  #deliverEntry(entry: { readonly seq: number; readonly payload: string }, epoch: string): void {
    this.#deliver(this.#witness.claim(this.room, epoch, entry.seq, entry.payload), epoch);
  }

  #deliver(message: Message, epoch: string): void {
    if (message.seq !== (this.cursor?.seq ?? -1) + 1) fail(`${message.seq} follows ${this.cursor?.seq}`);
    // Below a reset nothing was seen, so there is nothing the message could contradict.
    if (this.#last !== undefined && message.before !== this.#last) {
      fail(`${message.payload} does not follow ${this.#last.payload} that was seen before it`);
    }
    if (message.epoch !== epoch && message.seq > this.#renamedUntil) {
      fail(`${message.payload} is of ${message.epoch} and came as ${epoch}`);
    }
    this.#last = message;
    this.cursor = { epoch, seq: message.seq };
  }
}

/** What holds for any answer to any position: no hole, the limit kept, and nothing skipped that is kept. */
export function checkReply(
  reply: ReadReply,
  since: Cursor | undefined,
  limit: number,
  state: RoomState,
): void {
  const { verdict, top, entries } = reply;
  if (entries.length > limit) fail(`${entries.length} entries with the limit ${limit}`);
  const continues = verdict === 'ok' || verdict === 'more';
  const base = continues ? (since?.seq ?? -1) : top - entries.length;
  for (const [i, entry] of entries.entries()) {
    if (entry.seq !== base + 1 + i) fail(`"${verdict}" from ${base}: entry ${i} is ${entry.seq}`);
  }
  if (verdict === 'ok' && base + entries.length !== top) fail('"ok" ends below the top');
  if (continues || entries.length === limit) return;
  // A shorter answer must have ended at a hole or at what the caller has seen.
  const skipped = state.log.find((kept) => kept.seq === base);
  const seen = state.life === since?.epoch.split('.')[0] && base <= (since?.seq ?? 0);
  const aboveTop = (state.log.at(-1)?.seq ?? 0) > top;
  if (skipped !== undefined && !seen && !aboveTop && verdict !== 'fresh')
    fail(`"${verdict}" skipped ${skipped.payload}`);
}

/** The answer is exactly the one that the model gives. */
export function expectRead(reply: ReadReply, predicted: ReadPrediction, state: RoomState): void {
  const describe = ({ verdict, epoch, entries, terms }: ReadReply | ReadPrediction): string =>
    JSON.stringify([verdict, epoch, entries.map((entry) => entry.payload), terms]);
  const [got, expected] = [describe(reply), describe(predicted)];
  if (got !== expected) fail(`read answered ${got}, expected ${expected}`);
  if (reply.verdict !== 'absent' && reply.top !== state.seq)
    fail(`the top is ${state.seq}, not ${reply.top}`);
}
