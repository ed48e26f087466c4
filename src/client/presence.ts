/**
 * Who is in a room, kept by version, and what changed from one view to the next. Pure. Which frames may be
 * applied is decided in src/protocol/presence-view.ts; here a snapshot and a diff come out as the same kind
 * of change, so that an application never has to tell them apart, nor a reconnect from a quiet minute.
 */
import type { PresenceView } from '../protocol/presence-view.ts';
import type { Member, PresenceChange } from './api.ts';
import { encode } from './json.ts';

export const NOBODY: ReadonlyMap<string, Member> = new Map();

/** Undefined where nothing changed. `reasons` are those of the frame that led to `after`. */
export function difference(
  before: PresenceView | undefined,
  after: PresenceView,
  reasons: PresenceChange['left'] = [],
): PresenceChange | undefined {
  const old = before?.members ?? NOBODY;
  const now = after.members ?? NOBODY;
  const joined: Member[] = [];
  const updated: Member[] = [];
  for (const member of now.values()) {
    const held = old.get(member.user);
    if (!held) joined.push(member);
    // Members that a diff does not touch are the same objects; those of a snapshot are compared by content.
    else if (held !== member && encode(held.state) !== encode(member.state)) updated.push(member);
  }
  // A room that grew too large to list has not been left by everybody.
  const left: PresenceChange['left'][number][] = [];
  for (const user of after.members ? old.keys() : []) {
    if (!now.has(user)) left.push(reasons.find((one) => one.user === user) ?? { user });
  }
  const { count } = after;
  if (joined.length + updated.length + left.length || before?.count !== count) {
    return { count, joined, left, updated };
  }
  return undefined;
}
