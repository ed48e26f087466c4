/**
 * The contract of `PresenceStore`, told through the ports alone and run against
 * every implementation. Changes are heard through the broker of the same node,
 * as in a running node.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describePresenceBytes } from './presence-bytes.contract.ts';
import { describePresenceModel } from './presence-model.contract.ts';
import { describeRepair } from './presence-repair.contract.ts';
import { stateOf, watchedRoom } from './presence-replay.ts';
import type { ContractOptions, FixtureOf, StoreFixture, StoreSetup } from './store-fixture.ts';
import { caughtUp, itOnTwoNodes, LASTING, newRoom, presenceReady, publish } from './store-fixture.ts';

/** Above any room of these suites. */
const ALL = 10_000;

export function presenceContract(name: string, setup: StoreSetup, options: ContractOptions): void {
  describe(`the presence contract: ${name}`, () => {
    let fixture: StoreFixture;
    const current: FixtureOf = Object.assign(() => fixture, { nodes: options.nodes });
    beforeAll(async () => {
      fixture = await setup(LASTING);
      await presenceReady(fixture);
    });
    afterAll(async () => {
      await fixture?.teardown();
    });

    describeChanges(current);
    describePresenceBytes(current);
    describeSnapshot(current);
    describeTwoNodes(current);
    describeRepair(current);
    describePresenceModel(current, options.runs);
  });
}

function describeChanges(fixture: FixtureOf): void {
  describe('hold and drop', () => {
    it('joined on the first hold, and silence on repeats', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      const version = await presence.hold(room, 'ann', '{"a":1}', false);
      for (const stated of [false, true, false]) {
        expect(await presence.hold(room, 'ann', '{"a":1}', stated)).toBe(version);
      }
      await caughtUp(fixture());
      const [joined, ...more] = heard.changes(room);
      expect(more).toEqual([]);
      expect(joined).toMatchObject({
        kind: 'joined',
        previous: 0,
        version,
        member: { user: 'ann', state: '{"a":1}' },
      });
      expect(joined?.kind === 'joined' && Number.isSafeInteger(joined.member.since)).toBe(true);
    });

    it('updated only where the state was stated and differs; `since` stays', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      const first = await presence.hold(room, 'ann', '{"a":1}', true);
      // Another tab joins with no state of its own: the user's state is left as it is.
      expect(await presence.hold(room, 'ann', '{}', false)).toBe(first);
      expect(await presence.hold(room, 'ann', '{"a":1}', true)).toBe(first);
      await fixture().elapse(20);
      const second = await presence.hold(room, 'ann', '{"a":2}', true);
      expect(second).toBeGreaterThan(first);
      const third = await presence.hold(room, 'ann', '{}', true);
      await caughtUp(fixture());
      const [joined, ...updates] = heard.changes(room);
      const since = joined?.kind === 'joined' ? joined.member.since : -1;
      expect(updates).toEqual([
        {
          kind: 'updated',
          previous: first,
          version: second,
          member: { user: 'ann', state: '{"a":2}', since },
        },
        { kind: 'updated', previous: second, version: third, member: { user: 'ann', state: '{}', since } },
      ]);
    });

    it.each(['left', 'closed', 'node_lost', 'kicked', 'expired'] as const)(
      'left once, for the reason "%s"',
      async (reason) => {
        const { presence, heard } = fixture();
        const room = await watchedRoom(fixture());
        const held = await presence.hold(room, 'ann', '{}', false);
        const left = await presence.drop(room, 'ann', reason);
        expect(await presence.drop(room, 'ann', 'left')).toBe(left);
        await caughtUp(fixture());
        expect(heard.changes(room).slice(1)).toEqual([
          { kind: 'left', previous: held, version: left, users: ['ann'], reason },
        ]);
      },
    );

    it('is silent where there is nobody to drop', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      expect(await presence.drop(room, 'ann', 'left')).toBe(0);
      const version = await presence.hold(room, 'ann', '{}', false);
      expect(await presence.drop(room, 'bob', 'left')).toBe(version);
      await caughtUp(fixture());
      expect(heard.changes(room)).toHaveLength(1);
    });

    it('a user who comes back joins anew, with the state of the new hold', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      await presence.hold(room, 'ann', '{"old":true}', true);
      const left = await presence.drop(room, 'ann', 'left');
      const back = await presence.hold(room, 'ann', '{}', false);
      expect(back).toBeGreaterThan(left);
      await caughtUp(fixture());
      expect(heard.changes(room).map(({ kind }) => kind)).toEqual(['joined', 'left', 'joined']);
      expect(await stateOf(presence, room, 'ann')).toBe('{}');
    });

    it('keeps rooms apart', async () => {
      const { presence, heard } = fixture();
      const [one, two] = [await watchedRoom(fixture()), await watchedRoom(fixture())];
      await presence.hold(one, 'ann', '{}', false);
      await presence.hold(two, 'ann', '{}', false);
      await presence.drop(one, 'ann', 'left');
      await caughtUp(fixture());
      expect(heard.changes(one).map(({ kind }) => kind)).toEqual(['joined', 'left']);
      expect(heard.changes(two).map(({ kind }) => kind)).toEqual(['joined']);
      expect(await presence.snapshot(two, ALL)).toMatchObject({ count: 1 });
    });

    it('tells the version of presence in `read`, and leaves messages alone', async () => {
      const { presence, broker } = fixture();
      const room = newRoom();
      const { epoch } = await publish(broker, room, 1);
      const version = await presence.hold(room, 'ann', '{}', false);
      expect(await broker.read(room, null, 10)).toMatchObject({ epoch, top: 1, presenceVersion: version });
      expect(await broker.read(room, { epoch, seq: 0 }, 10)).toMatchObject({
        verdict: 'ok',
        presenceVersion: version,
      });
      const lost = await broker.read(room, { epoch: 'x.y', seq: 0 }, 10);
      expect(lost).toMatchObject({ verdict: 'lost', presenceVersion: version });
    });

    it('works in a room nobody published to, which then begins at seq 1', async () => {
      const { presence, broker } = fixture();
      const room = newRoom();
      const version = await presence.hold(room, 'ann', '{}', false);
      const fresh = await broker.read(room, null, 10);
      expect(fresh).toMatchObject({ verdict: 'fresh', top: 0, presenceVersion: version });
      expect(await publish(broker, room, 1)).toMatchObject({ epoch: fresh.epoch, seq: 1 });
      expect(await presence.snapshot(room, ALL)).toMatchObject({ version, count: 1 });
    });
  });
}

