/** What a position says about messages and receipts, for any way a stream may be cut and repeated. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Stream } from '../../src/client/stream.ts';

const at = (seq: number) => ({ seq, ts: seq });

test('whatever is repeated and wherever it is cut and resumed, each message comes out once and in order', () => {
  const cut = fc.record({
    live: fc.array(fc.integer({ min: 1, max: 40 })),
    resumeTo: fc.integer({ min: 0, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 12 }), (cuts) => {
      const stream = new Stream();
      stream.join({ epoch: 'e', seq: 0 }, [], false);
      const out: number[] = [];
      for (const { live, resumeTo } of cuts) {
        for (const seq of live) if (stream.take(at(seq)) === 'new') out.push(seq);
        const from = stream.position?.seq ?? 0;
        const top = Math.max(from, resumeTo);
        // A server may send a little more than was asked for; never less.
        const first = Math.max(1, from - 2);
        const messages = Array.from({ length: top - first + 1 }, (_, n) => at(first + n)).filter(
          ({ seq }) => seq <= top,
        );
        out.push(...stream.join({ epoch: 'e', seq: top }, messages, true).map(({ seq }) => seq));
      }
      expect(out).toEqual(Array.from({ length: stream.position?.seq ?? 0 }, (_, n) => n + 1));
    }),
  );
});

test('a hole is seen as one and does not move the position', () => {
  const stream = new Stream();
  stream.move('e', 3);
  expect([stream.take(at(5)), stream.take(at(4)), stream.take(at(5))]).toEqual(['gap', 'new', 'new']);
});

test('a receipt is safe once passed, void once its epoch ended before it, and open as long as nobody knows', () => {
  const stream = new Stream();
  stream.move('e.1', 3);
  const judge = (epoch: string, seq: number): string => stream.judge({ epoch, seq });
  expect([judge('e.1', 3), judge('e.1', 4), judge('e.2', 1)]).toEqual(['seen', 'open', 'open']);
  stream.move('e.2');
  expect(stream.position).toEqual({ epoch: 'e.2', seq: 3 });
  expect([judge('e.1', 3), judge('e.1', 4), judge('e.2', 4)]).toEqual(['seen', 'void', 'open']);
});

test('the keys it remembers are bounded', () => {
  const stream = new Stream();
  stream.move('e.1', 0);
  for (let seq = 1; seq <= 300; seq += 1) stream.take({ seq, ts: 0, key: `k${seq}` });
  stream.move('e.2', 0);
  const verdicts = [300, 45, 44].map((n, seq) => stream.take({ seq: seq + 1, ts: 0, key: `k${n}` }));
  expect(verdicts).toEqual(['old', 'old', 'new']);
});
