/** What the embedded broker forgets, when, and that it forgets enough. */
import { describe, expect, it } from 'vitest';
import type { Room, RoomStoreLimits } from '../../../src/broker/memory/room-store.ts';
import { ROOMS_PER_SWEEP_MAX, RoomStore } from '../../../src/broker/memory/room-store.ts';
import { createFakeClock, createSeededRandom } from '../../support/fake-clock.ts';

const settings = { historyMessages: 100, historyTtlS: 10, metaTtlS: 60 };
const KB = 1_024;

function storeOf(limits: Partial<RoomStoreLimits> = {}) {
  const clock = createFakeClock();
  const heard = new Set<string>();
  const rooms = new RoomStore({
    settings,
    clock,
    random: createSeededRandom(1),
    isHeard: (room) => heard.has(room),
    limits: { roomsMax: 1_000_000, logBytesTotalMax: 1_000 * KB, ...limits },
  });
  const fill = (name: string, messages = 1, bytes = 10): Room => {
    const room = rooms.use(name);
    for (let number = 0; number < messages; number += 1) rooms.append(room, Buffer.alloc(bytes));
    return room;
  };
  return { clock, heard, rooms, fill };
}

function join(room: Room, user: string): void {
  room.members.set(user, { user, state: '{}', since: 0 });
}

describe('time', () => {
  it('frees a log without anyone asking for it, historyTtlS after its last message', () => {
    const { clock, rooms, fill } = storeOf();
    fill('early');
    clock.advance(5_000);
    fill('late');
    clock.advance(5_000);
    rooms.sweep();
    expect([rooms.peek('early')?.log.count, rooms.peek('late')?.log.count]).toEqual([0, 1]);
    clock.advance(5_000);
    rooms.sweep();
    expect(rooms.logBytes).toBe(0);
    expect(rooms.roomCount).toBe(2);
  });

  it('frees the log of a room that was published to again after it was freed once', () => {
    const { clock, rooms, fill } = storeOf();
    fill('a');
    clock.advance(10_000);
    rooms.sweep();
    fill('b');
    fill('a');
    clock.advance(10_000);
    rooms.sweep();
    expect([rooms.peek('a')?.log.count, rooms.peek('b')?.log.count, rooms.logBytes]).toEqual([0, 0, 0]);
  });

  it('forgets rooms metaTtlS after their last use, in order of use', () => {
    const { clock, rooms } = storeOf();
    rooms.use('a');
    rooms.use('b');
    clock.advance(30_000);
    rooms.use('a');
    clock.advance(30_000);
    rooms.sweep();
    expect([rooms.peek('a') !== undefined, rooms.peek('b') !== undefined]).toEqual([true, false]);
    clock.advance(30_000);
    rooms.sweep();
    expect(rooms.roomCount).toBe(0);
  });

  it('is late for nobody: what is asked for has expired on time, also between sweeps', () => {
    const { clock, rooms, fill } = storeOf();
    const { epoch } = fill('a').log;
    clock.advance(9_999);
    expect(rooms.use('a').log.count).toBe(1);
    clock.advance(1);
    expect([rooms.use('a').log.count, rooms.logBytes]).toEqual([0, 0]);
    clock.advance(59_999);
    expect(rooms.use('a').log.epoch).toBe(epoch);
    clock.advance(60_000);
    expect(rooms.use('a').log.epoch).not.toBe(epoch);
  });

  it('keeps rooms that are heard or have members, however long they are silent', () => {
    const { clock, heard, rooms } = storeOf();
    const epochs = ['heard', 'with a member', 'unused'].map((name) => rooms.use(name).log.epoch);
    heard.add('heard');
    join(rooms.use('with a member'), 'ann');
    for (let hours = 0; hours < 3; hours += 1) {
      clock.advance(3_600_000);
      rooms.sweep();
    }
    expect(rooms.roomCount).toBe(2);
    expect([rooms.use('heard').log.epoch, rooms.use('with a member').log.epoch]).toEqual(epochs.slice(0, 2));
    expect(rooms.use('unused').log.epoch).not.toBe(epochs[2]);
  });

  it('sweeps a bounded number of rooms at a time, and all of them in the end', () => {
    const { clock, rooms, fill } = storeOf({ logBytesTotalMax: 1_000_000 * KB });
    for (let number = 0; number < 2 * ROOMS_PER_SWEEP_MAX + 1; number += 1) fill(`room/${number}`);
    clock.advance(60_000);
    rooms.sweep();
    expect(rooms.roomCount).toBe(ROOMS_PER_SWEEP_MAX + 1);
    rooms.sweep();
    rooms.sweep();
    expect([rooms.roomCount, rooms.logBytes]).toEqual([0, 0]);
  });
});

