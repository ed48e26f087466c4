/**
 * What a node does with presence changes, in its plainest form: follow the chain
 * of versions and keep the members. If that and a snapshot differ at the same
 * version, one of the two is wrong.
 */
import { expect } from 'vitest';
import type { Member, PresenceChange, PresenceSnapshot, PresenceStore } from '../../src/broker/presence.ts';
import type { StoreNode } from './store-fixture.ts';
import { newRoom } from './store-fixture.ts';

/** A room of its own that the node hears. */
export async function watchedRoom(node: StoreNode): Promise<string> {
  const room = newRoom('presence');
  await node.broker.subscribe(room);
  return room;
}

export async function stateOf(
  presence: PresenceStore,
  room: string,
  user: string,
): Promise<string | undefined> {
  const { members } = await presence.snapshot(room, 10_000);
  return members?.find((member) => member.user === user)?.state;
}

/** Members after the changes up to `version`, by user. Checks the chain, and that joins, updates and leaves fit who is there. */
export function replay(changes: readonly PresenceChange[], version: number): Map<string, Member> {
  const members = new Map<string, Member>();
  let last = 0;
  for (const change of changes) {
    expect(change.previous, 'the version before').toBe(last);
    expect(change.version, 'versions grow').toBeGreaterThan(last);
    if (change.version > version) break;
    last = change.version;
    if (change.kind === 'left') {
      for (const user of change.users) expect(members.delete(user), `${user} was there to leave`).toBe(true);
      continue;
    }
    const { user } = change.member;
    expect(members.has(user), `${user}: ${change.kind}`).toBe(change.kind === 'updated');
    members.set(user, change.member);
  }
  expect(last, 'the version of the snapshot was told').toBe(version);
  return members;
}

export function sameMembers(snapshot: PresenceSnapshot, members: ReadonlyMap<string, Member>): void {
  expect(snapshot.count).toBe(members.size);
  expect(new Map(snapshot.members?.map((member) => [member.user, member]))).toEqual(members);
}
