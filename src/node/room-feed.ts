/**
 * One room's way out: what waits to be told, and the round that is under way. A
 * round gives one batch to every member, a piece of them at a time, over as many
 * turns as that takes; what comes meanwhile is the next round. Who joins or
 * leaves in between changes nothing for the others: each member knows from which
 * item on it takes part, so a round passes it over or gives it the rest.
 *
 * A room that took long to write rests before its next round, so that what comes
 * meanwhile shares one write.
 */
import type { Clock } from '../core/clock.ts';
import type { Subscription } from '../core/session.ts';
import { Batch, type Item } from './batch.ts';
import type { Turn, Work } from './turn.ts';

/** What a room needs of the fan-out. */
export interface FeedPorts {
  readonly clock: Clock;
  readonly turn: Turn;
  members(room: string): ReadonlySet<Subscription>;
  give(member: Subscription, batch: Batch): void;
  /** The room has no members: what it was to be told is for nobody. */
  forget(room: string): void;
}

/** Members written to before the clock is read again: at 4 µs a write a quarter of a millisecond. */
const MEMBERS_PER_LOOK = 64;
/** Members written to before it is another room's turn: about a millisecond. */
const MEMBERS_PER_STEP = 256;
/**
 * A room whose members took this long to write to rests before it is written again: what comes meanwhile
 * shares one write. Small rooms never rest, they would wait and share nothing.
 */
const REST_FROM_MS = 1;
/** How long, of the time it took: longer where several frames came together, for then more will. */
const REST_SHARE = 1;
const REST_SHARE_BUSY = 1.5;
/** The latency that sharing may cost. */
const REST_MS_MAX = 12;

export class RoomFeed implements Work {
  listed = false;
  readonly room: string;
  readonly #ports: FeedPorts;
  #waiting = new Batch();
  /** The batch of the round under way; empty between two rounds. */
  #round = new Batch();
  /** The members that the round has not come to. A Set's iterator goes on where it was, past who joined or left. */
  #left: IterableIterator<Subscription> | undefined;
  #tookMs = 0;
  #isResting = false;
  readonly #awake = () => {
    this.#isResting = false;
    if (!this.#waiting.isEmpty) this.#ports.turn.add(this);
  };

  constructor(room: string, ports: FeedPorts) {
    this.room = room;
    this.#ports = ports;
  }

  append(item: Item): void {
    this.#waiting.add(item);
    if (!this.#isResting) this.#ports.turn.add(this);
  }

  /** Gives this member alone, and now, all that the room has for it. */
  flushTo(member: Subscription): void {
    if (this.#left) this.#ports.give(member, this.#round);
    if (!this.#waiting.isEmpty) this.#ports.give(member, this.#waiting);
  }

  /** Nothing of it is for anybody any more. */
  clear(): void {
    this.#waiting.clear();
    this.#end();
  }

  step(turn: Turn): boolean {
    const left = this.#left ?? this.#begin();
    if (!left) return false;
    const startedMs = turn.nowMs;
    let given = 0;
    for (const member of left) {
      this.#ports.give(member, this.#round);
      given += 1;
      if (given % MEMBERS_PER_LOOK > 0) continue;
      if (turn.isOver || given >= MEMBERS_PER_STEP) {
        this.#tookMs += turn.nowMs - startedMs;
        return true;
      }
    }
    this.#rest(this.#tookMs + this.#ports.clock.now() - startedMs);
    this.#end();
    return !this.#isResting && !this.#waiting.isEmpty;
  }

  #begin(): IterableIterator<Subscription> | undefined {
    if (this.#waiting.isEmpty) return undefined;
    const members = this.#ports.members(this.room);
    if (members.size === 0) {
      this.#waiting.clear();
      this.#ports.forget(this.room);
      return undefined;
    }
    [this.#round, this.#waiting] = [this.#waiting, this.#round];
    this.#left = members.values();
    return this.#left;
  }

  #end(): void {
    this.#round.clear();
    this.#left = undefined;
    this.#tookMs = 0;
  }

  #rest(tookMs: number): void {
    if (tookMs < REST_FROM_MS) return;
    this.#isResting = true;
    const share = this.#round.count > 1 ? REST_SHARE_BUSY : REST_SHARE;
    this.#ports.clock.after(Math.min(tookMs * share, REST_MS_MAX), this.#awake);
  }
}
