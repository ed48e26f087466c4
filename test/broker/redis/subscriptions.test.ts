import { beforeEach, describe, expect, it } from 'vitest';
import type { SendChannels } from '../../../src/broker/redis/departures.ts';
import type { Outcome } from '../../../src/broker/redis/outcome.ts';
import { SUBSCRIBE_TIMEOUT_MS, Subscriptions } from '../../../src/broker/redis/subscriptions.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

/** A connection whose far end answers when the test says so, in the order of sending. */
class FakeConnection {
  readonly sent: string[] = [];
  /** What the far end would deliver. */
  readonly channels = new Set<string>();
  readonly #unanswered: {
    command: string;
    channels: readonly string[];
    settle: (outcome: Outcome) => void;
  }[] = [];

  readonly send: SendChannels = (command, channels) =>
    new Promise((settle) => {
      this.sent.push(`${command} ${channels.join(' ')}`);
      this.#unanswered.push({ command, channels, settle });
    });

  async answer(times = Number.POSITIVE_INFINITY): Promise<void> {
    for (const { command, channels, settle } of this.#unanswered.splice(0, times)) {
      for (const channel of channels) {
        if (command === 'subscribe') this.channels.add(channel);
        else this.channels.delete(channel);
      }
      settle({ kind: 'reply', value: this.channels.size });
      await settled();
    }
  }

  async refuse(): Promise<void> {
    const [first] = this.#unanswered.splice(0, 1);
    first?.settle({ kind: 'error', verdict: 'refused', message: 'NOPERM no' });
    await settled();
  }

  async lose(): Promise<void> {
    for (const { settle } of this.#unanswered.splice(0)) settle({ kind: 'lost', message: 'gone' });
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let hop = 0; hop < 10; hop += 1) await Promise.resolve();
}

