/**
 * The hub: who is here, on this node. Sessions by connection and by user,
 * subscriptions by room. Pure bookkeeping; an empty set is deleted at once,
 * because rooms and users come and go by the million.
 */
import type { Session, Subscription } from './session.ts';

export class Hub {
  readonly #sessions = new Map<string, Session>();
  /** Nearly every user has one connection: a set for each would be 240 bytes of an idle one. */
  readonly #users = new Map<string, Session | Set<Session>>();
  readonly #rooms = new Map<string, Set<Subscription>>();

  get connections(): number {
    return this.#sessions.size;
  }

  get rooms(): number {
    return this.#rooms.size;
  }

  add(session: Session): void {
    this.#sessions.set(session.id, session);
    const present = this.#users.get(session.user);
    if (present instanceof Set) present.add(session);
    else this.#users.set(session.user, present ? new Set([present, session]) : session);
  }

  /** Forgets the session. The rooms it is in are left one by one. */
  remove(session: Session): void {
    if (!this.#sessions.delete(session.id)) return;
    const present = this.#users.get(session.user);
    if (present instanceof Set && present.size > 1) present.delete(session);
    else this.#users.delete(session.user);
  }

  /** Makes the subscription the session's one and only in its room. */
  join(subscription: Subscription): void {
    const { session, room } = subscription;
    this.leave(session, room);
    session.subscriptions.set(room, subscription);
    const members = this.#rooms.get(room);
    if (members) members.add(subscription);
    else this.#rooms.set(room, new Set([subscription]));
  }

  leave(session: Session, room: string): boolean {
    const subscription = session.subscriptions.get(room);
    if (!subscription) return false;
    session.subscriptions.delete(room);
    const members = this.#rooms.get(room);
    members?.delete(subscription);
    if (members?.size === 0) this.#rooms.delete(room);
    return true;
  }

  session(connection: string): Session | undefined {
    return this.#sessions.get(connection);
  }

  sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** How many connections of the user this node holds. */
  connectionsOf(user: string): number {
    const present = this.#users.get(user);
    if (present instanceof Set) return present.size;
    return present ? 1 : 0;
  }

  members(room: string): ReadonlySet<Subscription> {
    return this.#rooms.get(room) ?? NOBODY;
  }
}

const NOBODY: ReadonlySet<Subscription> = new Set();
