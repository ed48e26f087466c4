/**
 * What this node wants the presence store to say: how many of its connections
 * each user has in each room, and with which state. Pure desired state; the
 * writer (node/presence-writer.ts) makes the store agree, in any number of
 * tries. Last value wins.
 */
import type { LeftReason, PresenceSnapshot } from './member.ts';

/** One (room, user) this node answers for. */
export interface Holding {
  readonly room: string;
  readonly user: string;
  /** Live connections; 0 while the hold after a closed connection runs, or once the user is to be dropped. */
  connections: number;
  state: string;
  /** The user changed its state and the store has not been told. */
  stated: boolean;
  /**
   * State and `stated` from before the changes of state that no write has taken up yet; undefined where
   * there are none. What it is for: a change that was refused must not be written later after all.
   */
  former: FormerState | undefined;
  /** Set when the user is to be dropped. */
  leaving: LeftReason | undefined;
  /** The store may disagree with the above. */
  dirty: boolean;
  /** The place of a closed connection is held until this moment (Clock.now()), so that a reload shows nothing. */
  heldUntilMs: number | undefined;
  /** A version of the room that has what was written last; 0 where nothing was. Who asked for it is answered at no older one. */
  version: number;
}

export type FormerState = Pick<Holding, 'state' | 'stated'>;

export const NO_STATE = '{}';

export class PresenceLedger {
  /** Most rooms are a user's online state, with nobody else in them: a map for each would be 200 bytes of an idle connection. */
  readonly #rooms = new Map<string, Holding | Map<string, Holding>>();

  get(room: string, user: string): Holding | undefined {
    const held = this.#rooms.get(room);
    if (held instanceof Map) return held.get(user);
    return held?.user === user ? held : undefined;
  }

  /** One more connection of the user. A state given replaces the old one. */
  enter(room: string, user: string, state: string | undefined): Holding {
    const holding = this.get(room, user) ?? this.#create(room, user);
    const isNew = holding.connections === 0 && holding.heldUntilMs === undefined;
    // Who left and comes back is new: the state ended with the membership.
    if (holding.leaving) holding.state = NO_STATE;
    holding.connections += 1;
    holding.heldUntilMs = undefined;
    holding.leaving = undefined;
    if (isNew) holding.dirty = true;
    if (state !== undefined) this.state(holding, state);
    return holding;
  }

  state(holding: Holding, state: string): void {
    holding.former ??= { state: holding.state, stated: holding.stated };
    holding.state = state;
    holding.stated = true;
    holding.dirty = true;
  }

  /** A write takes up what is wanted now. Returns what to give to `restore` where it is certainly not applied. */
  takeUp(holding: Holding): FormerState | undefined {
    const { former } = holding;
    holding.dirty = false;
    holding.former = undefined;
    return former;
  }

  /** The store has what was taken up. */
  applied(holding: Holding, state: string, stated: boolean): void {
    if (stated && holding.state === state) holding.stated = false;
    // Changed meanwhile: what that goes back to is in the store.
    if (holding.former) holding.former.stated = false;
  }

  /** The store has not taken the changes since `former`, and who made them was told: they are not wanted any more. */
  restore(holding: Holding, former: FormerState | undefined): void {
    const before = former ?? holding.former;
    holding.former = undefined;
    if (!before || holding.leaving) return;
    holding.state = before.state;
    holding.stated = before.stated;
  }

  /** Another node's connection of the user changed the state: a later rebuild must write the newest. */
  heardState(room: string, user: string, state: string): void {
    const holding = this.get(room, user);
    if (holding && !holding.stated) holding.state = state;
  }

  /** The same of a snapshot: what was set while nothing was heard. */
  heardSnapshot(room: string, { version, members = [] }: PresenceSnapshot): void {
    for (const { user, state } of members) {
      const holding = this.get(room, user);
      // Written later than the snapshot was made, or changed since: of that it says nothing. In a rebuild the version is 0.
      const isNewer = holding && (holding.version > version || (holding.dirty && holding.version > 0));
      if (!isNewer) this.heardState(room, user, state);
    }
  }

  /**
   * One connection fewer. The last one to go ends membership at once, unless it only left and the place of
   * another, which is perhaps being reloaded, is held: through another node that one would be present too.
   */
  leave(room: string, user: string, reason: LeftReason): Holding | undefined {
    const holding = this.#without(room, user);
    const isHeld = holding?.heldUntilMs !== undefined && reason === 'left';
    if (holding && holding.connections === 0 && !isHeld) this.#drop(holding, reason);
    return holding;
  }

  /** One connection fewer, by a closed socket: its place is held until `untilMs`. */
  close(room: string, user: string, untilMs: number): Holding | undefined {
    const holding = this.#without(room, user);
    if (holding) holding.heldUntilMs = untilMs;
    return holding;
  }

  /** The hold of a closed connection ended without the user coming back. */
  expire(holding: Holding): void {
    if (holding.heldUntilMs === undefined) return;
    holding.heldUntilMs = undefined;
    if (holding.connections === 0) this.#drop(holding, 'closed');
  }

  /** The store was told to drop the user and nothing changed since. */
  forget(holding: Holding): void {
    const { room, user } = holding;
    if (this.get(room, user) !== holding) return;
    const held = this.#rooms.get(room);
    if (held instanceof Map && held.size > 1) held.delete(user);
    else this.#rooms.delete(room);
  }

  /** The store may have forgotten everything: all of it is to be written again. A state is not "changed" by that. */
  markAllDirty(): readonly Holding[] {
    const all: Holding[] = [];
    for (const room of this.#rooms.keys()) {
      for (const holding of this.#heldIn(room)) {
        holding.dirty = true;
        holding.version = 0;
        all.push(holding);
      }
    }
    return all;
  }

  rooms(): Iterable<string> {
    return this.#rooms.keys();
  }

  /** The users of a room that this node says are present, those in their hold included. */
  present(room: string): ReadonlySet<string> {
    const users = new Set<string>();
    for (const holding of this.#heldIn(room)) if (!holding.leaving) users.add(holding.user);
    return users;
  }

  #heldIn(room: string): Iterable<Holding> {
    const held = this.#rooms.get(room);
    if (held instanceof Map) return held.values();
    return held ? [held] : [];
  }

  #create(room: string, user: string): Holding {
    const holding: Holding = {
      room,
      user,
      connections: 0,
      state: NO_STATE,
      stated: false,
      former: undefined,
      leaving: undefined,
      dirty: false,
      heldUntilMs: undefined,
      version: 0,
    };
    const held = this.#rooms.get(room);
    if (held instanceof Map) held.set(user, holding);
    else if (held) this.#rooms.set(room, new Map([held, holding].map((one) => [one.user, one])));
    else this.#rooms.set(room, holding);
    return holding;
  }

  #without(room: string, user: string): Holding | undefined {
    const holding = this.get(room, user);
    if (!holding || holding.connections === 0) return undefined;
    holding.connections -= 1;
    return holding;
  }

  #drop(holding: Holding, reason: LeftReason): void {
    holding.heldUntilMs = undefined;
    holding.leaving = reason;
    // Not yet written, the state ends with the membership: without this, who comes back without one would
    // erase the state that the user has through another node.
    holding.stated = false;
    holding.former = undefined;
    holding.dirty = true;
  }
}
