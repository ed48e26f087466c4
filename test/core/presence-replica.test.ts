import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeftReason, Member, PresenceChange, PresenceSnapshot } from '../../src/core/member.ts';
import { merged, PresenceReplica, type PresenceSegment } from '../../src/core/presence-replica.ts';
import { applyPresence, type PresenceMember, type PresenceView } from '../../src/protocol/presence-view.ts';

const LIMITS = { limitPresenceMembers: 1000, limitPresenceResume: 900 };

function member(user: string, state = '{}'): Member {
  return { user, state, since: 1 };
}

function joined(previous: number, user: string, state?: string): PresenceChange {
  return { kind: 'joined', previous, version: previous + 1, member: member(user, state) };
}

function updated(previous: number, user: string, state: string): PresenceChange {
  return { kind: 'updated', previous, version: previous + 1, member: member(user, state) };
}

function left(previous: number, users: string[], reason: LeftReason = 'left'): PresenceChange {
  return { kind: 'left', previous, version: previous + 1, users, reason };
}

function snapshot(version: number, ...users: string[]): PresenceSnapshot {
  return { version, count: users.length, members: users.map((user) => member(user)) };
}

function loaded(version: number, ...users: string[]): PresenceReplica {
  const replica = new PresenceReplica(LIMITS);
  replica.load(snapshot(version, ...users));
  return replica;
}

function users(replica: PresenceReplica): string[] | undefined {
  return replica.view.members?.map((each) => each.user).sort();
}

function shown(segments: readonly PresenceSegment[]) {
  return segments.map((segment) => ({
    from: segment.previous,
    to: segment.version,
    count: segment.count,
    joined: [...segment.joined.keys()],
    left: [...segment.left.keys()],
    updated: [...segment.updated.keys()],
  }));
}

describe('the chain of versions', () => {
  it('begins with a snapshot', () => {
    const replica = new PresenceReplica(LIMITS);
    expect(replica.version).toBeUndefined();
    expect(replica.load(snapshot(7, 'ann'))).toBe(true);
    expect(replica.version).toBe(7);
    expect(replica.view).toEqual(snapshot(7, 'ann'));
  });

  it('applies what follows on', () => {
    const replica = loaded(7, 'ann');
    expect(replica.apply(joined(7, 'bob'))).toBe('applied');
    expect(replica.apply(left(8, ['ann']))).toBe('applied');
    expect(replica.view).toEqual(snapshot(9, 'bob'));
  });

  it('passes over what it knows already', () => {
    const replica = loaded(7, 'ann');
    expect(replica.apply(joined(5, 'ann'))).toBe('old');
    expect(replica.apply(joined(6, 'ann'))).toBe('old');
    expect(replica.view.count).toBe(1);
    expect(replica.hasPending).toBe(false);
  });

  it('breaks at a hole, and is not used until a snapshot mends it', () => {
    const replica = loaded(7, 'ann');
    expect(replica.apply(joined(8, 'eve'))).toBe('gap');
    expect(replica.version).toBeUndefined();
    expect(replica.load(snapshot(8, 'ann', 'bob'))).toBe(true);
    // What broke the chain was held and joins on to the snapshot.
    expect(users(replica)).toEqual(['ann', 'bob', 'eve']);
    expect(replica.version).toBe(9);
  });
});

describe('while a snapshot is read', () => {
  it('changes are held, and those the snapshot contains are passed over', () => {
    const replica = new PresenceReplica(LIMITS);
    for (const change of [joined(4, 'a'), joined(5, 'b'), left(6, ['a'])])
      expect(replica.apply(change)).toBe('gap');
    expect(replica.load(snapshot(6, 'a', 'b'))).toBe(true);
    expect(users(replica)).toEqual(['b']);
    expect(replica.version).toBe(7);
  });

  it('changes that do not join on to the snapshot mean another snapshot', () => {
    const replica = new PresenceReplica(LIMITS);
    replica.apply(joined(9, 'eve'));
    expect(replica.load(snapshot(6, 'a'))).toBe(false);
    expect(replica.version).toBeUndefined();
    expect(replica.load(snapshot(10, 'a', 'eve'))).toBe(true);
    expect(replica.version).toBe(10);
  });

  it('more changes than are held mean another snapshot, and the next one is good', () => {
    const replica = new PresenceReplica(LIMITS);
    for (let at = 0; at < 1001; at += 1) replica.apply(joined(at, `user ${at}`));
    expect(replica.load(snapshot(0))).toBe(false);
    expect(replica.load(snapshot(1001))).toBe(true);
  });

  it('exactly as many changes as are held are applied', () => {
    const replica = new PresenceReplica(LIMITS);
    for (let at = 0; at < 1000; at += 1) replica.apply(at % 2 ? left(at, ['x']) : joined(at, 'x'));
    expect(replica.load(snapshot(0))).toBe(true);
    expect(replica.version).toBe(1000);
  });

  it('what was held is told by the snapshot and not again by a diff', () => {
    const replica = new PresenceReplica(LIMITS);
    replica.apply(joined(6, 'b'));
    replica.load(snapshot(6, 'a'));
    expect(replica.takeWindow()).toEqual([]);
  });
});

