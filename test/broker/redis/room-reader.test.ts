import { describe, expect, it } from 'vitest';
import { createKeys } from '../../../src/broker/redis/keys.ts';
import { REFRESH_MS, RoomReader } from '../../../src/broker/redis/room-reader.ts';
import { createFakeClock, createSeededRandom } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

function readerOf(rooms: () => readonly string[], run: (script: string, key: string) => Promise<unknown>) {
  const clock = createFakeClock();
  const reader = new RoomReader({
    settings: { metaTtlS: 60, inboxTtlS: 600 },
    queue: { run: (script, [key = '']) => run(script, key) },
    keys: createKeys('k:'),
    clock,
    random: createSeededRandom(1),
    logger: createRecordingLogger(),
    unreadable: () => undefined,
    heldRooms: rooms,
  });
  return { reader, clock };
}

describe('the reader of rooms', () => {
  it('keeps every held room alive once a minute, a few of them each second', async () => {
    const rooms = Array.from({ length: 150 }, (_, index) => `room${index}`);
    const refreshed: string[] = [];
    const { reader, clock } = readerOf(
      () => rooms,
      (script, key) => {
        expect(script).toBe('init');
        refreshed.push(key);
        return Promise.resolve(0);
      },
    );
    reader.start();
    let most = 0;
    for (let second = 0; second < REFRESH_MS / 1_000; second += 1) {
      const before = refreshed.length;
      clock.advance(1_000);
      most = Math.max(most, refreshed.length - before);
    }
    expect(new Set(refreshed).size).toBe(150);
    expect(refreshed).toHaveLength(150);
    expect(most).toBeLessThanOrEqual(3);
    await clock.advanceAsync(REFRESH_MS);
    expect(refreshed).toHaveLength(300);
    reader.stop();
    expect(clock.pendingTimers()).toBe(0);
  });

  it('lets a refresh fail without consequence', async () => {
    const { reader, clock } = readerOf(
      () => ['room'],
      () => Promise.reject(new Error('away')),
    );
    reader.start();
    await clock.advanceAsync(REFRESH_MS * 2);
    reader.stop();
  });

  it('lets a room that was to be prepared be created by its first read', async () => {
    const asked: string[] = [];
    const { reader } = readerOf(
      () => [],
      (script) => {
        asked.push(script);
        return asked.length === 1
          ? Promise.reject(new Error('OOM'))
          : Promise.resolve(script === 'read' ? [Buffer.from('absent')] : 1);
      },
    );
    reader.prepare('room');
    await expect(reader.read('room', null, 1)).rejects.toMatchObject({ code: 'unavailable' });
    expect(asked.slice(0, 4)).toEqual(['init', 'read', 'init', 'read']);
  });

  it('gives up on a room that is never there after it was created', async () => {
    const asked: string[] = [];
    const { reader } = readerOf(
      () => [],
      (script) => {
        asked.push(script);
        return Promise.resolve(script === 'read' ? [Buffer.from('absent')] : 1);
      },
    );
    await expect(reader.read('room', null, 1)).rejects.toMatchObject({ code: 'unavailable' });
    expect(asked).toEqual(['read', 'init', 'read', 'init', 'read', 'init']);
  });
});
