/**
 * Who is in a room, kept by version, and what changed from one view to the next. Pure. Which frames may be
 * applied is decided in src/protocol/presence-view.ts; here a snapshot and a diff come out as the same kind
 * of change, so that an application never has to tell them apart, nor a reconnect from a quiet minute.
 */
import { applyPresence, type PresenceNews, type PresenceView } from '../protocol/presence-view.ts';
import type { Member, PresenceChange } from './api.ts';

const NOBODY: ReadonlyMap<string, Member> = new Map();

export class Presence {
  #view: PresenceView | undefined;

  get members(): ReadonlyMap<string, Member> {
    return this.#view?.members ?? NOBODY;
  }

  get count(): number {
    return this.#view?.count ?? 0;
  }

  /** The change, undefined where there is none, or 'ask': the snapshot is needed. */
  apply(news: PresenceNews & { readonly left?: PresenceChange['left'] }): PresenceChange | undefined | 'ask' {
    const before = this.#view;
    const after = applyPresence(before, news);
    if (after === 'ask' || after === before) return after === 'ask' ? after : undefined;
    this.#view = after;
    return difference(before, after, news.left ?? []);
  }
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
  const changed = joined.length + updated.length + left.length > 0 || before?.count !== after.count;
  return changed ? { count: after.count, joined, left, updated } : undefined;
}
