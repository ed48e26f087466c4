/**
 * Who is in a room, as values: a member, a change, a snapshot. Shared by the
 * presence port, which writes and reads them, and by the pure replica each node
 * keeps of its rooms.
 */

/** Why a member is gone; the wire's `reason` in `presence.left`. */
export type LeftReason = 'left' | 'closed' | 'node_lost' | 'kicked' | 'expired';

export interface Member {
  readonly user: string;
  /** JSON text of an object, `{}` where the user never set one. */
  readonly state: string;
  /** Milliseconds since 1970, by the clock of the store. */
  readonly since: number;
}

/** One change of one room. Versions grow for ever, also across a store that lost its data. */
export type PresenceChange = {
  /** The version this change applies to. */
  readonly previous: number;
  readonly version: number;
} & (
  | { readonly kind: 'joined'; readonly member: Member }
  | { readonly kind: 'updated'; readonly member: Member }
  | { readonly kind: 'left'; readonly users: readonly string[]; readonly reason: LeftReason }
);

export interface PresenceSnapshot {
  readonly version: number;
  /** Users, not connections. */
  readonly count: number;
  /** Absent where `count` is above the limit asked for. */
  readonly members?: readonly Member[];
}
