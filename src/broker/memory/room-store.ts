/**
 * Every room the embedded broker knows: its log, its presence version and its
 * members. It exists to decide what is forgotten and when, so that a process
 * that runs for months holds what is in use and little more: a log goes
 * `historyTtlS` after its last message, a room `metaTtlS` after its last use,
 * and both go early, least recently used first, where a limit says so. Early or
 * not, whoever comes back with a position learns of it (`trimmed`, `lost`).
 */
import type { Entry } from '../broker.ts';
import type { Member } from '../presence.ts';
import type { Clock, Random } from '../../core/clock.ts';
import type { Place } from './age-order.ts';
import { AgeOrder } from './age-order.ts';
import { RoomLog } from './room-log.ts';

/** Rooms remembered beyond those in use (subscribed or with members). */
const ROOMS_MAX = 100_000;
/** All logs together. Logs of the rooms published to least recently go first. */
const LOG_BYTES_TOTAL_MAX = 256 * 1024 * 1024;
/** Rooms looked at in one sweep, or to make room for one more: keeps a turn of the event loop short. */
export const ROOMS_PER_SWEEP_MAX = 1_000;

export interface RoomStoreSettings {
  readonly historyMessages: number;
  readonly historyTtlS: number;
  readonly metaTtlS: number;
}

export interface RoomStoreLimits {
  readonly roomsMax: number;
  readonly logBytesTotalMax: number;
}

interface RoomStoreOptions {
  readonly settings: RoomStoreSettings;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether the node hears the room: such a room is in use however long it was silent. */
  readonly isHeard: (room: string) => boolean;
  readonly limits?: RoomStoreLimits;
}

export interface Room {
  readonly name: string;
  readonly log: RoomLog;
  /** user -> member. Bounded by the connections of this process. */
  readonly members: Map<string, Member>;
  presenceVersion: number;
  /** Read mark of an inbox: its user has handled everything up to this seq. It ends with the room's one epoch. */
  markSeq: number;
  usedAtMs: number;
  logForgottenAtMs: number;
  /** Where it stands among all rooms; null until its first use. */
  byUse: Place<Room> | null;
  /** Where it stands among the rooms with a log; null where its log is forgotten. */
  byMessage: Place<Room> | null;
}

export class RoomStore {
  readonly #settings: RoomStoreSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #isHeard: (room: string) => boolean;
  readonly #limits: RoomStoreLimits;
  readonly #rooms = new Map<string, Room>();
  readonly #byUse = new AgeOrder<Room>();
  /** Rooms that keep messages, by their last one: the order in which their logs expire. */
  readonly #byMessage = new AgeOrder<Room>();
  #logBytes = 0;
  /** Versions grow for ever, also those of a room that was forgotten and began anew. */
  #presenceVersionFloor = 0;

  constructor(options: RoomStoreOptions) {
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#isHeard = options.isHeard;
    this.#limits = options.limits ?? { roomsMax: ROOMS_MAX, logBytesTotalMax: LOG_BYTES_TOTAL_MAX };
  }

  get roomCount(): number {
    return this.#rooms.size;
  }

  get logBytes(): number {
    return this.#logBytes;
  }

  /** The room, begun anew under a new epoch where it is not (or no longer) known. Counts as use. */
  use(name: string): Room {
    let room = this.#rooms.get(name);
    if (room && this.#isExpired(room)) {
      this.#forget(room);
      room = undefined;
    }
    if (!room) {
      room = this.#begin(name);
    } else if (room.log.count > 0 && room.logForgottenAtMs <= this.#clock.now()) {
      this.#forgetLog(room);
    }
    this.#touch(room);
    return room;
  }

