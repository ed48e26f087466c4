/** Presence against a map: random holds and drops, alone and many at once. Part of the presence contract. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeftReason, PresenceSnapshot } from '../../src/broker/presence.ts';
import { replay, sameMembers, watchedRoom } from './presence-replay.ts';
import type { FixtureOf, StoreFixture } from './store-fixture.ts';
import { caughtUp } from './store-fixture.ts';

/** Above any room of these suites. */
const ALL = 10_000;
const USERS = ['ann', 'bob', 'жук ☃'];
const STATES = ['{}', '{"a":1}', '{"a":2}'];
const REASONS: readonly LeftReason[] = ['left', 'closed', 'kicked'];

const user = fc.constantFrom(...USERS);
const step = fc.oneof(
  fc.record({
    kind: fc.constant('hold' as const),
    user,
    state: fc.constantFrom(...STATES),
    stated: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('drop' as const), user, reason: fc.constantFrom(...REASONS) }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

export function describePresenceModel(fixture: FixtureOf, runs: number): void {
  describe('the model of a map', () => {
    it('agrees with every sequence of holds and drops: changes, versions and snapshots', async () => {
      const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const { presence, broker, heard } = fixture();
        const room = await watchedRoom(fixture());
        const states = new Map<string, string>();
        const expected: string[] = [];
        let version = 0;
        for (const one of steps) {
          const change = apply(states, one);
          const answered = await write(fixture(), room, one);
          if (change === null) expect(answered, 'a repeat changes no version').toBe(version);
          else expect(answered, 'a change moves the version on').toBeGreaterThan(version);
          if (change !== null) expected.push(change);
          version = answered;
        }
        await heard.until(() => heard.changes(room).length >= expected.length, `the changes of ${room}`);
        const changes = heard.changes(room);
        const told = changes.map((change) =>
          change.kind === 'left'
            ? `left ${change.users.join()} ${change.reason}`
            : `${change.kind} ${change.member.user} ${change.member.state}`,
        );
        expect(told).toEqual(expected);
        const snapshot = await presence.snapshot(room, ALL);
        expect(snapshot.version).toBe(version);
        expect(new Map(snapshot.members?.map((member) => [member.user, member.state]))).toEqual(states);
        sameMembers(snapshot, replay(changes, snapshot.version));
        await broker.unsubscribe(room);
      });
      await fc.assert(property, { numRuns: runs });
    });

    it('gives snapshots that agree with the changes up to their version, also amid writes under way', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      const snapshots: Promise<PresenceSnapshot>[] = [];
      for (let round = 0; round < 12; round += 1) {
        const writes: Promise<number>[] = [];
        for (let number = 0; number < 20; number += 1) {
          const name = `user ${number}`;
          const gone = (number + round) % 3 === 0;
          const state = JSON.stringify({ round });
          writes.push(gone ? presence.drop(room, name, 'left') : presence.hold(room, name, state, true));
          if (number % 5 === 0) snapshots.push(presence.snapshot(room, ALL));
        }
        // Writes of one user do not overtake each other: a node has one under way per (room, user).
        await Promise.all(writes);
      }
      const taken = await Promise.all(snapshots);
      await caughtUp(fixture());
      const changes = heard.changes(room);
      for (const snapshot of taken) sameMembers(snapshot, replay(changes, snapshot.version));
      const last = await presence.snapshot(room, ALL);
      expect(last.version).toBe(changes.at(-1)?.version);
      sameMembers(last, replay(changes, last.version));
    });
  });
}

/** Applies the step to the model. Returns the change to be told, null for none. */
function apply(states: Map<string, string>, one: Step): string | null {
  const held = states.get(one.user);
  if (one.kind === 'drop') {
    return states.delete(one.user) ? `left ${one.user} ${one.reason}` : null;
  }
  if (held !== undefined && (!one.stated || held === one.state)) return null;
  states.set(one.user, one.state);
  return `${held === undefined ? 'joined' : 'updated'} ${one.user} ${one.state}`;
}

function write({ presence }: StoreFixture, room: string, one: Step): Promise<number> {
  return one.kind === 'hold'
    ? presence.hold(room, one.user, one.state, one.stated)
    : presence.drop(room, one.user, one.reason);
}
