/**
 * What a partition of Redis should hold of leases and presence, and what each script
 * should do to it, in plain TypeScript: the pure half of the presence model test.
 * Time is passed in, in ms of the test's own clock (see presence-store.ts).
 */
export interface Member {
  holders: readonly string[];
  state: string;
}

/** An event that a script should announce. The version is checked where it is heard. */
export interface Announcement {
  readonly kind: 'joined' | 'updated' | 'left';
  readonly users: readonly string[];
  readonly state?: string;
  readonly reason?: string;
}

export class RoomPresence {
  members = new Map<string, Member>();
  /** presence(room, incarnation). */
  held = new Map<string, Set<string>>();
  version = 0;
}

export class PresenceModel {
  readonly leaseMs: number;
  readonly rooms: ReadonlyMap<string, RoomPresence>;
  /** Incarnation -> time of its last beat. */
  live = new Map<string, number>();
  dead = new Set<string>();
  grace: { term: string; until: number } | undefined;
  roomsOf = new Map<string, Set<string>>();

  constructor(rooms: readonly string[], leaseMs: number) {
    this.leaseMs = leaseMs;
    this.rooms = new Map(rooms.map((room) => [room, new RoomPresence()]));
  }

  room(name: string): RoomPresence {
    const room = this.rooms.get(name);
    if (room === undefined) throw new Error(`no room ${name}`);
    return room;
  }

  hold(
    inc: string,
    name: string,
    user: string,
    offered: string,
    stated: boolean,
  ): Announcement | 'fenced' | undefined {
    if (!this.live.has(inc)) return 'fenced';
    const room = this.room(name);
    setOf(this.roomsOf, inc).add(name);
    setOf(room.held, inc).add(user);
    const old = room.members.get(user);
    if (old === undefined) {
      room.members.set(user, { holders: [inc], state: offered });
      return { kind: 'joined', users: [user], state: offered };
    }
    const holders = old.holders.includes(inc) ? old.holders : [...old.holders, inc];
    const changed = stated && old.state !== offered;
    const state = changed ? offered : old.state;
    room.members.set(user, { holders, state });
    return changed ? { kind: 'updated', users: [user], state } : undefined;
  }

  drop(inc: string, name: string, user: string, reason: string): Announcement | 'fenced' | undefined {
    if (!this.live.has(inc)) return 'fenced';
    const room = this.room(name);
    this.#take(room, inc, name, [user]);
    if (!room.held.has(inc)) deleteFrom(this.roomsOf, inc, name);
    const gone = this.#release(room, inc, [user]);
    return gone.length > 0 ? { kind: 'left', users: gone, reason } : undefined;
  }

  /** @returns whether the incarnation is alive after it. */
  beat(inc: string, register: boolean, backDateMs: number, now: number, term: string): boolean {
    const newest = this.live.size === 0 ? undefined : Math.max(...this.live.values());
    const known = this.grace?.term;
    const silent = newest !== undefined && now - newest > this.leaseMs / 2;
    if ((known !== undefined && known !== term) || silent)
      this.grace = { term, until: now + 2 * this.leaseMs };
    else if (known === undefined) this.grace = { term, until: -Infinity };
    if (this.dead.has(inc) || (!register && !this.live.has(inc))) return false;
    this.live.set(inc, now - backDateMs);
    return true;
  }

  /** @returns the incarnations to reap. */
  expire(caller: string, now: number, term: string): readonly string[] {
    if (this.grace?.term !== term || now < this.grace.until) return [];
    const own = this.live.get(caller);
    if (own === undefined || now - own > this.leaseMs / 2) return [];
    for (const [inc, beat] of [...this.live]) {
      if (beat > now - this.leaseMs) continue;
      this.live.delete(inc);
      this.dead.add(inc);
    }
    return [...this.dead];
  }

  /** @param taken the users that Redis chose. @returns who left. */
  reap(inc: string, name: string, taken: readonly string[]): readonly string[] {
    const room = this.room(name);
    this.#take(room, inc, name, taken);
    return this.#release(room, inc, taken);
  }

  /** The last call for a room, after which its hash is empty. */
  endReap(inc: string, name: string): void {
    if (this.room(name).held.has(inc)) return;
    deleteFrom(this.roomsOf, inc, name);
    if (!this.roomsOf.has(inc)) this.dead.delete(inc);
  }

  /** All pages. @returns who left. */
  audit(name: string): readonly string[] {
    const room = this.room(name);
    const gone: string[] = [];
    for (const [user, member] of [...room.members]) {
      const holders = member.holders.filter((inc) => this.live.has(inc) || this.dead.has(inc));
      if (holders.length === 0) {
        room.members.delete(user);
        gone.push(user);
      } else {
        room.members.set(user, { ...member, holders });
      }
    }
    return gone;
  }

  /** Everything but times and versions, as one comparable text. */
  describe(): string {
    const lines = [
      `live ${[...this.live.keys()].toSorted().join(' ')}`,
      `dead ${[...this.dead].toSorted().join(' ')}`,
    ];
    for (const [inc, rooms] of this.roomsOf)
      lines.push(`rooms of ${inc}: ${[...rooms].toSorted().join(' ')}`);
    for (const [name, room] of this.rooms) {
      for (const [inc, users] of room.held)
        lines.push(`${name} by ${inc}: ${[...users].toSorted().join(' ')}`);
      for (const [user, { holders, state }] of room.members) {
        lines.push(`${name} has ${user} ${state} through ${holders.toSorted().join(' ')}`);
      }
    }
    return lines.toSorted().join('\n');
  }

  #take(room: RoomPresence, inc: string, name: string, users: readonly string[]): void {
    for (const user of users) deleteFrom(room.held, inc, user);
  }

  #release(room: RoomPresence, inc: string, users: readonly string[]): readonly string[] {
    const gone: string[] = [];
    for (const user of users) {
      const member = room.members.get(user);
      if (member === undefined) continue;
      const holders = member.holders.filter((holder) => holder !== inc);
      if (holders.length > 0) {
        room.members.set(user, { ...member, holders });
      } else {
        room.members.delete(user);
        gone.push(user);
      }
    }
    return gone;
  }
}

function setOf<K, V>(sets: Map<K, Set<V>>, key: K): Set<V> {
  const set = sets.get(key) ?? new Set<V>();
  sets.set(key, set);
  return set;
}

/** Redis has no empty sets and hashes. */
function deleteFrom<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}
