import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Member, PresenceChange } from '../../src/core/member.ts';
import { PresenceReplica } from '../../src/core/presence-replica.ts';
import { presenceCountFrame, presenceDiffFrame, presenceSnapshotFrame } from '../../src/protocol/encode.ts';
import { applyPresence, type PresenceNews, type PresenceView } from '../../src/protocol/presence-view.ts';

const anna = { user: 'anna', state: { n: 1 }, since: 1 };
const bob = { user: 'bob', state: {}, since: 2 };
const full: PresenceView = { version: 5, count: 1, members: new Map([['anna', anna]]) };
const counted: PresenceView = { version: 5, count: 1, members: null };

const usersOf = (view: PresenceView | 'ask') =>
  view === 'ask' || !view.members ? view : [...view.members.values()];

describe('a snapshot', () => {
  test('is a whole view where there was none', () => {
    expect(usersOf(applyPresence(undefined, { version: 5, count: 1, members: [anna] }))).toEqual([anna]);
  });

  test('replaces what was held, whatever its version', () => {
    for (const version of [1, 99]) {
      const view = applyPresence(full, { version, count: 1, members: [bob] });
      expect(view).toMatchObject({ version, count: 1 });
      expect(usersOf(view)).toEqual([bob]);
    }
  });

  test('of the version held changes nothing', () => {
    expect(applyPresence(full, { version: 5, count: 1, members: [bob] })).toBe(full);
  });

  test('of the version held fills a view that only counted', () => {
    expect(usersOf(applyPresence(counted, { version: 5, count: 1, members: [anna] }))).toEqual([anna]);
  });
});

describe('a diff', () => {
  test('applies to the version it names', () => {
    const view = applyPresence(full, {
      previous: 5,
      version: 6,
      count: 1,
      left: [{ user: 'anna' }],
      joined: [bob],
      updated: [{ user: 'bob', state: { hand: true } }],
    });
    expect(view).toMatchObject({ version: 6, count: 1 });
    expect(usersOf(view)).toEqual([{ ...bob, state: { hand: true } }]);
  });

  test('leaves the view before it untouched', () => {
    applyPresence(full, { previous: 5, version: 6, count: 0, left: [{ user: 'anna' }] });
    expect(full.members?.size).toBe(1);
  });

  test('that leads to the version held changes nothing', () => {
    expect(applyPresence(full, { previous: 4, version: 5, count: 9, joined: [bob] })).toBe(full);
  });

  test('that changes nobody still moves the version', () => {
    expect(applyPresence(full, { previous: 5, version: 6, count: 1 })).toMatchObject({ version: 6 });
  });

  test.each<[string, PresenceView | undefined, PresenceNews]>([
    ['it applies to another version', full, { previous: 4, version: 6, count: 2, joined: [bob] }],
    ['there is no view', undefined, { previous: 5, version: 6, count: 1, joined: [bob] }],
    ['the view only counts', counted, { previous: 5, version: 6, count: 2, joined: [bob] }],
    [
      'it updates somebody unknown',
      full,
      { previous: 5, version: 6, count: 1, updated: [{ user: 'eve', state: {} }] },
    ],
    ['somebody unknown left', full, { previous: 5, version: 6, count: 0, left: [{ user: 'eve' }] }],
    ['the count does not fit', full, { previous: 5, version: 6, count: 3, joined: [bob] }],
  ])('is answered with ask where %s', (_what, view, diff) => {
    expect(applyPresence(view, diff)).toBe('ask');
  });
});

describe('a count', () => {
  test('is all there is where the room is too large to list', () => {
    expect(applyPresence(full, { version: 6, count: 1001 })).toEqual({
      version: 6,
      count: 1001,
      members: null,
    });
    expect(applyPresence(undefined, { version: 6, count: 3 })).toEqual({
      version: 6,
      count: 3,
      members: null,
    });
  });

  test('of the version held keeps the members', () => {
    expect(applyPresence(full, { version: 5, count: 1 })).toBe(full);
  });
});

/** What may happen to one of six users; what makes no sense for a user at that moment is left out. */
interface Step {
  readonly user: number;
  readonly what: 'enter-or-leave' | 'update' | 'end-window' | 'seal';
  readonly value: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  user: fc.nat(5),
  what: fc.constantFrom('enter-or-leave', 'enter-or-leave', 'update', 'update', 'end-window', 'seal'),
  value: fc.nat(99),
});

const LIMITS = { limitPresenceMembers: 1000, limitPresenceResume: 900 };

