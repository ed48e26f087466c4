/**
 * The presence port: who is anywhere. A user with many connections on many
 * nodes is one member of a room; the store counts nodes ("holders"), each node
 * counts its own connections (node/presence.ts).
 *
 * Writes are level-triggered: "this node has the user" and "this node no longer
 * has the user" may be repeated any number of times with the same result, so a
 * write whose outcome is unknown is simply written again. Changes come back to
 * every node through `BrokerEvents.presence`, each naming the version before it:
 * a chain that breaks is a gap, and a snapshot mends it.
 */
import type { LeftReason, PresenceSnapshot } from '../core/member.ts';

export type { LeftReason, Member, PresenceChange, PresenceSnapshot } from '../core/member.ts';

export interface PresenceEvents {
  /**
   * The store forgot this node, or may have (fenced after a freeze, emptied,
   * restarted, failed over): every local (room, user) must be held again. The
   * node answers from what it has, not from what the store says. A promise tells
   * that all of it was tried: in the rooms not held again the node has nobody.
   */
  rebuild(): void | Promise<void>;
}

export interface PresenceStore {
  /** Begins to hold this node's lease and to reap dead nodes. */
  start(events: PresenceEvents): void;
  /**
   * Gives the lease up. What is still held is reaped by the peers after the
   * hold time, when clients have come back elsewhere: a clean stop shows no flap.
   */
  stop(): Promise<void>;

  /**
   * "This node has the user in the room." With `stated` the state replaces the
   * member's; otherwise it is used only where the user is new. Resolves to the
   * room's version after it; rejects with `unavailable` (not applied) or
   * `unknown_outcome` (write it again: by the time it rejects, the first write can no longer land).
   */
  hold(room: string, user: string, state: string, stated: boolean): Promise<number>;
  /** "This node no longer has the user in the room." Same promises as `hold`. */
  drop(room: string, user: string, reason: LeftReason): Promise<number>;
  /** Everybody in the room, in one atomic read. */
  snapshot(room: string, limit: number): Promise<PresenceSnapshot>;
  /**
   * Tells that this node has `count` connections of the user; resolves to the sum over
   * all living nodes. An unreachable store resolves to `count` alone: a limit must not refuse people because Redis is away.
   */
  countConnections(user: string, count: number): Promise<number>;
  /** After a rebuild: drops from the room what the store believes this node holds and `users` does not contain, and holders that no longer exist. */
  reconcile(room: string, users: ReadonlySet<string>): Promise<void>;
}
