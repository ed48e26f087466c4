import { expect, it } from 'vitest';
import { RoomStores } from '../../../src/broker/memory/room-stores.ts';
import { createFakeClock, createSeededRandom } from '../../support/fake-clock.ts';

const settings = {
  historyMessages: 100,
  historyTtlS: 10,
  metaTtlS: 60,
  inboxMessages: 5,
  inboxTtlS: 1000,
};

function stores(roomsMax = 3, logBytesTotalMax = 10_000) {
  const clock = createFakeClock();
  const rooms = new RoomStores({
    settings,
    clock,
    random: createSeededRandom(1),
    isHeard: () => false,
    inboxLimits: { roomsMax, logBytesTotalMax },
  });
  const fill = (name: string, count: number, bytes = 100) => {
    const store = rooms.of(name);
    for (let n = 0; n < count; n += 1) store.append(store.use(name), Buffer.alloc(bytes));
    return store.use(name).log;
  };
  return { clock, rooms, fill };
}

it('keeps as many messages of an inbox as inboxes keep', () => {
  const { fill } = stores();
  expect(fill('@ann', 20).count).toBe(5);
  expect(fill('ann', 20).count).toBe(20);
});

it('outlives the history of rooms, and ends by itself', () => {
  const { clock, rooms, fill } = stores();
  fill('@ann', 3);
  fill('ann', 3);
  const end = (ms: number) => {
    clock.advance(ms);
    rooms.sweep();
    return ['@ann', 'ann'].map((name) => rooms.of(name).peek(name)?.log.count);
  };
  expect(end(61_000)).toEqual([3, undefined]);
  expect(end(940_000)).toEqual([0, undefined]);
  expect(end(1_000_000)).toEqual([undefined, undefined]);
});

it('bounds the number of inboxes and their bytes, whoever sends to how many names', () => {
  const { rooms, fill } = stores(3, 10_000);
  for (let user = 0; user < 500; user += 1) {
    fill(`@user ${user}`, 5, 1000);
    expect(rooms.of('@').roomCount).toBeLessThanOrEqual(3);
    expect(rooms.of('@').logBytes).toBeLessThanOrEqual(10_000);
  }
});

it('never forgets a room for an inbox, nor an inbox for a room', () => {
  const { rooms, fill } = stores(3, 10_000);
  const [room, inbox] = [fill('room', 5), fill('@ann', 5)];
  for (let n = 0; n < 2; n += 1) fill(`@user ${n}`, 5);
  for (let n = 0; n < 1000; n += 1) fill(`r${n}`, 5);
  expect([
    room.count,
    inbox.count,
    rooms.of('room').peek('room')?.log,
    rooms.of('@ann').peek('@ann')?.log,
  ]).toEqual([5, 5, room, inbox]);
});
