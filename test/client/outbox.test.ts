/** The outbox against a model: nothing is lost, nothing is sent twice at once, order and bounds hold. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Entry, Outbox } from '../../src/client/outbox.ts';
import { Stream } from '../../src/client/stream.ts';

const SETTINGS = { outboxMessages: 5, outboxBytes: 100, publishTimeoutMs: 1000 };

function add(outbox: Outbox, key: string, since = 0, bytes = 10, target = 'room'): void {
  outbox.add({ target, data: 1, bytes, key, since, resolve: () => {}, reject: () => {} });
}

const keys = (entries: readonly Entry[]): string[] => entries.map(({ key }) => key);

test('any history of sending, answers, refusals and cuts: order is kept per room, and each entry ends exactly once', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), room: fc.integer({ min: 0, max: 1 }) }),
    fc.record({
      do: fc.constantFrom('send', 'answer', 'refuse', 'cut', 'wait', 'expire'),
      room: fc.constant(0),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const outbox = new Outbox(SETTINGS);
      const waiting: string[] = [];
      const inFlight: Entry[] = [];
      const ended: string[] = [];
      let [now, next] = [0, 0];
      const end = (key: string): void => {
        expect(ended).not.toContain(key);
        ended.push(key);
        waiting.splice(waiting.indexOf(key), 1);
      };
      for (const { do: what, room } of steps) {
        now += 7;
        if (what === 'add') {
          const key = String(next);
          next += 1;
          const full = waiting.length >= SETTINGS.outboxMessages;
          if (full) expect(() => add(outbox, key, now, 10, `r${room}`)).toThrow();
          else {
            add(outbox, key, now, 10, `r${room}`);
            waiting.push(key);
          }
        } else if (what === 'send') {
          const due = outbox.due(now);
          for (const target of ['r0', 'r1']) {
            const order = keys(due.filter((entry) => entry.target === target)).map(Number);
            expect(order).toEqual([...order].sort((a, b) => a - b));
          }
          for (const entry of due) {
            expect(inFlight).not.toContain(entry);
            entry.status = 'sent';
            inFlight.push(entry);
          }
        } else if (what === 'answer' || what === 'refuse') {
          const entry = inFlight.shift();
          if (entry && what === 'answer') {
            outbox.remove(entry);
            if (waiting.includes(entry.key)) end(entry.key);
          } else if (entry) {
            entry.status = 'waiting';
            entry.retryAt = now + 20;
          }
        } else if (what === 'cut') {
          outbox.disconnected();
          inFlight.length = 0;
        } else if (what === 'wait') now += 300;
        else for (const { key } of outbox.expire(now)) end(key);
        expect(outbox.size).toBe(waiting.length);
      }
    }),
  );
});

test('behind one that has to wait its whole room waits, other rooms do not', () => {
  const outbox = new Outbox(SETTINGS);
  for (const [key, target] of [
    ['1', 'a'],
    ['2', 'a'],
    ['3', 'b'],
  ] as const)
    add(outbox, key, 0, 1, target);
  const [head] = outbox.due(0);
  if (!head) throw new Error('nothing due');
  head.retryAt = 50;
  expect(keys(outbox.due(49))).toEqual(['3']);
  expect(keys(outbox.due(50))).toEqual(['1', '2', '3']);
});

test('what is held until its copy came back makes room for new ones, and is reviewed by the stream', () => {
  const outbox = new Outbox(SETTINGS);
  const stream = new Stream();
  stream.position = { epoch: 'e.1', seq: 1 };
  for (const key of ['1', '2', '3']) add(outbox, key);
  outbox.due(0).forEach((entry, n) => {
    entry.status = 'stored';
    entry.receipt = { epoch: 'e.1', seq: n + 1 };
  });
  outbox.review('room', stream);
  expect(outbox.size).toBe(2);
  stream.take({ seq: 2, ts: 0 });
  stream.move('e.2');
  outbox.review('room', stream);
  expect(keys(outbox.due(0))).toEqual(['3']);
  for (const entry of outbox.due(0)) entry.status = 'stored';
  for (const key of ['4', '5', '6', '7', '8']) add(outbox, key);
  expect(keys(outbox.due(0))).toEqual(['4', '5', '6', '7', '8']);
});

test('bytes bound it as well', () => {
  const outbox = new Outbox(SETTINGS);
  add(outbox, '1', 0, 60);
  expect(() => add(outbox, '2', 0, 41)).toThrow(expect.objectContaining({ code: 'outbox_full' }));
  add(outbox, '3', 0, 40);
});
