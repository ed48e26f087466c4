/** What a connection tells of its queue, on a real socket whose peer reads when the test says so. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Connection } from '../../src/core/connection.ts';
import { textFrame } from '../../src/core/frame.ts';
import { listen } from '../support/local-listener.ts';
import { RawPeer } from '../support/raw-peer.ts';

async function open(): Promise<{ peer: RawPeer; connection: Connection; socket: Socket }> {
  const { port, connections, accepted } = await listen({ settings: { limitOutboxMaxBytes: 0 } });
  const peer = await RawPeer.open(port);
  const [connection] = connections;
  const [socket] = accepted;
  if (!connection || !socket) throw new Error('nothing was opened');
  return { peer, connection, socket };
}

/** Fills the kernel's buffers, so that from here on every byte waits in the process. */
async function fill({ peer, connection }: { peer: RawPeer; connection: Connection }): Promise<void> {
  peer.socket.pause();
  while (connection.queuedBytes === 0) {
    connection.send('x'.repeat(65_536));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Settles the write under way, which may still go on for a moment: returns once progress stands still. */
async function still(connection: Connection): Promise<number> {
  for (let before = Number.NaN; ; ) {
    const { progress } = connection;
    if (progress === before) return progress;
    before = progress;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe('the progress of a connection', () => {
  test('stands still while its peer does not read, however much is handed over', async () => {
    const { peer, connection, socket } = await open();
    await fill({ peer, connection });
    const before = await still(connection);
    const queued = connection.queuedBytes;
    connection.send('y'.repeat(1000));
    expect(connection.queuedBytes).toBe(queued + 1000 + 4);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(connection.progress).toBe(before);
    expect(socket.destroyed).toBe(false);
  });

  test('is seen in the middle of one large write', async () => {
    const { peer, connection } = await open();
    peer.socket.pause();
    // Far more than any kernel holds, so that it stays one write under way.
    connection.send('z'.repeat(64 * 1_048_576));
    const before = await still(connection);
    const queued = connection.queuedBytes;
    while (connection.progress === before && connection.queuedBytes === queued) {
      peer.socket.resume();
      await once(peer.socket, 'data');
      peer.socket.pause();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connection.progress).not.toBe(before);
    expect(connection.queuedBytes).toBe(queued);
  });
});

describe('a corked connection', () => {
  test('hands nothing to the network until it is uncorked, and then all of it in order', async () => {
    const { peer, connection, socket } = await open();
    const before = connection.progress;
    connection.cork();
    connection.write(textFrame('"one"'));
    connection.write(textFrame('"two"'));
    await new Promise((resolve) => setImmediate(resolve));
    expect([connection.progress, socket.writableLength]).toEqual([before, 14]);
    connection.uncork();
    let heard = '';
    while (!heard.includes('two')) heard += String((await once(peer.socket, 'data'))[0]);
    expect(heard).toMatch(/"one".*"two"/s);
  });
});

describe('who waits for a connection to drain', () => {
  test('is called once when it did, and not before', async () => {
    const { peer, connection } = await open();
    await fill({ peer, connection });
    let calls = 0;
    const drained = new Promise<void>((resolve) => {
      connection.onDrained(() => {
        calls += 1;
        resolve();
      });
    });
    await still(connection);
    expect(calls).toBe(0);
    peer.socket.resume();
    await drained;
    expect(connection.queuedBytes).toBe(0);
    await fill({ peer, connection });
    peer.socket.resume();
    await peer.until(() => connection.queuedBytes === 0, 'an empty queue');
    expect(calls).toBe(1);
  });

  test('is called also where less waits than the socket calls full', async () => {
    const { peer, connection } = await open();
    peer.socket.pause();
    while (connection.queuedBytes === 0) connection.send('x'.repeat(5000));
    expect(connection.queuedBytes).toBeLessThan(16_384);
    const drained = new Promise<void>((resolve) => connection.onDrained(resolve));
    peer.socket.resume();
    await drained;
  });

  test.each([
    ['is reset', ({ peer }: { peer: RawPeer }) => peer.socket.resetAndDestroy()],
    ['is terminated', ({ connection }: { connection: Connection }) => connection.terminate()],
  ])('is called also where it %s', async (_what, end) => {
    const { peer, connection } = await open();
    await fill({ peer, connection });
    const drained = new Promise<void>((resolve) => connection.onDrained(resolve));
    end({ peer, connection });
    await drained;
  });

  test('is called also where it is gone already', async () => {
    const { peer, connection, socket } = await open();
    peer.socket.destroy();
    await once(socket, 'close');
    await new Promise<void>((resolve) => connection.onDrained(resolve));
  });

  test('leaves nothing behind on the socket', async () => {
    const { peer, connection, socket } = await open();
    const listeners = () => socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0);
    const before = listeners();
    for (let round = 0; round < 3; round += 1) {
      await fill({ peer, connection });
      const drained = new Promise<void>((resolve) => connection.onDrained(resolve));
      peer.socket.resume();
      await drained;
    }
    expect(listeners()).toBe(before);
  });
});
