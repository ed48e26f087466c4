/** `history`: pages at the borders of what is kept. Part of the broker contract. */
import { describe, expect, it } from 'vitest';
import type { HistoryQuery } from '../../src/broker/broker.ts';
import type { FixtureOf } from './store-fixture.ts';
import { bodyOf, LASTING, newRoom, publishNumbers, range, seqsOf } from './store-fixture.ts';

const KEPT = LASTING.historyMessages;
/** Ten messages of the room are gone: 11 is the oldest one kept. */
const TOP = KEPT + 10;
const FIRST = TOP - KEPT + 1;

interface PageCase {
  readonly query: HistoryQuery;
  readonly seqs: readonly number[];
  readonly more: boolean;
}

const PAGES: readonly PageCase[] = [
  { query: { limit: 5 }, seqs: range(TOP - 4, TOP), more: true },
  { query: { limit: KEPT - 1 }, seqs: range(FIRST + 1, TOP), more: true },
  { query: { limit: KEPT }, seqs: range(FIRST, TOP), more: false },
  { query: { limit: KEPT + 50 }, seqs: range(FIRST, TOP), more: false },
  { query: { before: TOP, limit: 3 }, seqs: range(TOP - 3, TOP - 1), more: true },
  { query: { before: TOP + 1, limit: 3 }, seqs: range(TOP - 2, TOP), more: true },
  { query: { before: TOP + 1_000, limit: 3 }, seqs: range(TOP - 2, TOP), more: true },
  { query: { before: FIRST + 4, limit: 3 }, seqs: range(FIRST + 1, FIRST + 3), more: true },
  { query: { before: FIRST + 3, limit: 3 }, seqs: range(FIRST, FIRST + 2), more: false },
  { query: { before: FIRST + 2, limit: 3 }, seqs: [FIRST, FIRST + 1], more: false },
  { query: { before: FIRST, limit: 3 }, seqs: [], more: false },
  { query: { before: 1, limit: 3 }, seqs: [], more: false },
  { query: { after: 0, limit: 3 }, seqs: range(FIRST, FIRST + 2), more: true },
  { query: { after: FIRST - 1, limit: 3 }, seqs: range(FIRST, FIRST + 2), more: true },
  { query: { after: FIRST, limit: 3 }, seqs: range(FIRST + 1, FIRST + 3), more: true },
  { query: { after: TOP - 4, limit: 3 }, seqs: range(TOP - 3, TOP - 1), more: true },
  { query: { after: TOP - 3, limit: 3 }, seqs: range(TOP - 2, TOP), more: false },
  { query: { after: TOP - 2, limit: 3 }, seqs: [TOP - 1, TOP], more: false },
  { query: { after: TOP, limit: 3 }, seqs: [], more: false },
  { query: { after: TOP + 1_000, limit: 3 }, seqs: [], more: false },
  { query: { after: 0, limit: KEPT }, seqs: range(FIRST, TOP), more: false },
];

export function describeHistory(fixture: FixtureOf): void {
  describe('history', () => {
    it('gives pages before, after and at the end, ascending, with the top and whether more is kept', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const epoch = await publishNumbers(broker, room, 1, TOP);
      for (const { query, seqs, more } of PAGES) {
        const page = await broker.history(room, query);
        const found = { seqs: seqsOf(page.entries), more: page.more, epoch: page.epoch, seq: page.seq };
        expect({ query, ...found }).toEqual({ query, seqs, more, epoch, seq: TOP });
        for (const entry of page.entries) expect(entry.body.equals(bodyOf(entry.seq))).toBe(true);
      }
    });

    it('gives an empty page of a room without messages, and creates it', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const page = await broker.history(room, { limit: 10 });
      expect(page).toEqual({ epoch: page.epoch, seq: 0, entries: [], more: false });
      expect(await broker.read(room, null, 1)).toMatchObject({ epoch: page.epoch, top: 0 });
      for (const query of [
        { before: 5, limit: 10 },
        { after: 0, limit: 10 },
      ]) {
        expect(await broker.history(room, query)).toEqual(page);
      }
    });

    it('walks backwards over a whole log without a hole', async () => {
      const { broker } = fixture();
      const room = newRoom();
      await publishNumbers(broker, room, 1, 23);
      const walked: number[] = [];
      let before: number | undefined;
      for (let pages = 0; pages < 10; pages += 1) {
        const page = await broker.history(room, { before, limit: 5 });
        walked.unshift(...seqsOf(page.entries));
        before = page.entries[0]?.seq;
        if (!page.more) break;
      }
      expect(walked).toEqual(range(1, 23));
    });
  });
}
