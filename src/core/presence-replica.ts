/**
 * A node's copy of who is in one room. It is true because every change names
 * the version before it: where the chain breaks the copy stops being used until
 * a snapshot from the store mends it. Pure; told changes and snapshots, it
 * answers with the diffs members must be told.
 *
 * Changes of one window are merged into segments. A segment never holds two
 * changes of a user that depend on their order (joined and left): a leave must
 * not cancel a join, since every member is promised the same history.
 */
import type { LeftReason, Member, PresenceChange, PresenceSnapshot } from './member.ts';

export interface ReplicaLimits {
  /** Above it only the count is kept and told. */
  readonly limitPresenceMembers: number;
  /** At or below it members are told again. */
  readonly limitPresenceResume: number;
}

/** Changes to be told in one `presence` frame. */
export interface PresenceSegment {
  readonly previous: number;
  version: number;
  /** Users present after it. */
  count: number;
  readonly joined: Map<string, Member>;
  readonly left: Map<string, LeftReason>;
  readonly updated: Map<string, Member>;
}

/** `applied`: part of the next window. `old`: already known. `gap`: a snapshot is due. */
export type Applied = 'applied' | 'old' | 'gap';

/** Changes held back while a snapshot is read; more than this and the snapshot is read again instead. */
const HELD_MAX = 1000;

export class PresenceReplica {
  readonly #limits: ReplicaLimits;
  /** undefined: not loaded, or the chain broke. */
  #version: number | undefined;
  #count = 0;
  /** null while only counting. */
  #members: Map<string, Member> | null = null;
  /** The members as a list, for as long as nobody comes, goes or changes: the joiners of one moment share it. */
  #listed: readonly Member[] | undefined;
  #segments: PresenceSegment[] = [];
  #sealed = false;
  #held: PresenceChange[] = [];
  #heldTooMany = false;

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
  }

  /** The version of this copy, or undefined where it cannot be trusted. */
  get version(): number | undefined {
    return this.#version;
  }

  get hasPending(): boolean {
    return this.#segments.length > 0;
  }

  /** The copy as a snapshot: `members` is absent while only counting. */
  get view(): PresenceSnapshot {
    const base = { version: this.#version ?? 0, count: this.#count };
    if (!this.#members) return base;
    this.#listed ??= [...this.#members.values()];
    return { ...base, members: this.#listed };
  }

  /** Whether there are too many members to keep and tell who they are. */
  get isCounting(): boolean {
    return this.#members === null;
  }

  /** True where so few are left of a big room that members can be told again: a snapshot is due. */
  get canResume(): boolean {
    return (
      this.#version !== undefined && this.#members === null && this.#count <= this.#limits.limitPresenceResume
    );
  }

  apply(change: PresenceChange): Applied {
    if (this.#version === undefined) {
      this.#hold(change);
      return 'gap';
    }
    if (change.version <= this.#version) return 'old';
    if (change.previous !== this.#version) {
      this.invalidate();
      this.#hold(change);
      return 'gap';
    }
    this.#change(change);
    return 'applied';
  }

  /** The chain broke or may have: changes are held until a snapshot comes. What was not yet told is contained in it. */
  invalidate(): void {
    this.#version = undefined;
    this.#segments = [];
    this.#held = [];
    this.#heldTooMany = false;
  }

  /** Takes a snapshot of the store. False where what was heard meanwhile does not join on: read another. */
  load(snapshot: PresenceSnapshot): boolean {
    const held = this.#held;
    const incomplete = this.#heldTooMany;
    this.invalidate();
    if (incomplete) return false;
    this.#version = snapshot.version;
    this.#count = snapshot.count;
    this.#listed = undefined;
    this.#members = snapshot.members
      ? new Map(snapshot.members.map((member) => [member.user, member]))
      : null;
    for (const change of held) if (this.apply(change) === 'gap') return false;
    // The members are told a whole snapshot now; the held changes are part of it.
    this.#segments = [];
    return true;
  }

  /** A joiner was given this version: what comes after must be told as a frame that begins there. */
  seal(): void {
    // Counts are no steps, and from counting on the next frame of members is a snapshot.
    if (!this.isCounting) this.#sealed = true;
  }

  /** The segments of the window that ends now, oldest first. */
  takeWindow(): readonly PresenceSegment[] {
    const segments = this.#segments;
    this.#segments = [];
    this.#sealed = false;
    return segments;
  }

  #change(change: PresenceChange): void {
    const segment = this.#segmentFor(change);
    this.#listed = undefined;
    if (change.kind === 'joined') {
      this.#members?.set(change.member.user, change.member);
      this.#count += 1;
      segment.joined.set(change.member.user, change.member);
    } else if (change.kind === 'updated') {
      this.#members?.set(change.member.user, change.member);
      segment.updated.set(change.member.user, change.member);
    } else {
      for (const user of change.users) {
        this.#members?.delete(user);
        segment.left.set(user, change.reason);
      }
      this.#count = Math.max(0, this.#count - change.users.length);
    }
    this.#version = change.version;
    segment.version = change.version;
    segment.count = this.#count;
    if (this.#limits.limitPresenceMembers > 0 && this.#count > this.#limits.limitPresenceMembers)
      this.#members = null;
  }

  #segmentFor(change: PresenceChange): PresenceSegment {
    const last = this.#segments[this.#segments.length - 1];
    if (last && !this.#sealed && !dependsOn(last, change)) return last;
    this.#sealed = false;
    const segment: PresenceSegment = {
      previous: change.previous,
      version: change.version,
      count: this.#count,
      joined: new Map(),
      left: new Map(),
      updated: new Map(),
    };
    this.#segments.push(segment);
    return segment;
  }

  #hold(change: PresenceChange): void {
    if (this.#held.length >= HELD_MAX) {
      this.#heldTooMany = true;
      this.#held = [];
      return;
    }
    this.#held.push(change);
  }
}

/**
 * The segments of a window for those who were there before it: cut where an order
 * must be kept, but not where a joiner was given a version in between. Without
 * this, a storm of joins is one frame per join for everybody.
 */
export function merged(segments: readonly PresenceSegment[]): readonly PresenceSegment[] {
  const whole: PresenceSegment[] = [];
  for (const next of segments) {
    const last = whole[whole.length - 1];
    if (last && !keepsOrder(last, next)) absorb(last, next);
    else {
      const { joined, left, updated } = next;
      whole.push({ ...next, joined: new Map(joined), left: new Map(left), updated: new Map(updated) });
    }
  }
  return whole;
}

function keepsOrder(last: PresenceSegment, next: PresenceSegment): boolean {
  const came = [...next.joined.keys(), ...next.updated.keys()];
  if (came.some((user) => last.left.has(user))) return true;
  return [...next.left.keys()].some((user) => last.joined.has(user) || last.updated.has(user));
}

function absorb(last: PresenceSegment, next: PresenceSegment): void {
  last.version = next.version;
  last.count = next.count;
  for (const [user, member] of next.joined) last.joined.set(user, member);
  for (const [user, reason] of next.left) last.left.set(user, reason);
  for (const [user, member] of next.updated) last.updated.set(user, member);
}

function dependsOn(segment: PresenceSegment, change: PresenceChange): boolean {
  if (change.kind === 'joined') return segment.left.has(change.member.user);
  if (change.kind === 'updated') return segment.left.has(change.member.user);
  return change.users.some((user) => segment.joined.has(user) || segment.updated.has(user));
}
