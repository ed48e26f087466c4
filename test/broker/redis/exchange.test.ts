import type { Command, Redis } from 'ioredis';
import { beforeEach, describe, expect, it } from 'vitest';
import { Exchange, IN_FLIGHT_MAX } from '../../../src/broker/redis/exchange.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

const DEADLINE_MS = 1_000;

/** A connection as ioredis leaves it after a broken link: it takes commands and never settles one. */
class SilentConnection {
  status = 'ready';
  writes = 0;
  readonly commands: Command[] = [];
  readonly stream = {
    writable: true,
    bytesRead: 0,
    cork: () => undefined,
    uncork: () => {
      this.writes += 1;
    },
  };

  sendCommand(command: Command): Promise<unknown> {
    this.commands.push(command);
    return command.promise;
  }

  answer(value: string): void {
    this.commands.shift()?.resolve(Buffer.from(value));
  }
}

async function settled(): Promise<void> {
  for (let hop = 0; hop < 10; hop += 1) await Promise.resolve();
}

describe('an exchange', () => {
  let clock: FakeClock;
  let connection: SilentConnection;
  let silences: number;
  let exchange: Exchange;
  beforeEach(() => {
    clock = createFakeClock();
    connection = new SilentConnection();
    silences = 0;
    exchange = new Exchange({
      connection: connection as unknown as Redis,
      clock,
      deadlineMs: DEADLINE_MS,
      silent: () => {
        silences += 1;
        exchange.end('silent');
      },
    });
  });

  it('ends everything in flight with the link, whatever the library does', async () => {
    const asked = [exchange.send('ping', []), exchange.send('ping', [])];
    exchange.end('cut');
    expect(await Promise.all(asked)).toEqual(Array(2).fill({ kind: 'lost', message: 'cut' }));
    expect(await exchange.send('ping', [])).toEqual({ kind: 'not_sent', message: 'cut' });
    expect(clock.pendingTimers()).toBe(0);
  });

  it('settles a command once: an answer after the end is too late', async () => {
    const asked = exchange.send('echo', ['x']);
    exchange.end('cut');
    connection.answer('x');
    expect(await asked).toMatchObject({ kind: 'lost' });
  });

  it('is silent when the oldest command has waited for the deadline, however many came after it', async () => {
    const first = exchange.send('ping', []);
    for (let later = 0; later < 9; later += 1) {
      await clock.advanceAsync(100);
      void exchange.send('ping', []);
    }
    await clock.advanceAsync(99);
    expect(silences).toBe(0);
    await clock.advanceAsync(1);
    expect(silences).toBe(1);
    expect(await first).toMatchObject({ kind: 'lost' });
  });

  it('is not silent while the answer to the oldest command goes on arriving, and is once that stops', async () => {
    // Larger than the network carries within the deadline: the link was replaced, and the same was asked on the next.
    const asked = exchange.send('evalsha', []);
    for (let look = 0; look < 12; look += 1) {
      connection.stream.bytesRead += 1_000;
      await clock.advanceAsync(DEADLINE_MS / 4);
    }
    expect(silences).toBe(0);
    connection.answer('x');
    expect(await asked).toMatchObject({ kind: 'reply' });
    await clock.advanceAsync(DEADLINE_MS);

    void exchange.send('evalsha', []);
    connection.stream.bytesRead += 1_000;
    await clock.advanceAsync(DEADLINE_MS);
    expect(silences).toBe(0);
    await clock.advanceAsync(DEADLINE_MS / 4);
    expect(silences).toBe(1);
  });

  it('does not wait for ever for an answer that never ends', async () => {
    void exchange.send('evalsha', []);
    for (let look = 0; look < 50; look += 1) {
      connection.stream.bytesRead += 1;
      await clock.advanceAsync(DEADLINE_MS / 4);
    }
    expect(silences).toBe(1);
  });

  it('is content as long as each command is answered within its own deadline', async () => {
    for (let round = 0; round < 100; round += 1) {
      const asked = exchange.send('echo', ['x']);
      await clock.advanceAsync(DEADLINE_MS - 1);
      connection.answer('x');
      expect(await asked).toEqual({ kind: 'reply', value: 'x' });
    }
    await clock.advanceAsync(10 * DEADLINE_MS);
    expect(silences).toBe(0);
  });

  it('sends nothing into a socket that is closing', async () => {
    connection.stream.writable = false;
    expect(await exchange.send('ping', [])).toMatchObject({ kind: 'not_sent' });
    expect(connection.commands).toEqual([]);
  });

  it('writes once per turn, or when told to', () => {
    for (let command = 0; command < 10; command += 1) void exchange.send('ping', []);
    expect(connection.writes).toBe(0);
    clock.flushTurn();
    expect(connection.writes).toBe(1);
    void exchange.send('ping', []);
    exchange.flush();
    clock.flushTurn();
    expect(connection.writes).toBe(2);
  });

  it('bounds what is in flight', async () => {
    for (let command = 0; command < IN_FLIGHT_MAX; command += 1) void exchange.send('ping', []);
    expect(exchange.accepts(1)).toBe(false);
    expect(await exchange.send('ping', [])).toMatchObject({ kind: 'error', verdict: 'refused' });
    connection.answer('PONG');
    await settled();
    expect(exchange.accepts(1)).toBe(true);
    exchange.end('cut');
  });
});
