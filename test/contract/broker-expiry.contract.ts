/**
 * What time takes away, and how that is told. Part of the broker contract. Real
 * time for a store of its own, so the cases wait side by side.
 */
import { describe, expect, it } from 'vitest';
import type { StoreFixture, StoreSettings, StoreSetup } from './store-fixture.ts';
import { LASTING, newRoom, publish, publishNumbers, told } from './store-fixture.ts';

/** More than any of these rooms keeps. */
const ALL = 1_000;
/** One life of a room is over soon; nothing else is, before it. */
const SHORT_LIFE = { historyTtlS: 1, metaTtlS: 2 };
const OVER_MS = 2_600;

export function describeExpiry(setup: StoreSetup): void {
  async function withStore(settings: Partial<StoreSettings>, run: (store: StoreFixture) => Promise<void>) {
    const store = await setup({ ...LASTING, ...settings });
    try {
      await run(store);
    } finally {
      await store.teardown();
    }
  }

  describe('what time takes away', () => {
    it.concurrent('a key after onceTtlMs', () =>
      withStore({ onceTtlMs: 300 }, async ({ broker, elapse }) => {
        const room = newRoom();
        await publish(broker, room, 1, { key: 'k' });
        await elapse(500);
        expect(await publish(broker, room, 2, { key: 'k' })).toMatchObject({ seq: 2, duplicate: false });
      }));

    it.concurrent('the whole log historyTtlS after its last message: trimmed, the numbering stays', () =>
      withStore({ historyTtlS: 2 }, async ({ broker, elapse }) => {
        const room = newRoom();
        const epoch = await publishNumbers(broker, room, 1, 2);
        await elapse(1_200);
        await publishNumbers(broker, room, 3, 3);
        await elapse(1_200);
        // Messages 1 and 2 are older than the time to live, but the log is not.
        expect(told(await broker.read(room, { epoch, seq: 0 }, ALL))).toEqual(['ok', 3, [1, 2, 3]]);
        await elapse(2_300);
        expect(told(await broker.read(room, { epoch, seq: 0 }, ALL))).toEqual(['trimmed', 3, []]);
        expect(told(await broker.read(room, { epoch, seq: 2 }, ALL))).toEqual(['trimmed', 3, []]);
        expect(told(await broker.read(room, { epoch, seq: 3 }, ALL))).toEqual(['ok', 3, []]);
        expect(told(await broker.read(room, { epoch, seq: 4 }, ALL))).toEqual(['diverged', 3, []]);
        expect(await broker.history(room, { limit: 10 })).toEqual({
          epoch,
          seq: 3,
          entries: [],
          more: false,
        });
        await publishNumbers(broker, room, 4, 4);
        expect(told(await broker.read(room, { epoch, seq: 3 }, ALL))).toEqual(['ok', 4, [4]]);
        expect(told(await broker.read(room, { epoch, seq: 2 }, ALL))).toEqual(['trimmed', 4, [4]]);
      }));

    it.concurrent('a room nobody used for metaTtlS: lost, it begins anew under another epoch', () =>
      withStore(SHORT_LIFE, async ({ broker, elapse }) => {
        const room = newRoom();
        const epoch = await publishNumbers(broker, room, 1, 3);
        await elapse(OVER_MS);
        const lost = await broker.read(room, { epoch, seq: 3 }, ALL);
        expect(told(lost)).toEqual(['lost', 0, []]);
        expect(lost.epoch).not.toBe(epoch);
      }));

    it.concurrent('a key with the life of its room: its position would name another message', () =>
      withStore(SHORT_LIFE, async ({ broker, elapse }) => {
        const room = newRoom();
        const first = await publish(broker, room, 1, { key: 'k' });
        await publish(broker, room, 2);
        await elapse(OVER_MS);
        const again = await publish(broker, room, 3, { key: 'k' });
        expect(again).toMatchObject({ seq: 1, duplicate: false });
        expect(again.epoch).not.toBe(first.epoch);
      }));
  });
}
