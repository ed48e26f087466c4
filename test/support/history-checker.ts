/**
 * Checks the recorded histories of many clients against the promises of the
 * protocol. Pure: what publishers were told and what members received, in; a
 * list of broken promises, out. The names are those of the usual checkers of
 * ordered logs: agreement, contiguity, no lost acknowledgement, publisher order.
 */
export interface Published {
  readonly room: string;
  readonly publisher: string;
  /** The publisher's own count: its messages of a room are numbered in the order it sent them. */
  readonly number: number;
  readonly id: string;
  /** Present where it was acknowledged. */
  readonly ok?: { readonly epoch: string; readonly seq: number };
}

export interface Received {
  readonly room: string;
  readonly member: string;
  readonly epoch: string;
  readonly seq: number;
  readonly id: string;
}

export interface Membership {
  readonly room: string;
  readonly member: string;
  /** Position of joining: what is after it must be received. */
  readonly joinedSeq: number;
}

const SHOWN_MAX = 20;

/** Empty where every promise was kept. */
export function brokenPromises(
  published: readonly Published[],
  received: readonly Received[],
  memberships: readonly Membership[],
): string[] {
  const broken = [
    ...agreement(published, received),
    ...contiguity(received, memberships),
    ...lostAcknowledgements(published, received, memberships),
    ...publisherOrder(published, received),
  ];
  return broken.slice(0, SHOWN_MAX);
}

/** One (room, epoch, seq) is one message, for all who received it and for who was told `ok`. */
function agreement(published: readonly Published[], received: readonly Received[]): string[] {
  const ids = new Map<string, string>();
  const broken: string[] = [];
  const claim = (at: string, id: string, who: string) => {
    const known = ids.get(at);
    if (known === undefined) ids.set(at, id);
    else if (known !== id) broken.push(`agreement: ${who} has ${id} at ${at}, others ${known}`);
  };
  for (const { room, epoch, seq, id, member } of received) claim(`${room} ${epoch} ${seq}`, id, member);
  for (const { room, ok, id, publisher } of published)
    if (ok) claim(`${room} ${ok.epoch} ${ok.seq}`, id, publisher);
  return broken;
}

/** Per member: seq +1 each time, from where it joined; so nothing is missing in between and nothing comes twice. */
function contiguity(received: readonly Received[], memberships: readonly Membership[]): string[] {
  const at = new Map(memberships.map((m) => [`${m.room} ${m.member}`, m.joinedSeq]));
  const broken: string[] = [];
  for (const { room, member, seq } of received) {
    const key = `${room} ${member}`;
    const last = at.get(key);
    if (last === undefined) broken.push(`contiguity: ${member} received of ${room} without being in it`);
    else if (seq !== last + 1) broken.push(`contiguity: ${member} got ${seq} of ${room} after ${last}`);
    at.set(key, seq);
  }
  return broken;
}

function lostAcknowledgements(
  published: readonly Published[],
  received: readonly Received[],
  memberships: readonly Membership[],
): string[] {
  const got = new Set(received.map((r) => `${r.room} ${r.member} ${r.id}`));
  const membersOf = new Map<string, Membership[]>();
  for (const membership of memberships) {
    const members = membersOf.get(membership.room) ?? [];
    members.push(membership);
    membersOf.set(membership.room, members);
  }
  const broken: string[] = [];
  for (const { room, id, ok } of published) {
    if (!ok) continue;
    for (const { member, joinedSeq } of membersOf.get(room) ?? []) {
      if (ok.seq <= joinedSeq || got.has(`${room} ${member} ${id}`)) continue;
      broken.push(`lost: ${id} was acknowledged in ${room} at ${ok.seq}, ${member} never got it`);
    }
  }
  return broken;
}

/** A publisher's messages keep their order within a room, for every member. */
function publisherOrder(published: readonly Published[], received: readonly Received[]): string[] {
  const numbers = new Map(published.map((p) => [p.id, p]));
  const last = new Map<string, number>();
  const broken: string[] = [];
  for (const { room, member, id } of received) {
    const source = numbers.get(id);
    if (!source) {
      broken.push(`invented: ${member} got ${id}, which nobody published`);
      continue;
    }
    const key = `${room} ${member} ${source.publisher}`;
    const before = last.get(key) ?? -1;
    if (source.number <= before)
      broken.push(`order: ${member} got ${source.number} of ${source.publisher} after ${before}`);
    last.set(key, source.number);
  }
  return broken;
}
