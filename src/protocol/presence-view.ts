/**
 * What a client knows of who is in a room, and how one frame changes it. Pure:
 * the same view and frame always give the same answer, so it runs in browsers,
 * on the server's tests and in a debugger alike.
 *
 * A view is right or it is not kept. Every diff names the version it applies
 * to; where that is not the one held, or where the result does not have the
 * number of members the server counted, the answer is 'ask': keep the old view,
 * send one `presence` request (one, however many frames answer 'ask' meanwhile)
 * and apply its reply like a snapshot.
 */
import type { JsonObject } from './fields.ts';

export interface PresenceMember {
  readonly user: string;
  readonly state: JsonObject;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export interface PresenceView {
  /** Opaque: compare for equality only. */
  readonly version: number;
  /** Users, not connections. */
  readonly count: number;
  /** null where the server tells only the count: by choice of the join, or because the room is large. */
  readonly members: ReadonlyMap<string, PresenceMember> | null;
}

/** What frames of four kinds have in common: `joined`, the reply to `presence`, and `presence` in its three forms. */
export interface PresenceNews {
  readonly version: number;
  readonly count: number;
  readonly members?: readonly PresenceMember[] | undefined;
  readonly previous?: number | undefined;
  readonly joined?: readonly PresenceMember[] | undefined;
  readonly left?: readonly { readonly user: string }[] | undefined;
  readonly updated?: readonly { readonly user: string; readonly state: JsonObject }[] | undefined;
}

/** `view` is undefined before the first `joined`. */
export function applyPresence(view: PresenceView | undefined, news: PresenceNews): PresenceView | 'ask' {
  const { version, count, members, previous } = news;
  if (members) {
    // The same version with members where we had none is a room that became small enough to list again.
    if (view?.version === version && view.members) return view;
    return { version, count, members: new Map(members.map((member) => [member.user, member])) };
  }
  if (view?.version === version) return view;
  if (previous === undefined) return { version, count, members: null };
  if (!view?.members || view.version !== previous) return 'ask';
  return applyDiff(view.members, news);
}

/** Left, then joined, then updated: the one order in which every diff the server makes is right. */
function applyDiff(before: ReadonlyMap<string, PresenceMember>, diff: PresenceNews): PresenceView | 'ask' {
  const members = new Map(before);
  for (const { user } of diff.left ?? []) members.delete(user);
  for (const member of diff.joined ?? []) members.set(member.user, member);
  for (const { user, state } of diff.updated ?? []) {
    const member = members.get(user);
    if (!member) return 'ask';
    members.set(user, { ...member, state });
  }
  if (members.size !== diff.count) return 'ask';
  return { version: diff.version, count: diff.count, members };
}
