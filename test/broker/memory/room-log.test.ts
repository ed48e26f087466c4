/** The log's reckoning of memory and its rare settings; verdicts and pages are in the broker contract. */
import { describe, expect, it } from 'vitest';
import { RoomLog } from '../../../src/broker/memory/room-log.ts';

function logOf(keepMax: number, messages: number): RoomLog {
  const log = new RoomLog('e.t', keepMax);
  for (let number = 1; number <= messages; number += 1) log.append(1_000 + number, Buffer.alloc(number));
  return log;
}

describe('a room log', () => {
  it('reckons the memory of what it keeps, and of nothing else', () => {
    const fresh = logOf(3, 0);
    expect(fresh.bytes).toBe(0);
    const filled = logOf(3, 10);
    const same = new RoomLog('e.t', 3);
    for (const size of [8, 9, 10]) same.append(1, Buffer.alloc(size));
    expect(filled.bytes).toBe(same.bytes);
    expect(filled.bytes).toBeGreaterThan(8 + 9 + 10);
    filled.dropOldest();
    filled.dropOldest();
    filled.dropOldest();
    expect([filled.bytes, filled.count, filled.top]).toEqual([0, 0, 10]);
    filled.dropOldest();
    expect([filled.bytes, filled.count, filled.top]).toEqual([0, 0, 10]);
  });

  it('goes on numbering after its messages were forgotten, and calls the hole trimmed', () => {
    const log = logOf(5, 7);
    log.forgetEntries();
    expect([log.bytes, log.count]).toEqual([0, 0]);
    expect(log.append(1, Buffer.from('x')).seq).toBe(8);
    expect(log.read({ epoch: 'e.t', seq: 7 }, 10)).toMatchObject({ verdict: 'ok', entries: [{ seq: 8 }] });
    expect(log.read({ epoch: 'e.t', seq: 6 }, 10)).toMatchObject({
      verdict: 'trimmed',
      entries: [{ seq: 8 }],
    });
    for (let number = 0; number < 20; number += 1) log.append(1, Buffer.from('x'));
    expect(log.count).toBe(5);
  });

  it('may keep nothing at all: every message is told, none is read', () => {
    const log = logOf(0, 4);
    expect([log.bytes, log.count, log.top]).toEqual([0, 0, 4]);
    expect(log.read({ epoch: 'e.t', seq: 3 }, 10)).toMatchObject({ verdict: 'trimmed', entries: [] });
    expect(log.read({ epoch: 'e.t', seq: 4 }, 10)).toMatchObject({ verdict: 'ok', entries: [] });
    expect(log.history({ limit: 10 })).toMatchObject({ seq: 4, entries: [], more: false });
  });
});
