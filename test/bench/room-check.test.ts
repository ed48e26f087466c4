/** The check that the load scenarios share: what it says of streams that are whole and of streams that are not. */
import { describe, expect, test } from 'vitest';
import { createRoomCheck, helloFrame, joinFrame, publishFrame } from '../../bench/tools/room-check.mjs';
import { clientFrameFault } from '../support/frame-schemas.ts';

const message = (seq: number, connection = 'other') => ({
  type: 'message',
  room: 'r',
  seq,
  from: { user: 'u', connection },
  data: { at: '1000' },
});

/** The sums of what was counted while the frames came, all at the time 1,007 ms. */
function counted(...frames: object[]): Record<string, number> {
  const sums: Record<string, number> = {};
  const count = (name: string, n: number) => {
    sums[name] = (sums[name] ?? 0) + n;
  };
  const take = createRoomCheck({ count, latency: (ms: number) => count('ms', ms) });
  for (const frame of [{ type: 'welcome', connection: 'me' }, { type: 'joined', seq: 5 }, ...frames])
    take(frame, 1007);
  return sums;
}

describe('the check of a room', () => {
  test('counts messages, own ones apart, with their latency', () => {
    expect(counted(message(6), message(7, 'me'))).toEqual({ messages: 2, own: 1, ms: 14 });
  });

  test('counts how many are missing, and goes on from there', () => {
    expect(counted(message(8), message(9))).toEqual({ messages: 2, missing: 2, ms: 14 });
  });

  test('counts what comes again, and what comes late', () => {
    expect(counted(message(6), message(6), message(5), message(7))).toEqual({
      messages: 4,
      duplicates: 2,
      ms: 28,
    });
  });

  test('goes on after a reset from its position', () => {
    expect(counted({ type: 'reset', seq: 40 }, message(41))).toEqual({ resets: 1, messages: 1, ms: 7 });
  });

  test('counts answers and goodbyes', () => {
    expect(counted({ type: 'ok' }, { type: 'error' }, { type: 'closing' }, { type: 'presence' })).toEqual({
      acknowledged: 1,
      refused: 1,
      closed_by_server: 1,
    });
  });

  test('has frames that are of the protocol', () => {
    const frames = [helloFrame('u'), joinFrame('r'), publishFrame('r', 3, 1000)];
    expect(frames.map(clientFrameFault)).toEqual([undefined, undefined, undefined]);
  });
});
