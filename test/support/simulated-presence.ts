/**
 * A presence store that several nodes share: a member is there while any node
 * holds it, as in hold.lua and drop.lua, without their leases. Each node sees it
 * through a port of its own; changes are told to whoever listens.
 */
import type { PresenceChange } from '../../src/core/member.ts';
import type { LeftReason, Member, PresenceStore } from '../../src/broker/presence.ts';

interface Present {
  readonly member: Member;
  readonly holders: Set<string>;
}

interface Room {
  version: number;
  readonly members: Map<string, Present>;
}

export class SimulatedPresence {
  readonly #tell: (room: string, change: PresenceChange) => void;
  readonly #now: () => number;
  #rooms = new Map<string, Room>();
  /** Versions grow also over a loss of everything. */
  #version = 0;

  constructor(tell: (room: string, change: PresenceChange) => void, now: () => number) {
    this.#tell = tell;
    this.#now = now;
  }

  /** The port of one node. */
  for(node: string): PresenceStore {
    return {
      start: () => undefined,
      stop: async () => undefined,
      hold: async (room, user, state, stated) => this.#hold(node, room, user, state, stated),
      drop: async (room, user, reason) => this.#drop(node, room, user, reason),
      snapshot: async (room, limit) => {
        const { version, members } = this.#room(room);
        const base = { version, count: members.size };
        return members.size > limit ? base : { ...base, members: this.members(room) };
      },
      countConnections: async (_user, count) => count,
      reconcile: async (room, users) => {
        const mine = [...this.#room(room).members].filter(
          ([user, { holders }]) => holders.has(node) && !users.has(user),
        );
        for (const [user] of mine) this.#drop(node, room, user, 'node_lost');
      },
    };
  }

  members(room: string): Member[] {
    return [...this.#room(room).members.values()].map(({ member }) => member);
  }

  version(room: string): number {
    return this.#room(room).version;
  }

  empty(): void {
    this.#rooms = new Map();
  }

  #room(name: string): Room {
    const room = this.#rooms.get(name) ?? { version: 0, members: new Map() };
    this.#rooms.set(name, room);
    return room;
  }

  #hold(node: string, name: string, user: string, state: string, stated: boolean): number {
    const room = this.#room(name);
    const present = room.members.get(user);
    const member = present?.member ?? { user, state, since: this.#now() };
    if (!present) {
      room.members.set(user, { member, holders: new Set([node]) });
      this.#changed(name, room, { kind: 'joined', member });
      return room.version;
    }
    present.holders.add(node);
    if (stated && member.state !== state) {
      const updated = { ...member, state };
      room.members.set(user, { member: updated, holders: present.holders });
      this.#changed(name, room, { kind: 'updated', member: updated });
    }
    return room.version;
  }

  #drop(node: string, name: string, user: string, reason: LeftReason): number {
    const room = this.#room(name);
    const present = room.members.get(user);
    if (!present?.holders.delete(node) || present.holders.size > 0) return room.version;
    room.members.delete(user);
    this.#changed(name, room, { kind: 'left', users: [user], reason });
    return room.version;
  }

  #changed(name: string, room: Room, change: Unversioned<PresenceChange>): void {
    const previous = room.version;
    this.#version += 1;
    room.version = Math.max(this.#version, previous + 1);
    this.#tell(name, { ...change, previous, version: room.version });
  }
}

type Unversioned<Change> = Change extends unknown ? Omit<Change, 'previous' | 'version'> : never;
