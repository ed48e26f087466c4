/** Publishing and hearing: numbers, order, and who is told what. Part of the broker contract. */
import { describe, expect, it } from 'vitest';
import type { FixtureOf } from './store-fixture.ts';
import { bodyOf, caughtUp, itOnTwoNodes, newRoom, publish, range, seqsOf } from './store-fixture.ts';

const LANES = 12;
const PER_LANE = 15;
const ALL_NAME_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-';
const KB = 1_024;

export function describePublish(fixture: FixtureOf): void {
  describe('publish', () => {
    it('numbers a room from 1 by exactly 1, under one epoch of the form e.token', async () => {
      const { broker } = fixture();
      const room = newRoom();
      const receipts = [];
      for (const number of range(1, 5)) receipts.push(await publish(broker, room, number));
      const epoch = receipts[0]?.epoch;
      expect(epoch).toMatch(/^[^.]+\.[^.]+$/);
      expect(receipts).toEqual(range(1, 5).map((seq) => ({ epoch, seq, duplicate: false })));
    });

    it('numbers every room for itself, under an epoch of its own', async () => {
      const { broker } = fixture();
      const [first, second] = [newRoom(), newRoom()];
      const a = await publish(broker, first, 1);
      const b = await publish(broker, second, 1);
      expect([a.seq, b.seq]).toEqual([1, 1]);
      expect(a.epoch).not.toBe(b.epoch);
    });

    it('tells the publisher its own message, as it is stored', async () => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await broker.subscribe(room);
      const receipt = await publish(broker, room, 'mine');
      await heard.until(() => heard.messages(room).length > 0, 'the own copy');
      const [told] = heard.messages(room);
      expect(told?.epoch).toBe(receipt.epoch);
      expect(told?.entry.seq).toBe(1);
      expect(told?.entry.body.equals(bodyOf('mine'))).toBe(true);
      const stored = await broker.history(room, { limit: 1 });
      expect(stored.entries[0]?.ts).toBe(told?.entry.ts);
      expect(Number.isSafeInteger(told?.entry.ts)).toBe(true);
    });

    it('keeps the order of each lane under concurrent publishes of many lanes', async () => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await broker.subscribe(room);
      const byLane = range(1, LANES).map((): Promise<{ seq: number }>[] => []);
      for (const number of range(1, PER_LANE)) {
        byLane.forEach((calls, lane) => {
          calls.push(publish(broker, room, `${lane}:${number}`, { lane: `lane-${lane}` }));
        });
      }
      const total = LANES * PER_LANE;
      const lanes = await Promise.all(byLane.map((calls) => Promise.all(calls)));
      const seqs = lanes.map((receipts) => receipts.map((receipt) => receipt.seq));
      for (const lane of seqs) expect(lane).toEqual(lane.toSorted((a, b) => a - b));
      expect(seqs.flat().toSorted((a, b) => a - b)).toEqual(range(1, total));

      await heard.until(() => heard.messages(room).length >= total, 'every message of every lane');
      const told = heard.messages(room).map((message) => message.entry);
      expect(seqsOf(told)).toEqual(range(1, total));
      seqs.forEach((lane, index) => {
        lane.forEach((seq, call) => {
          expect(told[seq - 1]?.body.equals(bodyOf(`${index}:${call + 1}`))).toBe(true);
        });
      });
    });

    it('keeps the order of one lane in each of several rooms', async () => {
      const { broker } = fixture();
      const rooms = [newRoom(), newRoom(), newRoom()];
      const calls = range(1, 20).flatMap((number) => rooms.map((room) => publish(broker, room, number)));
      const receipts = await Promise.all(calls);
      rooms.forEach((_, index) => {
        const own = receipts.filter((_receipt, call) => call % rooms.length === index);
        expect(own.map((receipt) => receipt.seq)).toEqual(range(1, 20));
      });
    });

    it.each([
      ['unicode, escapes and quotes', '"data":"ж ☃ 😀 \\u0000 \\n \\" %s {rc1} $1"}'],
      ['control characters', String.fromCharCode(...range(0, 127))],
      ['line breaks', '\n"data":1}\r\n\n'],
      ['32 KB', 'x'.repeat(32 * KB)],
      ['an empty body', ''],
    ])('keeps a body byte by byte: %s', async (_, body) => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await broker.subscribe(room);
      const { epoch } = await publish(broker, room, null, { body });
      await heard.until(() => heard.messages(room).length > 0, 'the body');
      expect(heard.messages(room)[0]?.entry.body.toString()).toBe(body);
      const read = await broker.read(room, { epoch, seq: 0 }, 10);
      expect(read).toMatchObject({ verdict: 'ok' });
      expect('entries' in read && read.entries[0]?.body.toString()).toBe(body);
      const page = await broker.history(room, { limit: 1 });
      expect(page.entries[0]?.body.toString()).toBe(body);
    });

    it.each([
      ['every allowed character', `${ALL_NAME_CHARACTERS}/n1`],
      ['128 characters', 'r'.repeat(128)],
      ['an inbox', '@ann'],
      ['one character', '-'],
    ])('takes a room name of %s', async (_, room) => {
      const { broker, heard } = fixture();
      await broker.subscribe(room);
      const receipt = await publish(broker, room, room);
      await heard.until(() => heard.messages(room).length > 0, room);
      expect(heard.messages(room)).toHaveLength(1);
      expect(receipt.seq).toBe(1);
      await broker.unsubscribe(room);
    });
  });

  describeSubscribe(fixture);
}

