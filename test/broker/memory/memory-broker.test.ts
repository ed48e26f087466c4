/** What only the embedded broker promises: at once, in the order of the calls, and no memory but its own. */
import { describe, expect, it } from 'vitest';
import { EventBus } from '../../../src/broker/memory/event-bus.ts';
import { createMemoryBroker, MemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { OnceKeys } from '../../../src/broker/memory/once-keys.ts';
import { RoomStores } from '../../../src/broker/memory/room-stores.ts';
import { createBrokerRecorder } from '../../contract/broker-recorder.ts';
import { createFakeClock, createSeededRandom } from '../../support/fake-clock.ts';

const settings = {
  historyMessages: 10,
  historyTtlS: 300,
  metaTtlS: 3_600,
  onceTtlMs: 120_000,
  inboxMessages: 10,
  inboxTtlS: 600,
};

function started() {
  const clock = createFakeClock();
  const heard = createBrokerRecorder();
  const { broker, presence } = createMemoryBroker({ settings, clock, random: createSeededRandom(1) });
  broker.start(heard);
  return { clock, heard, broker, presence };
}

const request = { room: 'r', lane: 'l', user: 'ann', body: '"data":1}' };

describe('the embedded broker', () => {
  it('is up before start returns', () => {
    expect(started().heard.statuses()).toEqual(['up']);
  });

  it('refuses what comes before its start', async () => {
    const { broker } = createMemoryBroker({
      settings,
      clock: createFakeClock(),
      random: createSeededRandom(1),
    });
    await expect(broker.publish(request)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('tells everything before the call returns, in the order of the calls', async () => {
    const { broker, presence, heard } = started();
    void broker.subscribe('r');
    void broker.publish(request);
    void presence.hold('r', 'ann', '{}', false);
    broker.signal('r', { sender: 'c', body: Buffer.from(request.body) });
    void broker.publish(request);
    void presence.drop('r', 'ann', 'left');
    expect(heard.heard.map(({ kind }) => kind)).toEqual([
      'status',
      'message',
      'presence',
      'signal',
      'message',
      'presence',
    ]);
  });

  it('knows a key already while its message is being told', async () => {
    const { broker, heard } = started();
    const repeats: Promise<unknown>[] = [];
    const again = { ...request, key: 'k' };
    broker.start({ ...heard, message: () => void repeats.push(broker.publish(again)) });
    await broker.subscribe('r');
    await broker.publish(again);
    expect(await Promise.all(repeats)).toMatchObject([{ seq: 1, duplicate: true }]);
  });

  it('gives messages the time of the wall clock', async () => {
    const { broker, heard, clock } = started();
    await broker.subscribe('r');
    clock.advance(5);
    await broker.publish(request);
    expect(heard.messages('r')[0]?.entry.ts).toBe(clock.wallMs());
  });

  it('keeps bodies in memory of their room, not in a pool that is shared with everything else', async () => {
    const { broker } = started();
    const kept = async (room: string) => {
      await broker.publish({ ...request, room, body: 'räume' });
      const [entry] = (await broker.history(room, { limit: 1 })).entries;
      expect(entry?.body.toString()).toBe('räume');
      return entry?.body.buffer;
    };
    const memory = [await kept('r'), await kept('s'), Buffer.from('pooled').buffer];
    expect(new Set(memory).size).toBe(3);
  });

  it('lets go of a room that was heard in silence only metaTtlS after it was unsubscribed', async () => {
    const { broker, clock } = started();
    await broker.subscribe('r');
    const { epoch } = await broker.publish(request);
    clock.advance(3_599_000);
    await broker.unsubscribe('r');
    clock.advance(3_000_000);
    expect(await broker.read('r', { epoch, seq: 1 }, 10)).toMatchObject({ verdict: 'ok', top: 1 });
    clock.advance(3_601_000);
    expect(await broker.read('r', { epoch, seq: 1 }, 10)).toMatchObject({ verdict: 'lost', top: 0 });
  });

  it('frees logs, keys and rooms on time without anyone asking for them', async () => {
    const clock = createFakeClock();
    const bus = new EventBus();
    const rooms = new RoomStores({ settings, clock, random: createSeededRandom(1), isHeard: () => false });
    const store = rooms.of('r');
    const onceKeys = new OnceKeys({ clock, ttlMs: settings.onceTtlMs });
    const broker = new MemoryBroker({ bus, rooms, onceKeys, clock });
    broker.start(createBrokerRecorder());
    for (let number = 0; number < 50; number += 1) {
      await broker.publish({ ...request, room: `r/${number}`, key: 'k' });
    }
    clock.advance(settings.onceTtlMs + 1_000);
    expect([onceKeys.size, store.logBytes > 0]).toEqual([0, true]);
    clock.advance(settings.historyTtlS * 1_000);
    expect([store.logBytes, store.roomCount]).toEqual([0, 50]);
    clock.advance(settings.metaTtlS * 1_000);
    expect(store.roomCount).toBe(0);
  });

  it('leaves no timer behind after stop', async () => {
    const { broker, clock } = started();
    expect(clock.pendingTimers()).toBe(1);
    await broker.stop();
    expect(clock.pendingTimers()).toBe(0);
  });
});