describe('limits', () => {
  it('forgets the room unused for longest to make place for one more', () => {
    const { rooms, fill } = storeOf({ roomsMax: 3 });
    fill('a');
    fill('b');
    fill('c');
    rooms.use('a');
    fill('d');
    expect(rooms.roomCount).toBe(3);
    expect(['a', 'b', 'c', 'd'].filter((name) => rooms.peek(name))).toEqual(['a', 'c', 'd']);
  });

  it('takes a new room rather than forget one in use', () => {
    const { heard, rooms } = storeOf({ roomsMax: 2 });
    heard.add('a').add('b');
    const epochs = ['a', 'b'].map((name) => rooms.use(name).log.epoch);
    rooms.use('c');
    rooms.use('d');
    expect(['a', 'b'].map((name) => rooms.use(name).log.epoch)).toEqual(epochs);
    // c made place for d.
    expect(rooms.roomCount).toBe(3);
  });

  it('frees the log of a room it makes go', () => {
    const { rooms, fill } = storeOf({ roomsMax: 1 });
    fill('a', 10, KB);
    const { bytes } = fill('b').log;
    expect(rooms.logBytes).toBe(bytes);
  });

  it('finds an unused room behind any number of older ones in use', () => {
    const inUse = ROOMS_PER_SWEEP_MAX + 200;
    const { heard, rooms } = storeOf({ roomsMax: inUse + 1 });
    for (let number = 0; number < inUse; number += 1) {
      heard.add(`${number}`);
      rooms.use(`${number}`);
    }
    rooms.use('unused');
    rooms.use('one more');
    expect([rooms.peek('unused') !== undefined, rooms.roomCount]).toEqual([true, inUse + 2]);
    rooms.use('yet one more');
    expect([rooms.peek('unused') !== undefined, rooms.roomCount]).toEqual([false, inUse + 2]);
  });

  it('holds the memory of all logs under its limit, the least recently published going first', () => {
    const { rooms, fill } = storeOf({ logBytesTotalMax: 100 * KB });
    const oldest = fill('oldest', 20, KB);
    const middle = fill('middle', 20, KB);
    fill('oldest', 20, KB);
    const newest = fill('newest', 40, KB);
    expect(rooms.logBytes).toBeLessThanOrEqual(100 * KB);
    expect([middle.log.count, oldest.log.count, newest.log.count]).toEqual([0, 40, 40]);
    expect(rooms.logBytes).toBe(oldest.log.bytes + newest.log.bytes);
  });

  it('shortens one big log that is over the limit alone, but always keeps its newest message', () => {
    const { rooms, fill } = storeOf({ logBytesTotalMax: 10 * KB });
    const room = fill('only', 50, KB);
    expect(rooms.logBytes).toBeLessThanOrEqual(10 * KB);
    expect(room.log.read({ epoch: room.log.epoch, seq: 49 }, 5)).toMatchObject({
      verdict: 'ok',
      entries: [{ seq: 50 }],
    });
    expect(room.log.read({ epoch: room.log.epoch, seq: 1 }, 5)).toMatchObject({ verdict: 'trimmed' });
    fill('only', 1, 50 * KB);
    expect(room.log.count).toBe(1);
    fill('another', 1, 1);
    expect(room.log.count).toBe(0);
  });
});

describe('presence versions', () => {
  it('grow with the wall clock, and without it', () => {
    const { clock, rooms } = storeOf();
    const room = rooms.use('a');
    const first = rooms.nextPresenceVersion(room);
    expect(first).toBe(clock.wallMs());
    expect(rooms.nextPresenceVersion(room)).toBe(first + 1);
    clock.advance(1_000);
    expect(rooms.nextPresenceVersion(room)).toBe(first + 1_000);
    clock.shiftWall(-3_600_000);
    expect(rooms.nextPresenceVersion(room)).toBe(first + 1_001);
  });

  it('grow over a room that was forgotten, even where the wall clock went back', () => {
    const { clock, rooms } = storeOf();
    const before = rooms.nextPresenceVersion(rooms.use('a'));
    clock.shiftWall(-3_600_000);
    clock.advance(60_000);
    rooms.sweep();
    expect(rooms.roomCount).toBe(0);
    expect(rooms.nextPresenceVersion(rooms.use('a'))).toBeGreaterThan(before);
  });
});
