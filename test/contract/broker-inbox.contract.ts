/** Inboxes: kept by limits of their own, and marked as read. Part of the broker contract. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FixtureOf, StoreFixture, StoreSettings, StoreSetup } from './store-fixture.ts';
import {
  itOnTwoNodes,
  LASTING,
  newRoom,
  publish,
  publishNumbers,
  presenceReady,
  range,
  seqsOf,
  told,
} from './store-fixture.ts';

const ALL = 1_000;
const newInbox = () => `@${newRoom('user')}`;

type Step = { readonly kind: 'send' } | { readonly kind: 'mark'; readonly seq: number };

export function describeInboxes(fixture: FixtureOf, runs: number): void {
  describe('inboxes', () => {
    it('keep the newest inboxMessages, and not one fewer', async () => {
      const { broker } = fixture();
      const inbox = newInbox();
      const kept = LASTING.inboxMessages;
      const epoch = await publishNumbers(broker, inbox, 1, kept);
      expect(told(await broker.read(inbox, { epoch, seq: 0 }, ALL))).toEqual(['ok', kept, range(1, kept)]);
      await publishNumbers(broker, inbox, kept + 1, kept + 1);
      expect(told(await broker.read(inbox, { epoch, seq: 0 }, ALL))).toEqual([
        'trimmed',
        kept + 1,
        range(2, kept + 1),
      ]);
    });

    it('keep the same key of two senders apart, and know a repeat of each', async () => {
      const { broker } = fixture();
      const inbox = newInbox();
      const ann = await publish(broker, inbox, 1, { key: 'k', user: 'ann' });
      const bob = await publish(broker, inbox, 2, { key: 'k', user: 'bob' });
      expect([ann.seq, bob.seq]).toEqual([1, 2]);
      const again = await publish(broker, inbox, 1, { key: 'k', user: 'ann', lane: 'after a reconnect' });
      expect(again).toEqual({ ...ann, duplicate: true });
    });

    it('have their mark before the first message until something is marked', async () => {
      const { broker } = fixture();
      const inbox = newInbox();
      const { epoch } = await broker.readMark(inbox);
      expect((await publish(broker, inbox, 1)).epoch).toBe(epoch);
      expect(await broker.readMark(inbox)).toEqual({ epoch, seq: 0 });
      expect(told(await broker.read(inbox, { epoch, seq: 0 }, ALL))).toEqual(['ok', 1, [1]]);
    });

    it('take no mark of another stream, none beyond the top, and none of an inbox nobody wrote to', async () => {
      const { broker } = fixture();
      const inbox = newInbox();
      expect(await broker.markRead(inbox, { epoch: 'aaaaaaaaaa.bbbbbbbbbb', seq: 0 })).toBe(false);
      const epoch = await publishNumbers(broker, inbox, 1, 3);
      for (const position of [
        { epoch, seq: 4 },
        { epoch: 'aaaaaaaaaa.bbbbbbbbbb', seq: 1 },
        { epoch: 'made up', seq: 1 },
      ]) {
        expect(await broker.markRead(inbox, position)).toBe(false);
        expect((await broker.readMark(inbox)).seq).toBe(0);
      }
      expect(await broker.markRead(inbox, { epoch, seq: 3 })).toBe(true);
    });

    it('have a mark that is the highest ever taken, in whatever order marks come', () =>
      fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const { broker } = fixture();
          const inbox = newInbox();
          let { epoch } = await broker.readMark(inbox);
          let [top, mark] = [0, 0];
          for (const one of steps) {
            if (one.kind === 'send') {
              ({ epoch, seq: top } = await publish(broker, inbox, top));
            } else {
              const taken = await broker.markRead(inbox, { epoch, seq: one.seq });
              expect(taken).toBe(one.seq <= top);
              if (taken) mark = Math.max(mark, one.seq);
            }
            expect(await broker.readMark(inbox)).toEqual({ epoch, seq: mark });
          }
        }),
        { numRuns: runs },
      ));

    it('are not moved back by marks that are set at once', async () => {
      const { broker } = fixture();
      const inbox = newInbox();
      const epoch = await publishNumbers(broker, inbox, 1, 20);
      const marks = range(1, 20).map((seq) => broker.markRead(inbox, { epoch, seq: (seq * 8) % 21 }));
      expect(await Promise.all(marks)).toEqual(range(1, 20).map(() => true));
      expect(await broker.readMark(inbox)).toEqual({ epoch, seq: 20 });
    });

    itOnTwoNodes('share the mark between nodes', fixture, async (one, two) => {
      const inbox = newInbox();
      const epoch = await publishNumbers(one.broker, inbox, 1, 3);
      expect(await two.broker.markRead(inbox, { epoch, seq: 2 })).toBe(true);
      expect(await one.broker.readMark(inbox)).toEqual({ epoch, seq: 2 });
    });
  });
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ kind: 'send' } as const),
  fc.record({ kind: fc.constant('mark' as const), seq: fc.nat({ max: 12 }) }),
);

export function describeInboxExpiry(setup: StoreSetup): void {
  async function withStore(settings: Partial<StoreSettings>, run: (store: StoreFixture) => Promise<void>) {
    const store = await setup({ ...LASTING, ...settings });
    try {
      await run(store);
    } finally {
      await store.teardown();
    }
  }

  describe('what time takes away of inboxes', () => {
    it.concurrent('nothing when rooms expire, whoever comes and goes under the same name meanwhile', () =>
      withStore({ historyTtlS: 1, metaTtlS: 2, inboxTtlS: 60 }, async (store) => {
        await presenceReady(store);
        const { broker, presence, elapse } = store;
        const [room, inbox] = [newRoom(), newInbox()];
        const epoch = await publishNumbers(broker, inbox, 1, 3);
        await publishNumbers(broker, room, 1, 3);
        await broker.markRead(inbox, { epoch, seq: 1 });
        await presence.hold(inbox, inbox.slice(1), '{}', false);
        await presence.drop(inbox, inbox.slice(1), 'left');
        await elapse(2_600);
        expect((await broker.history(room, { limit: ALL })).entries).toEqual([]);
        expect(await broker.readMark(inbox)).toEqual({ epoch, seq: 1 });
        expect(seqsOf((await broker.history(inbox, { limit: ALL })).entries)).toEqual([1, 2, 3]);
      }));

    it.concurrent('its messages after inboxTtlS, and its mark and numbering no sooner', () =>
      withStore({ metaTtlS: 1, inboxTtlS: 2 }, async ({ broker, elapse }) => {
        const inbox = newInbox();
        const epoch = await publishNumbers(broker, inbox, 1, 3);
        await broker.markRead(inbox, { epoch, seq: 1 });
        await elapse(2_600);
        expect(await broker.readMark(inbox)).toEqual({ epoch, seq: 1 });
        expect(told(await broker.read(inbox, { epoch, seq: 1 }, ALL))).toEqual(['trimmed', 3, []]);
      }));
  });
}
