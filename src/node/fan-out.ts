/**
 * From one frame to every member's socket. A frame is made once per room; all
 * frames a room received in one turn of the event loop become one buffer, and
 * one write per socket, also for who is in several rooms. The order within a room is the order of the calls,
 * whatever the kind of frame.
 *
 * Rooms too big for one turn are written in slices, so that pings, small rooms
 * and health checks go on in between. Who has too much queued already is passed
 * over and told to the slow consumers' keeper.
 */
import type { Clock } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';
import type { Hub } from '../core/hub.ts';
import type { Subscription } from '../core/session.ts';
import type { Position } from '../protocol/position.ts';

/** Whether a member gets a frame; without one, every member does. */
export type Audience = (subscription: Subscription) => boolean;

export interface Appended {
  readonly audience?: Audience;
  /** For what must not be missed: where members are before they get it. Other frames are shed for slow consumers. */
  readonly before?: Position;
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

interface Queued extends Appended {
  readonly frame: Buffer;
}

/** A room that is being written in slices. */
interface Sliced {
  readonly queued: readonly Queued[];
  readonly members: readonly Subscription[];
  next: number;
  tookMs: number;
}

/** Members written to in one go: at 4 µs a write some 8 ms, well below what a heartbeat would notice. */
const SLICE_MEMBERS = 2000;
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

export class FanOut {
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #settings: FanOutSettings;
  readonly #rooms = new Map<string, Queued[]>();
  readonly #sliced = new Map<string, Sliced>();
  #slow: SlowKeeper | undefined;
  readonly #resting = new Set<string>();
  /** Connections held back until the end of this turn; undefined where the turn writes a single room. */
  #corked: Set<Connection> | undefined;
  #scheduled = false;

  constructor(hub: Hub, clock: Clock, settings: FanOutSettings) {
    this.#hub = hub;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Who is told of full connections; it needs the fan-out itself, so it is made after it. */
  keepSlow(keeper: SlowKeeper): void {
    this.#slow = keeper;
  }

  append(room: string, frame: Buffer, appended: Appended = {}): void {
    const item = { ...appended, frame };
    const queued = this.#rooms.get(room);
    if (queued) queued.push(item);
    else this.#rooms.set(room, [item]);
    if (!this.#resting.has(room)) this.#schedule();
  }

  /** Writes all that the room has waiting. Called before a member is added, whose reply already contains it. */
  flush(room: string): void {
    const sliced = this.#sliced.get(room);
    if (sliced) this.#writeSlice(room, sliced, Number.POSITIVE_INFINITY);
    this.#begin(room, Number.POSITIVE_INFINITY);
  }

  /** Writes what every room has waiting. */
  flushAll(): void {
    for (const room of [...this.#sliced.keys(), ...this.#rooms.keys()]) this.flush(room);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.afterTurn(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** One turn: a slice of each room that is not done, then what came meanwhile. */
  #turn(): void {
    // Who is in several rooms gets what this turn has for all of them in one write.
    if (this.#rooms.size + this.#sliced.size > 1) this.#corked = new Set();
    for (const [room, sliced] of this.#sliced) this.#writeSlice(room, sliced, SLICE_MEMBERS);
    for (const room of this.#rooms.keys()) {
      if (!this.#sliced.has(room) && !this.#resting.has(room)) this.#begin(room, SLICE_MEMBERS);
    }
    for (const connection of this.#corked ?? []) connection.uncork();
    this.#corked = undefined;
    if (this.#sliced.size > 0) this.#schedule();
  }

  #begin(room: string, membersMax: number): void {
    const queued = this.#rooms.get(room);
    if (!queued) return;
    this.#rooms.delete(room);
    const members = this.#hub.members(room);
    if (members.size > membersMax) {
      const sliced = { queued, members: [...members], next: 0, tookMs: 0 };
      this.#sliced.set(room, sliced);
      this.#writeSlice(room, sliced, membersMax);
      return;
    }
    const startedMs = this.#clock.now();
    this.#write(queued, members);
    this.#rest(room, queued, this.#clock.now() - startedMs);
  }

  #writeSlice(room: string, sliced: Sliced, membersMax: number): void {
    const startedMs = this.#clock.now();
    const slice = sliced.members.slice(sliced.next, sliced.next + membersMax);
    sliced.next += slice.length;
    // Who left or joined anew while the room was being written gets nothing of the old round.
    this.#write(
      sliced.queued,
      slice.filter((member) => member.session.subscriptions.get(room) === member),
    );
    sliced.tookMs += this.#clock.now() - startedMs;
    if (sliced.next < sliced.members.length) return;
    this.#sliced.delete(room);
    this.#rest(room, sliced.queued, sliced.tookMs);
  }

  #rest(room: string, written: readonly Queued[], tookMs: number): void {
    if (tookMs < REST_FROM_MS || this.#resting.has(room)) return;
    this.#resting.add(room);
    const share = written.length > 1 ? REST_SHARE_BUSY : REST_SHARE;
    this.#clock.after(Math.min(tookMs * share, REST_MS_MAX), () => {
      this.#resting.delete(room);
      if (this.#rooms.has(room)) this.#schedule();
    });
  }

  #write(queued: readonly Queued[], members: Iterable<Subscription>): void {
    if (queued.some((item) => item.audience)) this.#writeSelected(queued, members);
    else {
      const frames = joined(queued);
      for (const member of members) {
        if (this.#takes(member, queued, frames.length)) this.#hand(member, frames);
      }
    }
  }

  /** Members who get the same selection share one buffer. */
  #writeSelected(queued: readonly Queued[], members: Iterable<Subscription>): void {
    const selections = new Map<string, Buffer>();
    for (const member of members) {
      // A diff behind one that was shed would join on to nothing the member holds.
      const chosen = queued.filter(
        (item) => (!item.audience || item.audience(member)) && !(item.presence && member.missedPresence),
      );
      const bytes = chosen.reduce((sum, item) => sum + item.frame.length, 0);
      if (chosen.length === 0 || !this.#takes(member, chosen, bytes)) continue;
      const key = chosen.length === queued.length ? 'all' : chosen.map((item) => queued.indexOf(item)).join();
      let frames = selections.get(key);
      if (!frames) {
        frames = joined(chosen);
        selections.set(key, frames);
      }
      this.#hand(member, frames);
    }
  }

  #hand({ session }: Subscription, frames: Buffer): void {
    const { connection, subscriptions } = session;
    if (this.#corked && subscriptions.size > 1 && !this.#corked.has(connection)) {
      this.#corked.add(connection);
      connection.cork();
    }
    connection.write(frames);
  }

  /** False for a slow consumer: what it is passed over with is remembered, never silently lost. */
  #takes(member: Subscription, items: readonly Queued[], bytes: number): boolean {
    const { limitOutboxBytes, limitOutboxMaxBytes } = this.#settings;
    // All that was said during an outage may come in one turn: written at once it would close every member.
    const tooMuch = limitOutboxMaxBytes > 0 && bytes > limitOutboxMaxBytes / 2;
    const full =
      limitOutboxBytes > 0 && (tooMuch || member.session.connection.queuedBytes > limitOutboxBytes);
    if (!full && !member.behind) return true;
    if (items.some((item) => item.presence)) this.#slow?.missedPresence(member);
    if (member.behind) return false;
    const before = items.find((item) => item.before)?.before;
    if (before) this.#slow?.fellBehind(member, before);
    return false;
  }
}

function joined(queued: readonly Queued[]): Buffer {
  const [only] = queued;
  if (queued.length === 1 && only) return only.frame;
  return Buffer.concat(queued.map((item) => item.frame));
}