describe('the members of a copy', () => {
  it('are one list for all who ask between two changes, and stay as they were then for who has it', () => {
    const replica = loaded(1, 'ann');
    const before = replica.view.members;
    expect(replica.view.members).toBe(before);
    replica.apply(joined(1, 'bob'));
    expect(users(replica)).toEqual(['ann', 'bob']);
    replica.apply(updated(2, 'bob', '{"n":1}'));
    expect(replica.view.members?.at(-1)).toMatchObject({ user: 'bob', state: '{"n":1}' });
    replica.apply(left(3, ['ann']));
    expect(users(replica)).toEqual(['bob']);
    replica.load(snapshot(9, 'cid'));
    expect(users(replica)).toEqual(['cid']);
    expect(before?.map(({ user }) => user)).toEqual(['ann']);
  });
});

describe('a window', () => {
  it('merges what does not depend on its order', () => {
    const replica = loaded(0, 'old');
    for (const change of [joined(0, 'a'), joined(1, 'b'), left(2, ['old']), updated(3, 'a', '{"x":1}')]) {
      replica.apply(change);
    }
    const [segment, ...more] = replica.takeWindow();
    expect(more).toEqual([]);
    expect(shown(segment ? [segment] : [])).toEqual([
      { from: 0, to: 4, count: 2, joined: ['a', 'b'], left: ['old'], updated: ['a'] },
    ]);
    expect(segment?.updated.get('a')?.state).toBe('{"x":1}');
    expect(replica.hasPending).toBe(false);
  });

  it('never cancels a join against a leave: each is told, one after the other', () => {
    const replica = loaded(0);
    for (const change of [joined(0, 'a'), left(1, ['a']), joined(2, 'a'), left(3, ['a'])])
      replica.apply(change);
    expect(shown(replica.takeWindow())).toEqual([
      { from: 0, to: 1, count: 1, joined: ['a'], left: [], updated: [] },
      { from: 1, to: 2, count: 0, joined: [], left: ['a'], updated: [] },
      { from: 2, to: 3, count: 1, joined: ['a'], left: [], updated: [] },
      { from: 3, to: 4, count: 0, joined: [], left: ['a'], updated: [] },
    ]);
  });

  it('ends for a joiner who was given its version: what comes after begins there', () => {
    const replica = loaded(0);
    replica.apply(joined(0, 'a'));
    replica.seal();
    replica.apply(joined(1, 'b'));
    replica.apply(joined(2, 'c'));
    expect(shown(replica.takeWindow()).map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [1, 3],
    ]);
    replica.seal();
    replica.takeWindow();
    replica.apply(joined(3, 'd'));
    replica.apply(joined(4, 'e'));
    expect(shown(replica.takeWindow())).toHaveLength(1);
  });

  it('that was not told is dropped when the chain breaks: the snapshot contains it', () => {
    const replica = loaded(0);
    replica.apply(joined(0, 'a'));
    replica.invalidate();
    expect(replica.hasPending).toBe(false);
    replica.load(snapshot(1, 'a'));
    expect(replica.takeWindow()).toEqual([]);
  });
});

describe('a window in which somebody joined through this node', () => {
  function sealedEach(...changes: PresenceChange[]): readonly PresenceSegment[] {
    const replica = loaded(0, 'old');
    for (const change of changes) {
      replica.apply(change);
      replica.seal();
    }
    return replica.takeWindow();
  }

  it('is one segment for those who were there before', () => {
    const segments = sealedEach(joined(0, 'a'), joined(1, 'b'), updated(2, 'a', '{"x":1}'), left(3, ['old']));
    expect(segments).toHaveLength(4);
    expect(shown(merged(segments))).toEqual([
      { from: 0, to: 4, count: 2, joined: ['a', 'b'], left: ['old'], updated: ['a'] },
    ]);
    // The segments of the joiners are left as they were.
    expect(shown(segments)[0]).toEqual({ from: 0, to: 1, count: 2, joined: ['a'], left: [], updated: [] });
  });

  it.each([
    ['joined and left', [joined(0, 'a'), left(1, ['a'])]],
    ['left and joined', [left(0, ['old']), joined(1, 'old')]],
    ['updated and left', [updated(0, 'old', '{"x":1}'), left(1, ['old'])]],
  ])('is cut where the order counts: %s', (_, changes) => {
    expect(shown(merged(sealedEach(...changes)))).toEqual(shown(sealedEach(...changes)));
  });

  it('of nothing is nothing', () => {
    expect(merged([])).toEqual([]);
  });
});

