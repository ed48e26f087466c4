/**
 * What a joiner missed: everything after its position, or the newest n, up to
 * exactly the position the room is at on this node in the turn in which the
 * answer is made. From the ring where it reaches back far enough, else from the
 * store, and what is read there goes into the ring: when thousands rejoin, each
 * from where it was, a handful of reads serves them all. Never partial: it is
 * everything, or the reason why not. docs/decisions/0005.
 */
import { type Broker, BrokerError, type HistoryPage } from '../broker/broker.ts';
import type { Clock } from '../core/clock.ts';
import type { Entry, ReadResult } from '../core/entry.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import { type MessagesKept, messagesKept } from '../core/retention.ts';
import type { RoomStream } from '../core/room-stream.ts';
import { SingleFlight } from '../core/single-flight.ts';
import { isInboxRoom } from '../protocol/names.ts';
import { type JoinReason, type Position, samePosition } from '../protocol/position.ts';
import type { Relay } from './relay.ts';

export interface CatchUpSettings extends MessagesKept {
  readonly joinMessages: number;
  readonly joinBytes: number;
  readonly ringMessages: number;
  /** How long a join may wait for its room to be live. */
  readonly redisDeadlineMs: number;
}

export type Wanted = { readonly since: Position } | { readonly newest: number };

/** `at`: the room's position; `entries` end there. `reason`: why there are none, although `since` was given. */
export type Missed =
  | { readonly at: Position; readonly entries: readonly Entry[]; readonly reason?: undefined }
  | {
      readonly at: Position;
      readonly entries: readonly Entry[];
      readonly reason: JoinReason;
      /** Where a member that wants all that is kept goes on from: `since` for `too_far`, else the end of what was lost. */
      readonly from: Position;
    };

/** What the store said, to be joined with what was heard meanwhile. */
type Stored =
  | { readonly reason: JoinReason; readonly from: Position }
  | { readonly epoch: string; readonly after: number; readonly entries: readonly Entry[] };

const TRIES = 3;

export class CatchUp {
  readonly #broker: Broker;
  readonly #relay: Relay;
  readonly #clock: Clock;
  readonly #settings: CatchUpSettings;
  readonly #reads = new SingleFlight<ReadResult>();
  readonly #pages = new SingleFlight<Stored>();
  readonly #fills = new KeyedMutex();

  constructor(broker: Broker, relay: Relay, clock: Clock, settings: CatchUpSettings) {
    this.#broker = broker;
    this.#relay = relay;
    this.#clock = clock;
    this.#settings = settings;
  }

  /**
   * Makes sure the answer can be given, then calls `attach` with it, in one turn
   * of the event loop with the state it was made from: nothing can be heard in
   * between. `until` holds the answer back where it returns a promise, so that
   * the answers to many joins do not pile up in one connection. Rejects with `unavailable`.
   */
  async missed<T>(
    room: string,
    wanted: Wanted,
    until: () => Promise<void> | undefined,
    attach: (missed: Missed) => T,
  ): Promise<T> {
    for (let attempt = 0; attempt < TRIES; ) {
      if (!this.#relay.isLive(room)) await this.#live(room, () => true);
      let missed = this.#assemble(room, wanted, undefined);
      if (!missed) {
        attempt += 1;
        const stored = await this.#fromStore(room, wanted);
        await this.#live(room, whereAnswerable(wanted, stored));
        missed = this.#assemble(room, wanted, stored);
      }
      // From where it was assembled to `attach` nothing is awaited.
      const full = missed && until();
      if (missed && !full) return attach(missed);
      if (full) attempt = 0;
      await full;
    }
    throw new BrokerError('unavailable', `room "${room}" changes too fast to be joined just now; join again`);
  }

  /** In one turn: what the store gave, cut or completed to the room's present position. Undefined where a hole is left. */
  #assemble(room: string, wanted: Wanted, stored: Stored | undefined): Missed | undefined {
    const stream = this.#relay.stream(room);
    const at = stream?.cursor;
    if (!stream?.live || !at) return undefined;
    if (stored && 'reason' in stored) return { at, entries: [], reason: stored.reason, from: stored.from };
    const entries = stored ? extended(stream, at, stored) : fromRing(stream, at, wanted);
    if (!entries) return undefined;
    if ('newest' in wanted) return { at, entries: this.#newestThatFit(entries, wanted.newest) };
    const tooFar =
      entries.length > this.#settings.joinMessages || bytesOf(entries) > this.#settings.joinBytes;
    return tooFar ? { at, entries: [], reason: 'too_far', from: wanted.since } : { at, entries };
  }

  /** "The last n" promises no continuity, so where they are too big for one reply fewer are given. */
  #newestThatFit(entries: readonly Entry[], count: number): readonly Entry[] {
    let bytes = 0;
    let first = entries.length;
    while (first > 0 && entries.length - first < count) {
      bytes += entries[first - 1]?.body.length ?? 0;
      if (bytes > this.#settings.joinBytes) break;
      first -= 1;
    }
    return entries.slice(first);
  }

  /** Undefined where the ring can answer by now. */
  async #fromStore(room: string, wanted: Wanted): Promise<Stored | undefined> {
    if ('newest' in wanted) {
      // Up to where this node is: the store may be ahead of it, and what is beyond comes as messages.
      const top = this.#relay.stream(room)?.cursor?.seq ?? 0;
      return this.#pages.run([room, top, wanted.newest], () => this.#newest(room, top, wanted.newest));
    }
    if (!this.#isNear(room, wanted.since))
      return this.#since(room, wanted.since, this.#settings.joinMessages);
    // One at a time: what the first one reads goes into the ring, where the others find it.
    return this.#fills.run(room, async () => {
      if (this.#assemble(room, wanted, undefined)) return undefined;
      // Not the first who misses the ring, so more will come: all that it can hold is read at once.
      if ((this.#relay.stream(room)?.ring.length ?? 0) > 0) await this.#fillRing(room);
      if (this.#assemble(room, wanted, undefined)) return undefined;
      return this.#since(room, wanted.since, this.#settings.joinMessages);
    });
  }

  /** Whether a full ring would hold everything after this position. */
  #isNear(room: string, since: Position): boolean {
    const at = this.#relay.stream(room)?.cursor;
    if (!at || at.epoch !== since.epoch) return false;
    return since.seq < at.seq && at.seq - since.seq <= this.#settings.ringMessages;
  }

  async #fillRing(room: string): Promise<void> {
    const at = this.#relay.stream(room)?.cursor;
    if (!at) return;
    const limit = this.#settings.ringMessages;
    const page = await this.#broker.history(room, { before: at.seq + 1, limit });
    this.#relay.backfill(room, page.epoch, page.entries, keptFrom(page, at.seq));
  }

  async #since(room: string, since: Position, limit: number): Promise<Stored> {
    const result = await this.#reads.run([room, since.epoch, since.seq, limit], () =>
      this.#broker.read(room, since, limit),
    );
    const { verdict, epoch, top } = result;
    if (verdict === 'ok') {
      // Across terms of the store it stays with the joiner: the ring is of one epoch.
      if (result.terms.length === 0) this.#relay.backfill(room, epoch, result.entries);
      return { epoch, after: since.seq, entries: result.entries };
    }
    if (verdict === 'more') return { reason: 'too_far', from: since };
    if (verdict === 'fresh') throw new Error('a read from a position was answered without one');
    // Of a break, an answer tells only its newest part: where an inbox goes on, all that is kept must be known.
    const whole = isInboxRoom(room) ? messagesKept(room, this.#settings) : 0;
    if (limit < whole && result.entries.length >= limit) return this.#since(room, since, whole);
    return { reason: verdict, from: { epoch, seq: top - result.entries.length } };
  }

