/**
 * A store of one room as RELIABILITY describes it, in a few lines and with the
 * faults real ones have: it is single-threaded, numbers messages in terms, keeps
 * a tail of them, and can lose a suffix (a replica behind takes over), its log,
 * or everything. It is the truth of the simulations: besides what a store keeps
 * it remembers all that ever was, so that a test can say what was really lost.
 */
import type { Entry, ReadResult, TermStart } from '../../src/core/entry.ts';
import type { Position, ResetReason } from '../../src/protocol/position.ts';

/** A message in the history of a server: `payload` is unique over the whole run. */
export interface Stored {
  readonly seq: number;
  readonly epoch: string;
  readonly payload: number;
}

/** What a server has at one moment, for comparing with it later. */
export interface Moment {
  /** Everything that leads to the top, kept or not: index = seq - 1. */
  readonly history: readonly Stored[];
  /** How many of the newest are kept. */
  readonly kept: number;
  /** Tokens of terms that were forgotten because there were too many. */
  readonly forgotten: readonly string[];
}

interface State {
  life: string | undefined;
  lineage: TermStart[];
  history: Stored[];
  kept: number;
  forgotten: string[];
  /** The term of the server that wrote last. */
  writtenIn: number;
}

const TERMS_MAX = 16;

/** Names are given once in a run, whichever server gives them: lives, tokens, terms and payloads. */
export class Names {
  #next = 0;
  readonly #payloads = new Map<string, number>();
  /** epoch -> what came before its first message. */
  readonly #before = new Map<string, readonly Stored[]>();

  next(): number {
    this.#next += 1;
    return this.#next;
  }

  /** One position must never name two messages, on whatever server. */
  name(message: Stored): void {
    const name = `${message.epoch}:${message.seq}`;
    if (this.#payloads.has(name)) throw new Error(`the simulated store is wrong: ${name} was given twice`);
    this.#payloads.set(name, message.payload);
  }

  begin(epoch: string, history: readonly Stored[]): void {
    this.#before.set(epoch, [...history]);
  }

  /** A position may name a message of an earlier term than its epoch: after a reset all that is kept is told under the newest. */
  payloadAt({ epoch, seq }: Position): number | undefined {
    return this.#payloads.get(`${epoch}:${seq}`) ?? this.#before.get(epoch)?.[seq - 1]?.payload;
  }
}

export class SimulatedServer {
  readonly #names: Names;
  readonly #keep: number;
  #state: State = empty();
  /** Changes at every start and promotion. */
  #term: number;

  constructor(names: Names, keep: number) {
    this.#names = names;
    this.#keep = keep;
    this.#term = names.next();
  }

  get top(): number {
    return this.#state.history.length;
  }

  get moment(): Moment {
    const { history, kept, forgotten } = this.#state;
    return { history: [...history], kept, forgotten: [...forgotten] };
  }

  publish(): { epoch: string; entry: Entry; payload: number } {
    const state = this.#state;
    if (state.life === undefined) this.#beginLife();
    else if (state.writtenIn !== this.#term) this.#beginTerm();
    state.writtenIn = this.#term;
    const message = { seq: this.top + 1, epoch: this.#epoch(), payload: this.#names.next() };
    this.#names.name(message);
    state.history.push(message);
    state.kept = Math.min(state.kept + 1, this.#keep);
    return { epoch: message.epoch, entry: entryOf(message), payload: message.payload };
  }

  /** As read.lua answers; a room that does not exist begins. */
  read(since: Position | null, limit: number): ReadResult {
    const state = this.#state;
    if (state.life === undefined) this.#beginLife();
    if (since === null) return { verdict: 'fresh', epoch: this.#epoch(), top: this.top, presenceVersion: 0 };
    const place = state.lineage.findIndex((term) => term.epoch === since.epoch);
    if (place < 0) return this.#broken('lost', 0, limit);
    const termEnd = (state.lineage[place + 1]?.start ?? this.top + 1) - 1;
    if (since.seq > termEnd) return this.#broken('diverged', termEnd, limit);
    if (since.seq < this.top - state.kept) return this.#broken('trimmed', since.seq, limit);
    const last = Math.min(this.top, since.seq + limit);
    const terms = state.lineage.slice(place + 1).filter((term) => term.start <= last);
    return {
      verdict: last === this.top ? 'ok' : 'more',
      epoch: terms[terms.length - 1]?.epoch ?? since.epoch,
      top: this.top,
      entries: state.history.slice(since.seq, last).map(entryOf),
      terms,
      presenceVersion: 0,
    };
  }

  /** Stopped and started with its data: a new term, nothing lost. */
  restart(): void {
    this.#term = this.#names.next();
  }

  /** As a replica that got everything `other` has. */
  copyFrom(other: SimulatedServer): void {
    const { life, lineage, history, kept, forgotten, writtenIn } = other.#state;
    this.#state = {
      life,
      lineage: [...lineage],
      history: [...history],
      kept,
      forgotten: [...forgotten],
      writtenIn,
    };
  }

  loseEverything(): void {
    this.#state = empty();
  }

  /** The log expired or was deleted; the numbers go on. */
  loseLog(): void {
    this.#state.kept = 0;
  }

  #beginLife(): void {
    const epoch = `life${this.#names.next()}.t${this.#names.next()}`;
    Object.assign(this.#state, empty(), { life: epoch.split('.')[0], lineage: [{ epoch, start: 1 }] });
    this.#names.begin(epoch, []);
  }

  #beginTerm(): void {
    const { life, lineage, forgotten } = this.#state;
    const epoch = `${life}.t${this.#names.next()}`;
    lineage.push({ epoch, start: this.top + 1 });
    this.#names.begin(epoch, this.#state.history);
    if (lineage.length > TERMS_MAX) forgotten.push(lineage.shift()?.epoch ?? '');
  }

  #epoch(): string {
    return this.#state.lineage[this.#state.lineage.length - 1]?.epoch ?? '';
  }

  #broken(verdict: ResetReason, from: number, limit: number): ReadResult {
    const start = Math.max(from, this.top - limit, this.top - this.#state.kept);
    const entries = this.#state.history.slice(start).map(entryOf);
    return { verdict, epoch: this.#epoch(), top: this.top, entries, presenceVersion: 0 };
  }
}

function empty(): State {
  return { life: undefined, lineage: [], history: [], kept: 0, forgotten: [], writtenIn: 0 };
}

export function entryOf({ seq, payload }: Stored): Entry {
  return { seq, ts: 0, body: Buffer.from(String(payload)) };
}

export function payloadOf(entry: Entry): number {
  return Number(entry.body.toString());
}
