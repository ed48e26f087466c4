/** Idempotency keys: what counts as a repeat. Part of the broker contract. */
import { describe, expect, it } from 'vitest';
import type { FixtureOf } from './store-fixture.ts';
import { bodyOf, caughtUp, itOnTwoNodes, newRoom, publish, range, seqsOf } from './store-fixture.ts';

export function describeKeys(fixture: FixtureOf): void {
  describe('idempotency keys', () => {
    it('answers a repeat with the position of the first time, and neither stores nor tells it', async () => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await broker.subscribe(room);
      const first = await publish(broker, room, 'first', { key: 'k' });
      await publish(broker, room, 'between');
      const repeat = await publish(broker, room, 'another body', { key: 'k', lane: 'another lane' });
      expect(first).toEqual({ epoch: first.epoch, seq: 1, duplicate: false });
      expect(repeat).toEqual({ epoch: first.epoch, seq: 1, duplicate: true });
      await caughtUp(fixture());
      const page = await broker.history(room, { limit: 10 });
      expect(page.entries.map((entry) => entry.body)).toEqual([bodyOf('first'), bodyOf('between')]);
      expect(seqsOf(heard.messages(room).map((told) => told.entry))).toEqual([1, 2]);
    });

    it('keeps the same key of another user or another room apart', async () => {
      const { broker } = fixture();
      const [room, other] = [newRoom(), newRoom()];
      const receipts = [
        await publish(broker, room, 1, { key: 'k' }),
        await publish(broker, room, 2, { key: 'k', user: 'bob' }),
        await publish(broker, other, 3, { key: 'k' }),
      ];
      expect(receipts.map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
        [1, false],
        [2, false],
        [1, false],
      ]);
    });

    it('never takes publishes without a key for repeats', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const calls = range(1, 10).map(() => publish(broker, room, 'the same'));
      const receipts = await Promise.all(calls);
      expect(receipts.map(({ seq }) => seq)).toEqual(range(1, 10));
      expect(receipts.some(({ duplicate }) => duplicate)).toBe(false);
    });

    it('applies a key once under concurrent repeats from many lanes', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const calls = range(1, 25).map((lane) =>
        publish(broker, room, lane, { key: 'k', lane: `lane-${lane}` }),
      );
      const receipts = await Promise.all(calls);
      expect(receipts.map(({ seq }) => seq)).toEqual(range(1, 25).map(() => 1));
      expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect((await broker.history(room, { limit: 10 })).seq).toBe(1);
    });

    it('keeps (user, key) pairs apart that look alike when joined', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const pairs = [
        ['a', 'b:c'],
        ['a:b', 'c'],
        ['a%3Ab', 'c'],
        ['a', 'b%3Ac'],
        ['a b', 'c'],
        ['a%20b', 'c'],
        ['ab', 'c'],
        ['a', 'bc'],
        ['%', '%25'],
        ['%25', '%'],
        ['жук ☃ 😀', 'ключ'],
        ['A', 'B:C'],
        ['u'.repeat(128), 'k'.repeat(64)],
        ['u'.repeat(127), 'k'.repeat(64)],
        ['a/b', `c:${room}`],
        ['a', `b/c:${room}`],
      ] as const;
      for (const [index, [user, key]] of pairs.entries()) {
        const receipt = await publish(broker, room, index, { user, key });
        expect([user, key, receipt.seq, receipt.duplicate]).toEqual([user, key, index + 1, false]);
      }
      for (const [index, [user, key]] of pairs.entries()) {
        const repeat = await publish(broker, room, index, { user, key });
        expect([user, key, repeat.seq, repeat.duplicate]).toEqual([user, key, index + 1, true]);
      }
    });

    itOnTwoNodes('knows a key that another node applied', fixture, async (one, two) => {
      const room = newRoom();
      const first = await publish(one.broker, room, 1, { key: 'k' });
      const repeat = await publish(two.broker, room, 1, { key: 'k' });
      expect(repeat).toEqual({ ...first, duplicate: true });
    });
  });
}