describe('subscriptions', () => {
  let clock: FakeClock;
  let told: string[];
  let rooms: Subscriptions;
  let connection: FakeConnection;

  beforeEach(() => {
    clock = createFakeClock();
    told = [];
    rooms = new Subscriptions({
      clock,
      logger: createRecordingLogger(),
      channelOf: (room) => `#${room}`,
      resubscribed: (room) => told.push(`resubscribed ${room}`),
      complete: () => told.push('complete'),
    });
    connection = new FakeConnection();
  });

  function open(): void {
    connection = new FakeConnection();
    rooms.opened(connection.send);
  }

  /** Looks at a promise without waiting for it. */
  function watch(promise: Promise<void>): { state: string } {
    const seen = { state: 'pending' };
    promise.then(
      () => {
        seen.state = 'resolved';
      },
      (error: unknown) => {
        seen.state = String((error as { code?: string }).code);
      },
    );
    return seen;
  }

  it('resolve a subscribe with the acknowledgement, and not before', async () => {
    open();
    const one = watch(rooms.subscribe('one'));
    clock.flushTurn();
    await settled();
    expect(one.state).toBe('pending');
    expect(rooms.isHeard('one')).toBe(false);
    await connection.answer();
    expect(one.state).toBe('resolved');
    expect(rooms.isHeard('one')).toBe(true);
    expect(watch(rooms.subscribe('one')).state).toBe('pending');
    clock.flushTurn();
    expect(connection.sent).toEqual(['subscribe #one']);
  });

  it('share a command among the rooms of one turn, and send large sets in chunks of 512', async () => {
    open();
    for (let room = 0; room < 1_100; room += 1) rooms.subscribe(`r${room}`).catch(() => undefined);
    clock.flushTurn();
    expect(connection.sent.map((command) => command.split(' ').length - 1)).toEqual([512, 512, 76]);
    await connection.answer();
    open();
    expect(connection.sent.map((command) => command.split(' ').length - 1)).toEqual([512, 512, 76]);
    await connection.answer(2);
    expect(told.filter((event) => event.startsWith('resubscribed'))).toHaveLength(1_024);
    expect(told.filter((event) => event === 'complete')).toHaveLength(1);
    await connection.answer();
    expect(told.filter((event) => event === 'complete')).toHaveLength(2);
  });

  it('are asserted again on the next connection, and tell each room that had been promised', async () => {
    open();
    rooms.subscribe('one').catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    rooms.closed();
    expect(rooms.isHeard('one')).toBe(false);
    open();
    expect(told).toEqual(['complete']);
    await connection.answer();
    expect(told).toEqual(['complete', 'resubscribed one', 'complete']);
    expect(rooms.acknowledged).toBe(1);
  });

  it('do not take the answer of a lost connection for one of the present', async () => {
    open();
    const one = watch(rooms.subscribe('one'));
    clock.flushTurn();
    const old = connection;
    rooms.closed();
    open();
    await old.answer();
    expect(one.state).toBe('pending');
    expect(rooms.isHeard('one')).toBe(false);
    expect(rooms.acknowledged).toBe(0);
    await connection.answer();
    expect(one.state).toBe('resolved');
  });

  it('carry a pending subscribe over to the next connection', async () => {
    open();
    const one = watch(rooms.subscribe('one'));
    clock.flushTurn();
    rooms.closed();
    await connection.lose();
    clock.advance(SUBSCRIBE_TIMEOUT_MS - 1);
    open();
    await connection.answer();
    expect(one.state).toBe('resolved');
    expect(told).toEqual(['complete', 'complete']);
  });

  it('reject after two seconds without a connection, and forget the room', async () => {
    const one = watch(rooms.subscribe('one'));
    clock.advance(SUBSCRIBE_TIMEOUT_MS);
    await settled();
    expect(one.state).toBe('unavailable');
    open();
    expect(connection.sent).toEqual([]);
  });

  it('leave a room whose subscribe was rejected, though its answer comes late', async () => {
    open();
    const one = watch(rooms.subscribe('one'));
    clock.flushTurn();
    clock.advance(SUBSCRIBE_TIMEOUT_MS);
    await settled();
    expect(one.state).toBe('unavailable');
    await connection.answer();
    expect([...connection.channels]).toEqual([]);
    expect(rooms.roomOf('#one')).toBeUndefined();
  });

  it('keep a promised room, though a later subscribe of it timed out while the link was away', async () => {
    open();
    rooms.subscribe('one').catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    rooms.closed();
    const again = watch(rooms.subscribe('one'));
    clock.advance(SUBSCRIBE_TIMEOUT_MS);
    await settled();
    expect(again.state).toBe('unavailable');
    open();
    await connection.answer();
    expect([...connection.channels]).toEqual(['#one']);
  });

  it('do not let the answer to an earlier SUBSCRIBE stand for a later one', async () => {
    open();
    rooms.subscribe('one').catch(() => undefined);
    clock.flushTurn();
    void rooms.unsubscribe('one');
    clock.flushTurn();
    const again = watch(rooms.subscribe('one'));
    clock.flushTurn();
    expect(connection.sent).toEqual(['subscribe #one', 'unsubscribe #one', 'subscribe #one']);
    await connection.answer(1);
    expect(again.state).toBe('pending');
    await connection.answer();
    expect(again.state).toBe('resolved');
    expect([...connection.channels]).toEqual(['#one']);
    expect(rooms.acknowledged).toBe(1);
  });

  it('tell the return of a room only where it is still wanted when the answer comes', async () => {
    open();
    for (const room of ['left', 'anew']) rooms.subscribe(room).catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    rooms.closed();
    open();
    void rooms.unsubscribe('left');
    void rooms.unsubscribe('anew');
    clock.flushTurn();
    const anew = watch(rooms.subscribe('anew'));
    clock.flushTurn();
    await connection.answer();
    expect(anew.state).toBe('resolved');
    expect(told).toEqual(['complete', 'complete']);
    expect([...connection.channels]).toEqual(['#anew']);
  });

  it('resolve an unsubscribe with the acknowledgement, or with the end of the connection', async () => {
    open();
    for (const room of ['one', 'two']) rooms.subscribe(room).catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    const one = watch(rooms.unsubscribe('one'));
    clock.flushTurn();
    await settled();
    expect(one.state).toBe('pending');
    expect(watch(rooms.unsubscribe('one')).state).toBe('pending');
    await connection.answer();
    expect(one.state).toBe('resolved');
    const two = watch(rooms.unsubscribe('two'));
    clock.flushTurn();
    rooms.closed();
    await settled();
    expect(two.state).toBe('resolved');
    open();
    expect(connection.sent).toEqual([]);
  });

  it('try a refused UNSUBSCRIBE again, unless the room is wanted meanwhile', async () => {
    open();
    for (const room of ['one', 'two']) rooms.subscribe(room).catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    const left = [watch(rooms.unsubscribe('one')), watch(rooms.unsubscribe('two'))];
    clock.flushTurn();
    await connection.refuse();
    // Whoever joins a room anew waits for its leave: behind an UNSUBSCRIBE that an ACL forbids it was for ever.
    expect(left.map(({ state }) => state)).toEqual(['resolved', 'resolved']);
    rooms.subscribe('two').catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    clock.advance(500);
    await connection.answer();
    expect([...connection.channels]).toEqual(['#two']);
  });

  it('reject what Redis refuses, and ask again for what had been promised', async () => {
    open();
    rooms.subscribe('one').catch(() => undefined);
    clock.flushTurn();
    await connection.answer();
    rooms.closed();
    open();
    await connection.refuse();
    expect(rooms.isHeard('one')).toBe(false);
    const two = watch(rooms.subscribe('two'));
    clock.flushTurn();
    await connection.refuse();
    expect(two.state).toBe('unavailable');
    rooms.reconcile();
    await connection.answer();
    expect([...connection.channels]).toEqual(['#one']);
    expect(told.at(-1)).toBe('resubscribed one');
  });

  it('reject everything that waits when the node stops, and keep no timer', async () => {
    open();
    const one = watch(rooms.subscribe('one'));
    rooms.stop();
    await settled();
    expect(one.state).toBe('unavailable');
    expect(clock.pendingTimers()).toBe(0);
  });
});