function describeSubscribe(fixture: FixtureOf): void {
  describe('subscribe', () => {
    it('tells everything that is published after it resolved', async () => {
      const { broker, heard } = fixture();
      const rooms = range(1, 60).map(() => newRoom());
      await Promise.all(
        rooms.map(async (room) => {
          await broker.subscribe(room);
          await publish(broker, room, 'first');
        }),
      );
      await heard.until(() => rooms.every((room) => heard.messages(room).length > 0), 'all 60 rooms');
      for (const room of rooms) expect(seqsOf(heard.messages(room).map((told) => told.entry))).toEqual([1]);
    });

    it('is idempotent: a room subscribed twice is told once, and one unsubscribe ends it', async () => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await Promise.all([broker.subscribe(room), broker.subscribe(room)]);
      await broker.subscribe(room);
      await publish(broker, room, 1);
      await caughtUp(fixture());
      expect(heard.messages(room)).toHaveLength(1);
      await broker.unsubscribe(room);
      await publish(broker, room, 2);
      await caughtUp(fixture());
      expect(heard.messages(room)).toHaveLength(1);
    });

    it('tells nothing of a room never subscribed, nor of one unsubscribed', async () => {
      const { broker, heard, presence } = fixture();
      const [never, left] = [newRoom(), newRoom()];
      await broker.subscribe(left);
      await broker.unsubscribe(left);
      for (const room of [never, left]) {
        await publish(broker, room, 1);
        broker.signal(room, { sender: 'c1', body: bodyOf('typing') });
        await presence.hold(room, 'ann', '{}', false);
        await presence.drop(room, 'ann', 'left');
      }
      await caughtUp(fixture());
      expect(heard.heard.filter((event) => 'room' in event && [never, left].includes(event.room))).toEqual(
        [],
      );
    });

    it('hears again after a second subscribe; what came between is read, not told', async () => {
      const { broker, heard } = fixture();
      const room = newRoom();
      await broker.subscribe(room);
      await publish(broker, room, 1);
      await caughtUp(fixture());
      await broker.unsubscribe(room);
      const { epoch } = await publish(broker, room, 2);
      await broker.subscribe(room);
      await publish(broker, room, 3);
      await caughtUp(fixture());
      expect(seqsOf(heard.messages(room).map((told) => told.entry))).toEqual([1, 3]);
      const between = await broker.read(room, { epoch, seq: 1 }, 10);
      expect('entries' in between && seqsOf(between.entries)).toEqual([2, 3]);
    });

    it('unsubscribes a room that was never subscribed', async () => {
      await expect(fixture().broker.unsubscribe(newRoom())).resolves.toBeUndefined();
    });

    itOnTwoNodes('tells every node the same messages in the same order', fixture, async (one, two) => {
      const room = newRoom();
      await Promise.all([one.broker.subscribe(room), two.broker.subscribe(room)]);
      const calls = range(1, 100).map((number) => {
        return publish(number % 2 === 0 ? one.broker : two.broker, room, number);
      });
      await Promise.all(calls);
      for (const node of [one, two]) {
        await node.heard.until(() => node.heard.messages(room).length >= 100, 'all of both nodes');
      }
      expect(seqsOf(one.heard.messages(room).map((told) => told.entry))).toEqual(range(1, 100));
      expect(two.heard.messages(room)).toEqual(one.heard.messages(room));
    });
  });
}