/** Runs the steps through a node's replica: the frames it tells, and the true members at each version. */
function history(steps: readonly Step[]) {
  const replica = new PresenceReplica(LIMITS);
  replica.load({ version: 0, count: 0, members: [] });
  const present = new Map<string, Member>();
  const truth = new Map([[0, new Map(present)]]);
  const frames: (PresenceNews & { room: string })[] = [];
  let version = 0;
  const change = (
    what:
      | Omit<Extract<PresenceChange, { kind: 'left' }>, 'previous' | 'version'>
      | Omit<Extract<PresenceChange, { kind: 'joined' }>, 'previous' | 'version'>
      | Omit<Extract<PresenceChange, { kind: 'updated' }>, 'previous' | 'version'>,
  ) => {
    const previous = version;
    // Versions of the store jump: they follow its clock.
    version += 1 + (previous % 3);
    replica.apply({ previous, version, ...what });
    truth.set(version, new Map(present));
  };
  const tell = () => {
    for (const segment of replica.takeWindow())
      frames.push(JSON.parse(presenceDiffFrame('r', segment).toString()));
  };
  for (const { user, what, value } of steps) {
    const name = `user-${user}`;
    const held = present.get(name);
    if (what === 'end-window') tell();
    else if (what === 'seal') replica.seal();
    else if (what === 'update' && held) {
      const member = { ...held, state: JSON.stringify({ value }) };
      present.set(name, member);
      change({ kind: 'updated', member });
    } else if (what === 'enter-or-leave' && held) {
      present.delete(name);
      change({ kind: 'left', users: [name], reason: 'left' });
    } else if (what === 'enter-or-leave') {
      const member = { user: name, state: '{}', since: value };
      present.set(name, member);
      change({ kind: 'joined', member });
    }
  }
  tell();
  return { frames, truth };
}

function trueView(truth: ReadonlyMap<number, ReadonlyMap<string, Member>>, version: number): unknown {
  const members = truth.get(version);
  if (!members) throw new Error(`nobody knows version ${version}`);
  return snapshotAt(version, members);
}

const snapshotAt = (version: number, members: ReadonlyMap<string, Member>): PresenceNews =>
  JSON.parse(presenceSnapshotFrame('r', version, members.size, [...members.values()]).toString());

function sorted(view: PresenceView): unknown {
  const members = [...(view.members?.values() ?? [])].sort((a, b) => (a.user < b.user ? -1 : 1));
  return { version: view.version, count: view.count, members };
}

function expectTrue(view: PresenceView, truth: ReadonlyMap<number, ReadonlyMap<string, Member>>): void {
  const right = applyPresence(undefined, trueView(truth, view.version) as PresenceNews);
  if (right === 'ask') throw new Error('a snapshot is never refused');
  expect(sorted(view)).toEqual(sorted(right));
}

describe('any history, told in windows', () => {
  test('replayed on the snapshot of any frame it passes gives the members of the end', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, start) => {
        const { frames, truth } = history(steps);
        const versions = [0, ...frames.map((frame) => frame.version)];
        const begin = start % versions.length;
        let view = applyPresence(undefined, trueView(truth, versions[begin] ?? 0) as PresenceNews);
        for (const frame of frames.slice(begin)) {
          if (view === 'ask') throw new Error('asked though nothing was missed');
          view = applyPresence(view, frame);
          // Told twice is told once.
          if (view !== 'ask') expect(applyPresence(view, frame)).toBe(view);
        }
        if (view === 'ask') throw new Error('asked though nothing was missed');
        expect(view.version).toBe(versions[versions.length - 1]);
        expectTrue(view, truth);
      }),
      { numRuns: 3000 },
    );
  });

  test('with frames missing is a true view or asks, and is whole again after a snapshot', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.boolean()),
        (steps, losses, answers) => {
          const { frames, truth } = history(steps);
          let view = applyPresence(undefined, trueView(truth, 0) as PresenceNews) as PresenceView;
          let missed = false;
          for (const frame of frames) {
            if (losses.next().value) {
              missed = true;
              continue;
            }
            const next = applyPresence(view, frame);
            expect(next === 'ask').toBe(missed);
            if (next !== 'ask') view = next;
            else if (answers.next().value) {
              view = applyPresence(view, trueView(truth, frame.version) as PresenceNews) as PresenceView;
              missed = false;
            }
            expectTrue(view, truth);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('is followed across the limit of a large room, down to counts and back by a snapshot', () => {
    const small = applyPresence(undefined, snapshotAt(1, new Map())) as PresenceView;
    const large = applyPresence(small, JSON.parse(presenceCountFrame('r', 2, 1001).toString()));
    expect(large).toEqual({ version: 2, count: 1001, members: null });
    const again = applyPresence(large as PresenceView, snapshotAt(3, new Map()));
    expect(again).toMatchObject({ version: 3, count: 0 });
  });
});
