/** `read`: every verdict, at its borders. Part of the broker contract. */
import { describe, expect, it } from 'vitest';
import type { FixtureOf } from './store-fixture.ts';
import { itOnTwoNodes, LASTING, newRoom, publish, publishNumbers, range, told } from './store-fixture.ts';

const KEPT = LASTING.historyMessages;
/** More than any of these rooms keeps. */
const ALL = 1_000;

export function describeRead(fixture: FixtureOf): void {
  describe('read', () => {
    it('creates the room and tells only its top where no position is given', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const created = await broker.read(room, null, ALL);
      expect(created).toEqual({ verdict: 'fresh', epoch: created.epoch, top: 0, presenceVersion: 0 });
      expect(created.epoch).toMatch(/^[^.]+\.[^.]+$/);
      expect(await broker.read(room, null, ALL)).toEqual(created);
      const receipt = await publish(broker, room, 1);
      expect(receipt).toEqual({ epoch: created.epoch, seq: 1, duplicate: false });
      expect(await broker.read(room, null, ALL)).toEqual({ ...created, top: 1 });
    });

    it('ok: everything after the position, up to the top', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const { epoch } = await broker.read(room, null, ALL);
      expect(told(await broker.read(room, { epoch, seq: 0 }, ALL))).toEqual(['ok', 0, []]);
      await publishNumbers(broker, room, 1, 10);
      const whole = await broker.read(room, { epoch, seq: 0 }, ALL);
      expect(told(whole)).toEqual(['ok', 10, range(1, 10)]);
      expect(whole).toMatchObject({ epoch, terms: [] });
      expect(told(await broker.read(room, { epoch, seq: 7 }, ALL))).toEqual(['ok', 10, [8, 9, 10]]);
      expect(told(await broker.read(room, { epoch, seq: 9 }, ALL))).toEqual(['ok', 10, [10]]);
      const atTop = await broker.read(room, { epoch, seq: 10 }, ALL);
      expect(told(atTop)).toEqual(['ok', 10, []]);
      expect(atTop.epoch).toBe(epoch);
    });

    it('more: the limit ends it, and reading on from the last entry misses nothing', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const epoch = await publishNumbers(broker, room, 1, 10);
      expect(told(await broker.read(room, { epoch, seq: 0 }, 4))).toEqual(['more', 10, [1, 2, 3, 4]]);
      expect(told(await broker.read(room, { epoch, seq: 4 }, 4))).toEqual(['more', 10, [5, 6, 7, 8]]);
      expect(told(await broker.read(room, { epoch, seq: 8 }, 4))).toEqual(['ok', 10, [9, 10]]);
      expect(told(await broker.read(room, { epoch, seq: 6 }, 4))).toEqual(['ok', 10, range(7, 10)]);
      expect(told(await broker.read(room, { epoch, seq: 5 }, 4))).toEqual(['more', 10, range(6, 9)]);
      expect(told(await broker.read(room, { epoch, seq: 0 }, 1))).toEqual(['more', 10, [1]]);
    });

    it('diverged: a position above the top was never given out by this stream', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const epoch = await publishNumbers(broker, room, 1, 3);
      const above = await broker.read(room, { epoch, seq: 4 }, ALL);
      expect(told(above)).toEqual(['diverged', 3, []]);
      expect(above.epoch).toBe(epoch);
      expect(told(await broker.read(room, { epoch, seq: 1_000_000_000 }, ALL))).toEqual(['diverged', 3, []]);
      const empty = newRoom();
      const created = await broker.read(empty, null, ALL);
      const ahead = await broker.read(empty, { epoch: created.epoch, seq: 1 }, ALL);
      expect(told(ahead)).toEqual(['diverged', 0, []]);
    });

    it('lost: the epoch of another room, with the newest of what is kept', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const own = await publishNumbers(broker, room, 1, 10);
      const foreign = await publishNumbers(broker, newRoom(), 1, 5);
      const lost = await broker.read(room, { epoch: foreign, seq: 5 }, ALL);
      expect(told(lost)).toEqual(['lost', 10, range(1, 10)]);
      expect(lost.epoch).toBe(own);
      expect(told(await broker.read(room, { epoch: foreign, seq: 5 }, 3))).toEqual(['lost', 10, [8, 9, 10]]);
      expect(told(await broker.read(room, { epoch: foreign, seq: 0 }, 10))).toEqual([
        'lost',
        10,
        range(1, 10),
      ]);
      const beyond = await broker.read(room, { epoch: foreign, seq: 99 }, 2);
      expect(told(beyond)).toEqual(['lost', 10, [9, 10]]);
    });

    it('lost: any position in a room nobody knows, which begins with that', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const lost = await broker.read(room, { epoch: 'aaaaaaaaaa.bbbbbbbbbb', seq: 7 }, ALL);
      expect(told(lost)).toEqual(['lost', 0, []]);
      expect(await broker.read(room, { epoch: lost.epoch, seq: 0 }, ALL)).toMatchObject({ verdict: 'ok' });
    });

    it('lost: epochs that are none', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const own = await publishNumbers(broker, room, 1, 2);
      const [life, term] = own.split('.');
      const garbage = [
        '',
        '.',
        '..',
        'x',
        `${life}`,
        `${life}.`,
        `.${term}`,
        `${own}.`,
        `${own}.x`,
        `${term}.${life}`,
      ];
      garbage.push(
        `${life}.0000000000`,
        `0000000000.${term}`,
        `${own} `,
        `${own}\n`,
        `${own}:1`,
        own.toUpperCase(),
      );
      garbage.push(
        '*',
        '%s',
        `${life}.%x+`,
        `${life}.[`,
        `${life}.;`,
        `${life}.${term}:1;${term}`,
        'ж.😀',
        'e'.repeat(5_000),
      );
      for (const epoch of garbage.filter((candidate) => candidate !== own)) {
        const lost = await broker.read(room, { epoch, seq: 1 }, ALL);
        expect([epoch, told(lost), lost.epoch]).toEqual([epoch, ['lost', 2, [1, 2]], own]);
      }
    });

    it('trimmed: the room keeps the newest historyMessages, and not one fewer', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const top = KEPT + 10;
      const epoch = await publishNumbers(broker, room, 1, top);
      const first = top - KEPT + 1;
      const kept = range(first, top);
      expect(told(await broker.read(room, { epoch, seq: first - 1 }, ALL))).toEqual(['ok', top, kept]);
      const trimmed = await broker.read(room, { epoch, seq: first - 2 }, ALL);
      expect(told(trimmed)).toEqual(['trimmed', top, kept]);
      expect(trimmed.epoch).toBe(epoch);
      expect(told(await broker.read(room, { epoch, seq: 0 }, 5))).toEqual([
        'trimmed',
        top,
        range(top - 4, top),
      ]);
      const foreign = await broker.read(room, { epoch: 'x.y', seq: 0 }, ALL);
      expect(told(foreign)).toEqual(['lost', top, kept]);
    });

    itOnTwoNodes('answers the same on every node', fixture, async (one, two) => {
      const room = newRoom();
      const epoch = await publishNumbers(one.broker, room, 1, 5);
      for (const since of [null, { epoch, seq: 2 }, { epoch, seq: 9 }, { epoch: 'x.y', seq: 2 }]) {
        expect(await two.broker.read(room, since, 10)).toEqual(await one.broker.read(room, since, 10));
      }
    });
  });
}
