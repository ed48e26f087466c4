import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/core/entry.ts';
import { entryBytes, RoomBuffer } from '../../src/core/room-buffer.ts';

const LIMITS = { ringMessages: 4, ringBytes: 1_000_000 };

function entry(seq: number, bytes = 1): Entry {
  return { seq, ts: 0, body: Buffer.alloc(bytes) };
}

function filled(from: number, to: number, limits = LIMITS): RoomBuffer {
  const ring = new RoomBuffer(limits);
  for (let seq = from; seq <= to; seq += 1) ring.append('e1', entry(seq));
  return ring;
}

function seqsAfter(ring: RoomBuffer, seq: number, epoch = 'e1'): number[] | undefined {
  return ring.after({ epoch, seq })?.map((kept) => kept.seq);
}

describe('the ring of a room', () => {
  it('tells nothing while it is empty', () => {
    expect(seqsAfter(new RoomBuffer(LIMITS), 0, '')).toBeUndefined();
    expect(seqsAfter(new RoomBuffer(LIMITS), 0)).toBeUndefined();
  });

  it('reaches from right before its oldest entry to its newest, and not beyond', () => {
    const ring = filled(5, 8);
    expect(seqsAfter(ring, 3)).toBeUndefined();
    expect(seqsAfter(ring, 4)).toEqual([5, 6, 7, 8]);
    expect(seqsAfter(ring, 7)).toEqual([8]);
    expect(seqsAfter(ring, 8)).toEqual([]);
    expect(seqsAfter(ring, 9)).toBeUndefined();
  });

  it('knows one epoch only', () => {
    expect(seqsAfter(filled(1, 3), 1, 'e2')).toBeUndefined();
  });

  it('keeps the newest messages of its limit', () => {
    const ring = filled(1, 10);
    expect(ring.length).toBe(4);
    expect(seqsAfter(ring, 6)).toEqual([7, 8, 9, 10]);
    expect(seqsAfter(ring, 5)).toBeUndefined();
  });

  it('keeps the newest bytes of its limit', () => {
    const ring = new RoomBuffer({ ringMessages: 100, ringBytes: 3 * entryBytes(entry(1, 50)) });
    for (let seq = 1; seq <= 9; seq += 1) ring.append('e1', entry(seq, 50));
    expect(seqsAfter(ring, 6)).toEqual([7, 8, 9]);
    ring.append('e1', entry(10, 60));
    expect(seqsAfter(ring, 8)).toEqual([9, 10]);
    expect(ring.bytes).toBe(entryBytes(entry(9, 50)) + entryBytes(entry(10, 60)));
  });

  it('takes older entries in front of what it keeps: the newest of them, without a hole, as far as there is room', () => {
    const entries = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, n) => entry(from + n));
    const ring = filled(7, 8);
    ring.prepend('e1', entries(1, 5));
    ring.prepend('e2', entries(1, 6));
    expect(seqsAfter(ring, 5)).toBeUndefined();
    ring.prepend('e1', entries(2, 7));
    expect([seqsAfter(ring, 3), seqsAfter(ring, 4)]).toEqual([undefined, [5, 6, 7, 8]]);
    ring.append('e1', entry(9));
    expect([ring.length, seqsAfter(ring, 5)]).toEqual([4, [6, 7, 8, 9]]);
    expect(ring.bytes).toBe(4 * entryBytes(entry(1)));
    const empty = new RoomBuffer({ ringMessages: 100, ringBytes: 2 * entryBytes(entry(1)) });
    empty.prepend('e1', entries(1, 5));
    expect([empty.bytes, seqsAfter(empty, 3)]).toEqual([2 * entryBytes(entry(1)), [4, 5]]);
  });

  it('does not keep an entry bigger than itself, and goes on after it', () => {
    const ring = new RoomBuffer({ ringMessages: 100, ringBytes: 1000 });
    ring.append('e1', entry(1));
    ring.append('e1', entry(2, 5000));
    expect([ring.length, ring.bytes]).toEqual([0, 0]);
    ring.append('e1', entry(3));
    expect(seqsAfter(ring, 2)).toEqual([3]);
    expect(seqsAfter(ring, 1)).toBeUndefined();
  });

  it('of no messages keeps none', () => {
    const ring = filled(1, 3, { ringMessages: 0, ringBytes: 1000 });
    expect([ring.length, ring.bytes]).toEqual([0, 0]);
  });

  it.each([
    ['a hole', 'e1', 6],
    ['a step back', 'e1', 3],
    ['the same number again', 'e1', 4],
    ['another epoch', 'e2', 5],
  ])('is emptied by %s: what it held no longer joins on', (_, epoch, seq) => {
    const ring = filled(1, 4);
    ring.append(epoch, entry(seq));
    expect(ring.length).toBe(1);
    expect(seqsAfter(ring, seq - 1, epoch)).toEqual([seq]);
    expect(seqsAfter(ring, 1)).toBeUndefined();
  });

  it('keeps a copy of its own: neither the read chunk nor the pool that the body came in stays alive', () => {
    const chunk = Buffer.from('..hello..');
    const ring = new RoomBuffer(LIMITS);
    ring.append('e1', { seq: 1, ts: 7, body: chunk.subarray(2, 7) });
    chunk.fill(0);
    const [kept] = ring.after({ epoch: 'e1', seq: 0 }) ?? [];
    expect([kept?.seq, kept?.ts, kept?.body.toString()]).toEqual([1, 7, 'hello']);
    // Beside the message there are other messages of this room, and nothing else.
    expect(kept?.body.buffer.byteLength).toBe(512);
  });

  it('never writes again to what it once gave out', () => {
    const ring = new RoomBuffer({ ringMessages: 3, ringBytes: 1_000_000 });
    const given: { text: string; body: Buffer | undefined }[] = [];
    for (let seq = 1; seq <= 200; seq += 1) {
      const text = `message ${seq}`;
      ring.append('e1', { seq, ts: seq, body: Buffer.from(text) });
      given.push({ text, body: ring.after({ epoch: 'e1', seq: seq - 1 })?.[0]?.body });
    }
    expect(given.map(({ body }) => body?.toString())).toEqual(given.map(({ text }) => text));
  });

  describe('asked for the newest', () => {
    const at = (seq: number, epoch = 'e1') => ({ epoch, seq });
    const newest = (ring: RoomBuffer, seq: number, count: number, epoch?: string) =>
      ring.newest(at(seq, epoch), count)?.map((kept) => kept.seq);

    it('gives them where it has so many, or all that there ever were', () => {
      const ring = filled(5, 8);
      expect(newest(ring, 8, 3)).toEqual([6, 7, 8]);
      expect(newest(ring, 8, 4)).toEqual([5, 6, 7, 8]);
      expect(newest(ring, 8, 5)).toBeUndefined();
      expect(newest(ring, 8, 3, 'e2')).toBeUndefined();
      expect(newest(ring, 9, 3)).toBeUndefined();
      expect(newest(filled(1, 3), 3, 10)).toEqual([1, 2, 3]);
    });

    it('gives fewer once it knows that the store keeps no older ones', () => {
      const ring = filled(5, 6);
      ring.nothingBefore(at(6), 4);
      expect(newest(ring, 6, 10)).toBeUndefined();
      ring.nothingBefore(at(6, 'e2'), 5);
      expect(newest(ring, 6, 10)).toBeUndefined();
      ring.nothingBefore(at(6), 5);
      expect(newest(ring, 6, 10)).toEqual([5, 6]);
      ring.append('e1', entry(7));
      expect(newest(ring, 7, 10)).toEqual([5, 6, 7]);
      // What it drops itself, the store may have.
      ring.append('e1', entry(8));
      ring.append('e1', entry(9));
      expect(ring.length).toBe(4);
      expect(newest(ring, 9, 10)).toBeUndefined();
    });

    it('gives none where nothing is kept, until something is, or something was missed', () => {
      const ring = new RoomBuffer(LIMITS);
      expect(newest(ring, 20, 10)).toBeUndefined();
      ring.nothingBefore(at(20), 20);
      expect(newest(ring, 20, 10)).toBeUndefined();
      ring.nothingBefore(at(20), 21);
      expect(newest(ring, 20, 10)).toEqual([]);
      ring.append('e1', entry(21));
      expect(newest(ring, 21, 10)).toEqual([21]);
      ring.append('e1', entry(23));
      expect(newest(ring, 23, 10)).toBeUndefined();
    });
  });

  it('makes no more entries than are asked for, and those once', () => {
    const ring = filled(1, 4);
    const [third] = ring.after({ epoch: 'e1', seq: 2 }) ?? [];
    expect(ring.after({ epoch: 'e1', seq: 2 })?.[0]).toBe(third);
    expect(seqsAfter(ring, 0)).toEqual([1, 2, 3, 4]);
    expect(seqsAfter(ring, 3)).toEqual([4]);
  });

  it('gives back its memory when cleared', () => {
    const ring = filled(1, 4);
    ring.clear();
    expect([ring.length, ring.bytes]).toEqual([0, 0]);
    expect(seqsAfter(ring, 4)).toBeUndefined();
  });

  it('agrees with a plain array that keeps a contiguous tail', () => {
    const step = fc.record({
      epoch: fc.constantFrom('e1', 'e1', 'e1', 'e1', 'e1', 'e1', 'e2'),
      jump: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 2, 0, -3),
      bytes: fc.constantFrom(0, 1, 100, 400, 3000),
    });
    const limits = fc.record({
      ringMessages: fc.integer({ min: 0, max: 9 }),
      ringBytes: fc.integer({ min: 0, max: 4000 }),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 120 }), (bounds, steps) => {
        const ring = new RoomBuffer(bounds);
        let model: Entry[] = [];
        let epoch = '';
        let seq = 100;
        for (const { epoch: next, jump, bytes } of steps) {
          // What was appended last counts, also where the limits did not let it stay.
          if (next !== epoch || jump !== 1) model = [];
          epoch = next;
          seq += jump;
          model.push(entry(seq, bytes));
          ring.append(epoch, entry(seq, bytes));
          const size = () => model.reduce((sum, kept) => sum + entryBytes(kept), 0);
          while (model.length > bounds.ringMessages || size() > bounds.ringBytes) model.shift();
          expect([ring.length, ring.bytes]).toEqual([model.length, size()]);
          const first = model[0]?.seq ?? seq + 1;
          if (model.length === 0) continue;
          for (const since of [first - 2, first - 1, first, seq - 1, seq, seq + 1]) {
            const expected =
              since < first - 1 || since > seq ? undefined : model.filter((kept) => kept.seq > since);
            expect(seqsAfter(ring, since, epoch)).toEqual(expected?.map((kept) => kept.seq));
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
