/**
 * Who is in a room, kept from a snapshot and the diffs after it. A diff applies to one version only; any
 * other means that something was not seen, and the caller has to ask for a snapshot again.
 */
import type { JoinedFrame, OkPresenceFrame, PresenceFrame } from '../protocol/messages.ts';

export interface Member {
  readonly user: string;
  readonly state: object;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export type Change =
  | { readonly change: 'joined'; readonly user: string; readonly state: object; readonly since: number }
  /** Without a reason where it was missed and shows only in a later snapshot. */
  | { readonly change: 'left'; readonly user: string; readonly reason?: string }
  | { readonly change: 'updated'; readonly user: string; readonly state: object }
  /** The room is too full to list: only the number is known. */
  | { readonly change: 'count'; readonly count: number };

export class Roster {
  readonly #members = new Map<string, Member>();
  #version: number | undefined;

  get members(): Member[] {
    return [...this.#members.values()];
  }

  /** What changed, or undefined where the frame does not fit and a snapshot is needed. */
  apply(frame: JoinedFrame | PresenceFrame | OkPresenceFrame): Change[] | undefined {
    if ('members' in frame && frame.members !== undefined) {
      this.#version = frame.version;
      return this.#replace(frame.members);
    }
    if ('previous' in frame) return this.#applyDiff(frame);
    // A count: members are no longer known, so no diff may apply until the next snapshot.
    this.#version = undefined;
    return [{ change: 'count', count: frame.count ?? 0 }];
  }

  #applyDiff(frame: Extract<PresenceFrame, { previous: number }>): Change[] | undefined {
    if (frame.version === this.#version) return []; // already in the snapshot that `joined` brought
    if (frame.previous !== this.#version) return undefined;
    this.#version = frame.version;
    const changes: Change[] = [];
    for (const { user, reason } of frame.left ?? []) {
      this.#members.delete(user);
      changes.push({ change: 'left', user, reason });
    }
    for (const { user, state, since } of frame.joined ?? []) {
      this.#members.set(user, { user, state, since });
      changes.push({ change: 'joined', user, state, since });
    }
    for (const { user, state } of frame.updated ?? []) {
      const member = this.#members.get(user);
      if (member !== undefined) this.#members.set(user, { ...member, state });
      changes.push({ change: 'updated', user, state });
    }
    return changes;
  }

  #replace(members: readonly Member[]): Change[] {
    const changes: Change[] = [];
    const now = new Map(members.map((member) => [member.user, member]));
    for (const user of this.#members.keys()) {
      if (!now.has(user)) changes.push({ change: 'left', user });
    }
    for (const member of members) {
      const before = this.#members.get(member.user);
      if (before === undefined)
        changes.push({ change: 'joined', user: member.user, state: member.state, since: member.since });
      else if (JSON.stringify(before.state) !== JSON.stringify(member.state)) {
        changes.push({ change: 'updated', user: member.user, state: member.state });
      }
    }
    this.#members.clear();
    for (const [user, member] of now) this.#members.set(user, member);
    return changes;
  }
}