  async #newest(room: string, top: number, limit: number): Promise<Stored> {
    const page = await this.#broker.history(room, { before: top + 1, limit });
    const { epoch, seq, entries } = page;
    this.#relay.backfill(room, epoch, entries, keptFrom(page, top));
    return { epoch, after: (entries[0]?.seq ?? Math.min(seq, top) + 1) - 1, entries };
  }

  /** Waits until the room is live and its cursor is as wanted. */
  #live(room: string, enough: (cursor: Position) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop: () => void = () => undefined;
      const timer = this.#clock.after(this.#settings.redisDeadlineMs, () => {
        stop();
        reject(new BrokerError('unavailable', `room "${room}" is catching up with Redis; join again`));
      });
      stop = this.#relay.whenLive(room, enough, () => {
        timer.cancel();
        resolve();
      });
    });
  }
}

/** Where the store begins, by a page of what it has up to `top`; undefined where it has more before that page. */
function keptFrom({ entries, more }: HistoryPage, top: number): number | undefined {
  return more ? undefined : (entries[0]?.seq ?? top + 1);
}

/** A client may be ahead of this node by messages still on their way here: it must not get them twice. */
function whereAnswerable(wanted: Wanted, stored: Stored | undefined): (cursor: Position) => boolean {
  if (!('since' in wanted) || !stored || 'reason' in stored) return () => true;
  const { since } = wanted;
  return (cursor) => cursor.epoch !== since.epoch || cursor.seq >= since.seq;
}

function fromRing(stream: RoomStream, at: Position, wanted: Wanted): readonly Entry[] | undefined {
  if ('since' in wanted) return samePosition(wanted.since, at) ? [] : stream.ring.after(wanted.since);
  if (wanted.newest === 0 || at.seq === 0) return [];
  return stream.ring.newest(at, wanted.newest);
}

/** Entries of the store up to exactly `at`: cut where the store is ahead of this node, completed from the ring where it is behind. */
function extended(
  stream: RoomStream,
  at: Position,
  stored: Extract<Stored, { epoch: string }>,
): readonly Entry[] | undefined {
  if (stored.epoch !== at.epoch) return undefined;
  const last = stored.entries[stored.entries.length - 1]?.seq ?? stored.after;
  if (last === at.seq) return stored.entries;
  if (last > at.seq) {
    return stored.after > at.seq ? undefined : stored.entries.filter((entry) => entry.seq <= at.seq);
  }
  const rest = stream.ring.after({ epoch: at.epoch, seq: last });
  return rest && [...stored.entries, ...rest];
}

function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.body.length;
  return bytes;
}
