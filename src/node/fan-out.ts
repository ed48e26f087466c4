/**
 * From one frame to every member's socket. A frame is made once per room; all
 * frames a room received in one turn of the event loop become one buffer, and
 * one write per socket, also for who is in several rooms. The order within a room
 * is the order of the calls, whatever the kind of frame. When a room is written
 * to is its feed's to say (room-feed.ts); here is what one member is given.
 *
 * Who has too much queued already is passed over and told to the slow consumers'
 * keeper.
 */
import type { Clock } from '../core/clock.ts';
import type { Hub } from '../core/hub.ts';
import type { Subscription } from '../core/session.ts';
import type { Position } from '../protocol/position.ts';
import type { Audience, Batch, Item } from './batch.ts';
import { type FeedPorts, RoomFeed } from './room-feed.ts';
import type { Turn } from './turn.ts';

export interface Appended {
  readonly audience?: Audience;
  /** For what must not be missed: where members are before they get it. Other frames are shed for slow consumers. */
  readonly before?: Position | undefined;
  /** A presence frame: who missed it is told a snapshot later. */
  readonly presence?: boolean;
}

export interface FanOutSettings {
  /** Queued bytes above which a connection is passed over; 0 = never. */
  readonly limitOutboxBytes: number;
  /** Queued bytes above which it is closed; 0 = never. */
  readonly limitOutboxMaxBytes: number;
}

/** What happens to members whose connection is full. */
export interface SlowKeeper {
  /** The member has everything up to `before` and gets nothing of this room until it caught up. */
  fellBehind(subscription: Subscription, before: Position): void;
  missedPresence(subscription: Subscription): void;
}

const NO_MORE: Appended = {};

export class FanOut implements FeedPorts {
  readonly clock: Clock;
  readonly turn: Turn;
  readonly #hub: Hub;
  /** Kept from the first item of a room until it is unfollowed or empty, not made for each. */
  readonly #feeds = new Map<string, RoomFeed>();
  readonly #queuedMax: number;
  /**
   * What one turn may bring one connection: all that was said during an outage may come in one turn, and written
   * at once it would close every member.
   */
  readonly #heldMax: number;
  #slow: SlowKeeper | undefined;
  #nextItem = 1;

  constructor(hub: Hub, turn: Turn, clock: Clock, settings: FanOutSettings) {
    const { limitOutboxBytes, limitOutboxMaxBytes } = settings;
    this.#hub = hub;
    this.turn = turn;
    this.clock = clock;
    this.#queuedMax = limitOutboxBytes || Number.POSITIVE_INFINITY;
    const isBounded = limitOutboxBytes > 0 && limitOutboxMaxBytes > 0;
    this.#heldMax = isBounded ? limitOutboxMaxBytes / 2 : Number.POSITIVE_INFINITY;
  }

  /** Who is told of full connections; it needs the fan-out itself, so it is made after it. */
  keepSlow(keeper: SlowKeeper): void {
    this.#slow = keeper;
  }

  /** The number that the next item will have: who joins now takes part from it on, its reply contains what was before. */
  get nextItem(): number {
    return this.#nextItem;
  }

  append(room: string, frame: Buffer, appended: Appended = NO_MORE): void {
    const { audience, before, presence = false } = appended;
    let feed = this.#feeds.get(room);
    if (!feed) {
      feed = new RoomFeed(room, this);
      this.#feeds.set(room, feed);
    }
    feed.append({ number: this.#nextItem, frame, audience, before, presence });
    this.#nextItem += 1;
  }

  /**
   * Gives one member now what its room has waiting for it, before something else is said to it. The others get
   * theirs in their turn: without that, each leave in a large room would write to all of it at once.
   */
  flushTo(member: Subscription): void {
    this.#feeds.get(member.room)?.flushTo(member);
  }

  /** Nothing is kept of a room before its first item. */
  follow(): void {}

  unfollow(room: string): void {
    this.forget(room);
  }

  members(room: string): ReadonlySet<Subscription> {
    return this.#hub.members(room);
  }

  forget(room: string): void {
    this.#feeds.get(room)?.clear();
    this.#feeds.delete(room);
  }

  give(member: Subscription, batch: Batch): void {
    const { end } = batch;
    if (member.nextItem >= end) return;
    if (member.behind || batch.bytes > this.#heldMax || !batch.isWholeFor(member)) {
      this.#giveSome(member, batch, batch.chosenFor(member));
    } else if (!this.#offer(member, batch.whole)) {
      this.#refused(member, batch, batch.chosenFor(member));
    }
    member.nextItem = end;
  }

  #giveSome(member: Subscription, batch: Batch, chosen: readonly Item[]): void {
    if (chosen.length === 0) return;
    const bytes = chosen.reduce((sum, { frame }) => sum + frame.length, 0);
    const isTaken = !member.behind && bytes <= this.#heldMax && this.#offer(member, batch.joined(chosen));
    if (!isTaken) this.#refused(member, batch, chosen);
  }

  #offer(member: Subscription, frames: Buffer): boolean {
    const { connection } = member;
    // Who is in several rooms gets what this turn has for all of them in one write.
    if (this.turn.hasMore && member.session.subscriptions.size > 1) this.turn.cork(connection);
    return connection.offer(frames, this.#queuedMax, this.#heldMax);
  }

  /** What a member is passed over with is remembered, never silently lost. */
  #refused(member: Subscription, batch: Batch, chosen: readonly Item[]): void {
    const { connection } = member;
    if (member.behind || connection.waitingBytes > this.#queuedMax) {
      this.#passOver(member, chosen);
      return;
    }
    // Not slow: it is too much for one turn. Messages are left to be caught up with; what nobody keeps is given now.
    const passing = chosen.filter(({ before }) => !before);
    this.#passOver(
      member,
      chosen.filter(({ before }) => before),
    );
    if (passing.length > 0) connection.write(batch.joined(passing));
  }

  #passOver(member: Subscription, items: readonly Item[]): void {
    if (items.some((item) => item.presence)) this.#slow?.missedPresence(member);
    if (member.behind) return;
    const before = items.find((item) => item.before)?.before;
    if (before) this.#slow?.fellBehind(member, before);
  }
}