describe('a big room', () => {
  const small = { limitPresenceMembers: 3, limitPresenceResume: 1 };

  it('is only counted above its limit, and asks for a snapshot when few are left', () => {
    const replica = new PresenceReplica(small);
    replica.load(snapshot(0, 'a', 'b', 'c'));
    expect(users(replica)).toEqual(['a', 'b', 'c']);
    replica.apply(joined(0, 'd'));
    expect(replica.view).toEqual({ version: 1, count: 4 });
    replica.apply(left(1, ['a', 'b']));
    expect(replica.view).toEqual({ version: 2, count: 2 });
    expect(replica.canResume).toBe(false);
    replica.apply(left(2, ['c']));
    expect(replica.canResume).toBe(true);
    replica.invalidate();
    expect(replica.canResume).toBe(false);
    replica.load(snapshot(3, 'd'));
    expect(users(replica)).toEqual(['d']);
    expect(replica.canResume).toBe(false);
  });

  it('is only counted where the store already gave no members', () => {
    const replica = new PresenceReplica(small);
    replica.load({ version: 5, count: 7 });
    replica.apply(joined(5, 'x'));
    replica.apply(updated(6, 'x', '{"a":1}'));
    expect(replica.view).toEqual({ version: 7, count: 8 });
  });

  it('is listed whole where the limit is off', () => {
    const replica = new PresenceReplica({ limitPresenceMembers: 0, limitPresenceResume: 0 });
    replica.load(snapshot(0));
    for (let at = 0; at < 2000; at += 1) replica.apply(joined(at, `user ${at}`));
    expect(replica.view.members).toHaveLength(2000);
  });
});

/** As the relay puts a segment on the wire. */
function news(segment: PresenceSegment) {
  const told = (each: Member): PresenceMember => ({ ...each, state: JSON.parse(each.state) });
  return {
    version: segment.version,
    previous: segment.previous,
    count: segment.count,
    joined: [...segment.joined.values()].map(told),
    left: [...segment.left.keys()].map((user) => ({ user })),
    updated: [...segment.updated.values()].map(told),
  };
}

describe('a client that follows the segments', () => {
  it('holds what the replica holds after every window, whatever happened within it', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ user: fc.constantFrom('a', 'b', 'c', 'd'), state: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.constantFrom('window' as const, 'seal' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, wholly) => {
        const replica = loaded(0);
        const present = new Map<string, string>();
        let view = { version: 0, count: 0, members: new Map() } as PresenceView | 'ask';
        const histories = new Map<string, string>();
        const follow = () => {
          const segments = replica.takeWindow();
          for (const segment of wholly ? merged(segments) : segments) {
            if (view === 'ask') break;
            for (const user of segment.left.keys()) histories.set(user, `${histories.get(user) ?? ''}-`);
            for (const user of segment.joined.keys()) histories.set(user, `${histories.get(user) ?? ''}+`);
            view = applyPresence(view, news(segment));
          }
        };
        for (const item of steps) {
          const version = replica.version ?? -1;
          if (item === 'seal') replica.seal();
          else if (item === 'window') follow();
          else if (!present.has(item.user)) {
            present.set(item.user, '{}');
            replica.apply(joined(version, item.user));
          } else if (item.state === 0) {
            present.delete(item.user);
            replica.apply(left(version, [item.user]));
          } else {
            present.set(item.user, `{"s":${item.state}}`);
            replica.apply(updated(version, item.user, `{"s":${item.state}}`));
          }
        }
        follow();
        expect(view).not.toBe('ask');
        if (view === 'ask') return;
        const held = new Map(
          [...(view.members ?? [])].map(([user, each]) => [user, JSON.stringify(each.state)]),
        );
        expect(held).toEqual(present);
        for (const history of histories.values()) expect(history).toMatch(/^(\+-)*\+?$/);
      }),
      { numRuns: 300 },
    );
  });
});
