/**
 * The embedded presence store. This process is the only holder there can be, so
 * a member is there exactly while it is held: no lease, no fencing and nobody to
 * reap, and `rebuild` is never asked for. Versions and changes follow the same
 * rules as in Redis, so that what is above cannot tell the difference.
 */
import type { LeftReason, Member, PresenceSnapshot, PresenceStore } from '../presence.ts';
import type { Clock } from '../../core/clock.ts';
import type { EventBus } from './event-bus.ts';
import type { Room } from './room-store.ts';
import type { RoomStores } from './room-stores.ts';

interface MemoryPresenceParts {
  readonly bus: EventBus;
  readonly rooms: RoomStores;
  readonly clock: Clock;
}

export class MemoryPresence implements PresenceStore {
  readonly #bus: EventBus;
  readonly #rooms: RoomStores;
  readonly #clock: Clock;

  constructor(parts: MemoryPresenceParts) {
    this.#bus = parts.bus;
    this.#rooms = parts.rooms;
    this.#clock = parts.clock;
  }

  start(): void {
    // No lease to begin: a holder in the same process cannot die alone.
  }

  async stop(): Promise<void> {
    // Nothing to give up: with the process goes everything it held.
  }

  async hold(name: string, user: string, state: string, stated: boolean): Promise<number> {
    const room = this.#rooms.of(name).use(name);
    const held = room.members.get(user);
    if (!held) {
      this.#put(room, 'joined', { user, state, since: this.#clock.wallMs() });
    } else if (stated && held.state !== state) {
      this.#put(room, 'updated', { user, state, since: held.since });
    }
    return room.presenceVersion;
  }

  async drop(name: string, user: string, reason: LeftReason): Promise<number> {
    const room = this.#rooms.of(name).peek(name);
    if (!room) return 0;
    if (room.members.has(user)) this.#remove(this.#rooms.of(name).use(name), [user], reason);
    return room.presenceVersion;
  }

  async snapshot(name: string, limit: number): Promise<PresenceSnapshot> {
    const room = this.#rooms.of(name).peek(name);
    if (!room) return { version: 0, count: 0, members: [] };
    const version = room.presenceVersion;
    const count = room.members.size;
    return count > limit ? { version, count } : { version, count, members: [...room.members.values()] };
  }

  async countConnections(_user: string, count: number): Promise<number> {
    return count;
  }

  async reconcile(name: string, users: ReadonlySet<string>): Promise<void> {
    const room = this.#rooms.of(name).peek(name);
    if (!room) return;
    const strangers = [...room.members.keys()].filter((user) => !users.has(user));
    if (strangers.length > 0) this.#remove(room, strangers, 'node_lost');
  }

  #put(room: Room, kind: 'joined' | 'updated', member: Member): void {
    const previous = room.presenceVersion;
    room.members.set(member.user, member);
    const version = this.#rooms.of(room.name).nextPresenceVersion(room);
    this.#bus.presence(room.name, { kind, previous, version, member });
  }

  #remove(room: Room, users: readonly string[], reason: LeftReason): void {
    const previous = room.presenceVersion;
    for (const user of users) room.members.delete(user);
    const version = this.#rooms.of(room.name).nextPresenceVersion(room);
    this.#bus.presence(room.name, { kind: 'left', previous, version, users, reason });
  }
}
