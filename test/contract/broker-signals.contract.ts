/** Signals: told at most once, to who listens now, and never kept. Part of the broker contract. */
import { describe, expect, it } from 'vitest';
import type { Signal } from '../../src/broker/broker.ts';
import type { FixtureOf } from './store-fixture.ts';
import { bodyOf, caughtUp, itOnTwoNodes, newRoom, publish, range } from './store-fixture.ts';

const SIGNALS: readonly Signal[] = [
  { sender: 'c1', body: bodyOf('to all') },
  { sender: 'c1', to: { user: 'bob' }, body: bodyOf('to a user') },
  { sender: 'c1', to: { user: 'жук "☃" \\ 100%' }, body: bodyOf('to a user with an odd name') },
  { sender: 'c1', to: { connection: 'c2' }, body: bodyOf('to a connection') },
  { sender: 'c"1\\', body: Buffer.from('"data":"\n two\nlines ж 😀"}') },
  { sender: 'c1', body: Buffer.from(range(0, 255)) },
  { sender: 'c1', body: Buffer.alloc(32 * 1_024, 's') },
];

export function describeSignals(fixture: FixtureOf): void {
  describe('signal', () => {
    it('reaches the room in order, with sender, addressee and bytes intact', async () => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await broker.subscribe(room);
      for (const signal of SIGNALS) broker.signal(room, signal);
      await heard.until(() => heard.signals(room).length >= SIGNALS.length, 'every signal');
      expect(heard.signals(room)).toHaveLength(SIGNALS.length);
      heard.signals(room).forEach((signal, index) => {
        const sent = SIGNALS[index];
        expect([signal.sender, signal.to]).toEqual([sent?.sender, sent?.to]);
        expect(sent && signal.body.equals(sent.body)).toBe(true);
      });
    });

    it('is told only in its room', async () => {
      const { broker, heard } = fixture();
      const [room, other] = [newRoom(), newRoom()];
      await Promise.all([broker.subscribe(room), broker.subscribe(other)]);
      broker.signal(room, { sender: 'c1', body: bodyOf(1) });
      await heard.until(() => heard.signals(room).length > 0, 'the signal');
      await caughtUp(fixture());
      expect(heard.signals(other)).toEqual([]);
    });

    it('takes no seq and is not kept', async () => {
      const { broker } = fixture();
      const room = newRoom();
      await publish(broker, room, 1);
      broker.signal(room, { sender: 'c1', body: bodyOf('gone') });
      await caughtUp(fixture());
      expect(await publish(broker, room, 2)).toMatchObject({ seq: 2 });
      expect((await broker.history(room, { limit: 10 })).entries).toHaveLength(2);
    });

    itOnTwoNodes('reaches every node once, the sending one included', fixture, async (one, two) => {
      const room = newRoom();
      await Promise.all([one.broker.subscribe(room), two.broker.subscribe(room)]);
      one.broker.signal(room, { sender: 'c1', to: { user: 'bob' }, body: bodyOf('hi') });
      for (const node of [one, two]) {
        await node.heard.until(() => node.heard.signals(room).length > 0, 'the signal');
        await caughtUp(node);
        expect(node.heard.signals(room)).toEqual([{ sender: 'c1', to: { user: 'bob' }, body: bodyOf('hi') }]);
      }
    });
  });
}