function describeSnapshot(fixture: FixtureOf): void {
  describe('snapshot', () => {
    it('of a room nobody knows is empty, at version 0', async () => {
      expect(await fixture().presence.snapshot(newRoom(), 10)).toEqual({ version: 0, count: 0, members: [] });
    });

    it('tells members up to the limit, and only the count above it', async () => {
      const { presence } = fixture();
      const room = newRoom();
      let version = 0;
      for (const user of ['a', 'b', 'c', 'd']) version = await presence.hold(room, user, '{}', false);
      expect((await presence.snapshot(room, 5)).members).toHaveLength(4);
      expect((await presence.snapshot(room, 4)).members).toHaveLength(4);
      const above = await presence.snapshot(room, 3);
      expect(above.members).toBeUndefined();
      expect(above).toMatchObject({ version, count: 4 });
    });
  });
}

function describeTwoNodes(fixture: FixtureOf): void {
  if (fixture.nodes < 2) return;
  describe('two nodes', () => {
    itOnTwoNodes(
      'a user on both is one member: joined once, left after the last',
      fixture,
      async (one, two) => {
        const room = newRoom();
        await Promise.all([one.broker.subscribe(room), two.broker.subscribe(room)]);
        const joined = await one.presence.hold(room, 'ann', '{"a":1}', false);
        expect(await two.presence.hold(room, 'ann', '{}', false)).toBe(joined);
        expect(await one.presence.drop(room, 'ann', 'closed')).toBe(joined);
        expect(await one.presence.snapshot(room, 10)).toMatchObject({ version: joined, count: 1 });
        const left = await two.presence.drop(room, 'ann', 'left');
        expect(left).toBeGreaterThan(joined);
        for (const node of [one, two]) {
          await caughtUp(node);
          expect(node.heard.changes(room)).toMatchObject([
            { kind: 'joined', version: joined, member: { user: 'ann', state: '{"a":1}' } },
            { kind: 'left', previous: joined, version: left, users: ['ann'], reason: 'left' },
          ]);
        }
      },
    );

    itOnTwoNodes('a state set on one is told on the other', fixture, async (one, two) => {
      const room = newRoom();
      await two.broker.subscribe(room);
      await one.presence.hold(room, 'ann', '{}', false);
      await two.presence.hold(room, 'ann', '{"b":1}', true);
      await caughtUp(two);
      expect(two.heard.changes(room).map(({ kind }) => kind)).toEqual(['joined', 'updated']);
      expect(await stateOf(one.presence, room, 'ann')).toBe('{"b":1}');
    });
  });
}