  /** The room if it is known. Does not count as use. */
  peek(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  append(room: Room, body: Buffer): Entry {
    const bytesBefore = room.log.bytes;
    const entry = room.log.append(this.#clock.wallMs(), body);
    this.#logBytes += room.log.bytes - bytesBefore;
    room.logForgottenAtMs = this.#clock.now() + this.#settings.historyTtlS * 1_000;
    if (room.byMessage) this.#byMessage.renew(room.byMessage);
    else room.byMessage = this.#byMessage.add(room);
    if (this.#logBytes > this.#limits.logBytesTotalMax) this.#freeLogBytes(room);
    return entry;
  }

  /** Moves the room's presence version on; wall time keeps it growing also over a process that starts anew. */
  nextPresenceVersion(room: Room): number {
    const least = Math.max(room.presenceVersion, this.#presenceVersionFloor) + 1;
    room.presenceVersion = Math.max(least, this.#clock.wallMs());
    return room.presenceVersion;
  }

  /** Forgets what nobody asked for again; what is asked for again expires in `use` without waiting for this. */
  sweep(): void {
    const nowMs = this.#clock.now();
    for (let left = ROOMS_PER_SWEEP_MAX; left > 0; left -= 1) {
      const room = this.#byMessage.oldest;
      if (!room || room.logForgottenAtMs > nowMs) break;
      this.#forgetLog(room);
    }
    for (let left = ROOMS_PER_SWEEP_MAX; left > 0; left -= 1) {
      const room = this.#byUse.oldest;
      if (!room || !this.#isUnusedLong(room)) break;
      if (this.#isInUse(room)) this.#touch(room);
      else this.#forget(room);
    }
  }

  #begin(name: string): Room {
    if (this.#rooms.size >= this.#limits.roomsMax) this.#forgetLeastRecentlyUsed();
    const token = this.#random.token();
    // The same form as Redis gives it, life and term, so that nothing above sees which broker it talks to.
    const epoch = `${token.slice(0, 10)}.${token.slice(10)}`;
    const room: Room = {
      name,
      log: new RoomLog(epoch, this.#settings.historyMessages),
      members: new Map(),
      presenceVersion: 0,
      markSeq: 0,
      usedAtMs: 0,
      logForgottenAtMs: 0,
      byUse: null,
      byMessage: null,
    };
    this.#rooms.set(name, room);
    return room;
  }

  #touch(room: Room): void {
    room.usedAtMs = this.#clock.now();
    if (room.byUse) this.#byUse.renew(room.byUse);
    else room.byUse = this.#byUse.add(room);
  }

  #isUnusedLong(room: Room): boolean {
    return this.#clock.now() - room.usedAtMs >= this.#settings.metaTtlS * 1_000;
  }

  #isInUse(room: Room): boolean {
    return room.members.size > 0 || this.#isHeard(room.name);
  }

  #isExpired(room: Room): boolean {
    return this.#isUnusedLong(room) && !this.#isInUse(room);
  }

  #forget(room: Room): void {
    this.#forgetLog(room);
    this.#rooms.delete(room.name);
    if (room.byUse) this.#byUse.remove(room.byUse);
    room.byUse = null;
    this.#presenceVersionFloor = Math.max(this.#presenceVersionFloor, room.presenceVersion);
  }

  #forgetLog(room: Room): void {
    this.#logBytes -= room.log.bytes;
    room.log.forgetEntries();
    if (room.byMessage) this.#byMessage.remove(room.byMessage);
    room.byMessage = null;
  }

  /** Gives up after a bounded look: rooms in use are bounded by the node's own limits, so going over by them is safe. */
  #forgetLeastRecentlyUsed(): void {
    for (let left = ROOMS_PER_SWEEP_MAX; left > 0; left -= 1) {
      const room = this.#byUse.oldest;
      if (!room) return;
      if (!this.#isInUse(room)) return this.#forget(room);
      // Out of the way of the next look; without this, old rooms in use would shield all younger ones.
      this.#touch(room);
    }
  }

  /** Whole logs of other rooms first, then the oldest messages of `current`, which is published to right now. */
  #freeLogBytes(current: Room): void {
    while (this.#logBytes > this.#limits.logBytesTotalMax) {
      const room = this.#byMessage.oldest;
      // Just published to, `current` is the youngest: where it is the oldest, it is the only one.
      if (!room || room === current) break;
      this.#forgetLog(room);
    }
    while (this.#logBytes > this.#limits.logBytesTotalMax && current.log.count > 1) {
      const bytesBefore = current.log.bytes;
      current.log.dropOldest();
      this.#logBytes += current.log.bytes - bytesBefore;
    }
  }
}
