/**
 * Who is in a room, kept by version, and what changed from one view to the next. Pure. Which frames may be
 * applied is decided in src/protocol/presence-view.ts; here a snapshot and a diff come out as the same kind
 * of change, so that an application never has to tell them apart, nor a reconnect from a quiet minute.
 */
import { applyPresence, type PresenceNews, type PresenceView } from '../protocol/presence-view.ts';
import type { Member, PresenceChange } from './api.ts';

export const NOBODY: ReadonlyMap<string, Member> = new Map();

export interface Seen {
  readonly view: PresenceView;
  /** Undefined where nothing changed. */
  readonly change: PresenceChange | undefined;
}

/** 'ask': the news do not fit what is held, the snapshot is needed. */
export function seePresence(
  before: PresenceView | undefined,
  news: PresenceNews & { readonly left?: PresenceChange['left'] },
): Seen | 'ask' {
  const view = applyPresence(before, news);
  return view === 'ask' ? view : { view, change: difference(before, view, news.left ?? []) };
}

function difference(
  before: PresenceView | undefined,
  after: PresenceView,
  reasons: PresenceChange['left'],
): PresenceChange | undefined {
  const [old, now] = [before?.members ?? NOBODY, after.members ?? NOBODY];
  const joined = [...now.values()].filter(({ user }) => !old.has(user));
  const updated = [...now.values()].filter((member) => {
    const held = old.get(member.user);
    // Members that a diff does not touch are the same objects; those of a snapshot are compared by content.
    return held && held !== member && JSON.stringify(held.state) !== JSON.stringify(member.state);
  });
  // A room that grew too large to list has not been left by everybody.
  const left = after.members
    ? [...old.keys()]
        .filter((user) => !now.has(user))
        .map((user) => reasons.find((one) => one.user === user) ?? { user })
    : [];
  const changes = joined.length + updated.length + left.length;
  if (changes || before?.count !== after.count) return { count: after.count, joined, left, updated };
  return undefined;
}
