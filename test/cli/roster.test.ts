/** Who is in a room, out of snapshots and diffs that may not fit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Roster } from '../../src/cli/roster.ts';
import type { PresenceFrame } from '../../src/protocol/messages.ts';

const member = (user: string, state = {}) => ({ user, state, since: 1 });
const snapshot = (version: number, ...users: string[]): PresenceFrame => ({
  type: 'presence',
  room: 'r',
  version,
  count: users.length,
  members: users.map((user) => member(user)),
});
const diff = (previous: number, version: number, change: object): PresenceFrame => ({
  type: 'presence',
  room: 'r',
  version,
  previous,
  count: 0,
  ...change,
});

describe('a roster', () => {
  it('takes a snapshot, then diffs in a chain', () => {
    const roster = new Roster();
    expect(roster.apply(snapshot(1, 'a', 'b'))).toHaveLength(2);
    expect(
      roster.apply(diff(1, 2, { joined: [member('c')], left: [{ user: 'a', reason: 'closed' }] })),
    ).toEqual([
      { change: 'left', user: 'a', reason: 'closed' },
      { change: 'joined', user: 'c', state: {}, since: 1 },
    ]);
    expect(roster.apply(diff(2, 3, { updated: [{ user: 'b', state: { away: true } }] }))).toHaveLength(1);
    expect(roster.members).toEqual([member('b', { away: true }), member('c')]);
  });

  it('ignores the diff that its own join brought, and asks where one does not fit', () => {
    const roster = new Roster();
    roster.apply(snapshot(5, 'a'));
    expect(roster.apply(diff(4, 5, { joined: [member('a')] }))).toEqual([]);
    expect(roster.apply(diff(6, 7, { joined: [member('b')] }))).toBeUndefined();
    expect(roster.members).toEqual([member('a')]);
  });

  it('says what a later snapshot changed, leavers without a reason', () => {
    const roster = new Roster();
    roster.apply(snapshot(1, 'a', 'b'));
    expect(roster.apply(snapshot(9, 'b', 'c'))).toEqual([
      { change: 'left', user: 'a' },
      { change: 'joined', user: 'c', state: {}, since: 1 },
    ]);
  });

  it('trusts no diff after a bare count', () => {
    const roster = new Roster();
    roster.apply(snapshot(1, 'a'));
    expect(roster.apply({ type: 'presence', room: 'r', version: 2, count: 1001 })).toEqual([
      { change: 'count', count: 1001 },
    ]);
    for (const previous of [1, 2]) {
      expect(roster.apply(diff(previous, 3, { left: [{ user: 'a', reason: 'left' }] }))).toBeUndefined();
    }
  });

  it('ends up with the same members from any two snapshots as from the second alone', () => {
    const users = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__', 'constructor'));
    fc.assert(
      fc.property(users, users, (before, after) => {
        const roster = new Roster();
        roster.apply(snapshot(1, ...before));
        const changes = roster.apply(snapshot(2, ...after)) ?? [];
        expect(roster.members.map((one) => one.user)).toEqual(after);
        expect(changes.length).toBe(
          before.filter((user) => !after.includes(user)).length +
            after.filter((user) => !before.includes(user)).length,
        );
      }),
    );
  });
});
