/** Counting connections, and bringing the store back to what the node knows. Part of the presence contract. */
import { describe, expect, it } from 'vitest';
import { replay, sameMembers, watchedRoom } from './presence-replay.ts';
import type { FixtureOf } from './store-fixture.ts';
import { caughtUp, itOnTwoNodes, newRoom } from './store-fixture.ts';

export function describeRepair(fixture: FixtureOf): void {
  describe('reconcile', () => {
    it('drops who this node no longer has, tells each once, and keeps the others', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      for (const user of ['ann', 'bob', 'cid', 'жук ☃']) await presence.hold(room, user, '{}', false);
      await presence.reconcile(room, new Set(['bob', 'never held']));
      const after = await presence.snapshot(room, 10);
      expect(after.members?.map(({ user }) => user)).toEqual(['bob']);
      await presence.reconcile(room, new Set(['bob', 'never held']));
      await caughtUp(fixture());
      const left = heard.changes(room).flatMap((change) => (change.kind === 'left' ? change.users : []));
      expect(left.toSorted()).toEqual(['ann', 'cid', 'жук ☃'].toSorted());
      expect(await presence.snapshot(room, 10)).toEqual(after);
      sameMembers(after, replay(heard.changes(room), after.version));
    });

    it('is silent where the store and the node agree, and in a room nobody knows', async () => {
      const { presence, heard } = fixture();
      const [room, empty] = [await watchedRoom(fixture()), await watchedRoom(fixture())];
      const version = await presence.hold(room, 'ann', '{}', false);
      await presence.reconcile(room, new Set(['ann']));
      await presence.reconcile(empty, new Set(['ann']));
      await presence.reconcile(empty, new Set());
      await caughtUp(fixture());
      expect(heard.changes(room)).toHaveLength(1);
      expect(heard.changes(empty)).toEqual([]);
      expect(await presence.snapshot(room, 10)).toMatchObject({ version, count: 1 });
    });

    it('may be told that the node has nobody', async () => {
      const { presence } = fixture();
      const room = newRoom();
      for (const user of ['ann', 'bob']) await presence.hold(room, user, '{}', false);
      await presence.reconcile(room, new Set());
      expect(await presence.snapshot(room, 10)).toMatchObject({ count: 0, members: [] });
    });

    itOnTwoNodes('leaves alone whom another node holds', fixture, async (one, two) => {
      const room = newRoom();
      await two.broker.subscribe(room);
      await one.presence.hold(room, 'ann', '{}', false);
      await two.presence.hold(room, 'ann', '{}', false);
      await two.presence.hold(room, 'bob', '{}', false);
      await one.presence.reconcile(room, new Set());
      const after = await two.presence.snapshot(room, 10);
      expect(after.members?.map(({ user }) => user).toSorted()).toEqual(['ann', 'bob']);
      await two.presence.drop(room, 'ann', 'left');
      await caughtUp(two);
      expect(two.heard.changes(room).map(({ kind }) => kind)).toEqual(['joined', 'joined', 'left']);
    });
  });

  describe('countConnections', () => {
    it('tells the connections of the user, replacing what this node told before', async () => {
      const { presence } = fixture();
      const [user, other] = [newRoom('user'), newRoom('user ☃ %')];
      expect(await presence.countConnections(user, 1)).toBe(1);
      expect(await presence.countConnections(user, 3)).toBe(3);
      expect(await presence.countConnections(other, 2)).toBe(2);
      expect(await presence.countConnections(user, 2)).toBe(2);
      expect(await presence.countConnections(user, 0)).toBe(0);
    });

    itOnTwoNodes('sums over the nodes', fixture, async (one, two) => {
      const user = newRoom('user');
      expect(await one.presence.countConnections(user, 2)).toBe(2);
      expect(await two.presence.countConnections(user, 3)).toBe(5);
      expect(await one.presence.countConnections(user, 0)).toBe(3);
    });
  });
}
