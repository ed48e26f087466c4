/** A peer that does not read: what waits for it is bounded, it is let go of, and nobody else notices. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, onTestFinished, test } from 'vitest';
import type { Connection } from '../../src/core/connection.ts';
import { textFrame } from '../../src/core/frame.ts';
import type { WsConnection } from '../../src/transport/ws-connection.ts';
import { listen } from '../support/local-listener.ts';
import { LocalServer } from '../support/local-server.ts';
import { frame, OPCODE, RawPeer } from '../support/raw-peer.ts';
import { TestClient } from '../support/test-client.ts';

const FRAME_BYTES = 16_384;
/** The header of a frame of that size, and a close frame behind the last one. */
const HEADERS_BYTES = 10 + 127;
const LIMIT_BYTES = 262_144;

interface Stalled {
  readonly peer: RawPeer;
  readonly connection: Connection;
  /** The server's end. */
  readonly socket: Socket;
}

async function stalled(limitOutboxMaxBytes = LIMIT_BYTES): Promise<Stalled> {
  const { port, connections, accepted } = await listen({
    settings: { limitOutboxMaxBytes, closeTimeoutMs: 5000 },
  });
  const peer = await RawPeer.open(port);
  peer.socket.pause();
  const [connection] = connections;
  const [socket] = accepted;
  if (!connection || !socket) throw new Error('nothing was opened');
  return { peer, connection, socket };
}

/** Sends until nothing more is taken, and returns the most bytes that ever waited. */
async function flood({ connection, socket }: Stalled, frames = 20_000): Promise<number> {
  const text = 'x'.repeat(FRAME_BYTES);
  let most = 0;
  let last = -1;
  for (let sent = 0; sent < frames && socket.bytesWritten !== last; sent += 1) {
    last = socket.bytesWritten;
    connection.send(text);
    most = Math.max(most, socket.writableLength);
    // A turn each: what one turn holds back is not judged.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return most;
}

test('what waits is bounded by the limit and two frames, and the socket is ended a second later', async () => {
  const slow = await stalled();
  const most = await flood(slow);
  expect(most).toBeGreaterThan(LIMIT_BYTES);
  // The one that was written over the limit, and the largest that waited, which does not count.
  expect(most).toBeLessThanOrEqual(LIMIT_BYTES + 2 * (FRAME_BYTES + HEADERS_BYTES));
  const since = performance.now();
  await once(slow.socket, 'close');
  const tookMs = performance.now() - since;
  expect(tookMs).toBeGreaterThan(500);
  expect(tookMs).toBeLessThan(4000);
});

test('a peer that begins to read within that second gets everything that waited, and why it ends', async () => {
  const slow = await stalled();
  await flood(slow);
  slow.peer.socket.resume();
  expect(await slow.peer.closed()).toBe(4009);
  // PROTOCOL: who does not read is not told `closing`.
  const texts = slow.peer.received.filter(({ opcode }) => opcode === 1);
  expect(new Set(texts.map(({ payload }) => payload.length))).toEqual(new Set([FRAME_BYTES]));
  await slow.peer.gone;
});

test('one frame larger than the limit is no reason to end who reads it', async () => {
  const slow = await stalled();
  slow.connection.send('x'.repeat(20 * LIMIT_BYTES));
  expect(slow.socket.writableLength).toBeGreaterThan(LIMIT_BYTES);
  slow.peer.socket.resume();
  await slow.peer.until(({ received }) => received.length === 1, 'the large frame', 20_000);
  slow.connection.send('small');
  await slow.peer.until(({ received }) => received.length === 2, 'the one behind it');
  expect(slow.peer.closeCode).toBeUndefined();
});

test('nor is what is said while it is still on its way', async () => {
  // A page of history is megabytes; a pong or an `ok` behind it ended the connection, and the same page the next one.
  const slow = await stalled();
  slow.connection.send('x'.repeat(20 * LIMIT_BYTES));
  for (let n = 0; n < 3; n += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    expect(slow.connection.queuedBytes).toBeGreaterThan(2 * LIMIT_BYTES);
    slow.connection.send('small');
  }
  slow.peer.socket.resume();
  await slow.peer.until(({ received }) => received.length === 4, 'all four', 20_000);
  expect(slow.peer.closeCode).toBeUndefined();
});

test('who pings and does not read is owed few pongs, the newest among them, whatever it sends', async () => {
  // A pong is two bytes and a quarter of a kilobyte of objects: a million of them fitted below the limit.
  const { peer, connection, socket } = await stalled();
  while (connection.waitingBytes < 65_536) {
    connection.send('x'.repeat(FRAME_BYTES));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const queued = connection.queuedBytes;
  const pings = Buffer.concat(
    Array.from({ length: 4096 }, () => frame({ opcode: OPCODE.ping, payload: '' })),
  );
  for (let round = 0; round < 50; round += 1) {
    peer.write(pings);
    await new Promise((resolve) => setImmediate(resolve));
  }
  peer.write(frame({ opcode: OPCODE.ping, payload: 'newest' }));
  const sentBytes = 50 * pings.length;
  await expect.poll(() => socket.bytesRead).toBeGreaterThan(sentBytes);
  expect((connection as WsConnection).isOpen).toBe(true);
  expect(connection.queuedBytes).toBeLessThanOrEqual(queued + 127);
  peer.socket.resume();
  const isNewest = ({ opcode, payload }: RawPeer['received'][number]) =>
    opcode === OPCODE.pong && payload.toString() === 'newest';
  await peer.until(({ received }) => received.some(isNewest), 'the newest pong', 20_000);
  expect(peer.received.filter(({ opcode }) => opcode === OPCODE.pong).length).toBeLessThan(1000);
  expect(peer.closeCode).toBeUndefined();
});

test('small frames count as the memory they take, and who leaves too many of them is let go of', async () => {
  const slow = await stalled();
  // The kernel's buffers grow a little when they are full.
  while (slow.connection.queuedBytes < 8 * FRAME_BYTES) {
    slow.connection.send('x'.repeat(FRAME_BYTES));
    await new Promise((resolve) => setImmediate(resolve));
  }
  let sent = 0;
  for (; (slow.connection as WsConnection).isOpen && sent < 100_000; sent += 1) {
    slow.connection.write(textFrame('tiny'));
    if (sent % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sent).toBeGreaterThan(500);
  expect(sent).toBeLessThan((LIMIT_BYTES + 2 * FRAME_BYTES) / 200);
  slow.peer.socket.resume();
  expect(await slow.peer.closed()).toBe(4009);
});

test('who ended its half and reads nothing is ended, and who waits for it is told once, then', async () => {
  // It was told in every turn that nothing can be waited for, asked again at once, and the loop spun for a minute.
  const { port, connections, accepted } = await listen({
    settings: { limitOutboxMaxBytes: 0, closeTimeoutMs: 400 },
  });
  const peer = await RawPeer.open(port);
  peer.socket.pause();
  const [connection] = connections;
  const [socket] = accepted;
  if (!connection || !socket) throw new Error('nothing was opened');
  while (connection.queuedBytes < 4 * FRAME_BYTES) {
    connection.send('x'.repeat(FRAME_BYTES));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const ended = once(socket, 'end');
  peer.socket.end();
  await ended;
  let told = 0;
  connection.onDrained(() => {
    told += 1;
  });
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect([told, socket.destroyed]).toEqual([0, false]);
  await once(socket, 'close');
  await expect.poll(() => told).toBe(1);
});

test('without a limit everything waits', async () => {
  const slow = await stalled(0);
  expect(await flood(slow, 1000)).toBeGreaterThan(2 * LIMIT_BYTES);
  slow.peer.socket.resume();
  await slow.peer.until(({ received }) => received.length === 1000, '1000 frames', 20_000);
});

test('in a room, members that read get every message while one does not', async () => {
  const accepted: Socket[] = [];
  const accept = (message: unknown) => void accepted.push((message as { socket: Socket }).socket);
  subscribe('net.server.socket', accept);
  onTestFinished(() => void unsubscribe('net.server.socket', accept));

  const local = await LocalServer.forTest({
    LIMIT_OUTBOX_BYTES: String(LIMIT_BYTES),
    LIMIT_OUTBOX_STALL_MS: '1000',
    HISTORY_MESSAGES: '10',
    // What waits is counted here by the sockets themselves, which know nothing of a direct write under way.
    WRITE_DIRECT: 'off',
  });
  const readers = await Promise.all(['a', 'b', 'c'].map((user) => TestClient.hello(local.url, user)));
  for (const reader of readers) await reader.join('busy');
  const deaf = await RawPeer.open(local.port);
  deaf.say({ type: 'hello', user: 'deaf' }, { type: 'join', id: 1, room: 'busy' });
  await deaf.text('joined');
  deaf.socket.pause();
  await local.connections(4);

  const [publisher] = readers;
  if (!publisher) throw new Error('no publisher');
  const messages = 512;
  let most = 0;
  for (let sent = 0; sent < messages; sent += 8) {
    const batch = Array.from({ length: 8 }, (_, at) =>
      publisher.publish('busy', `${sent + at} ${'x'.repeat(30_000)}`),
    );
    for (const ok of await Promise.all(batch)) expect(ok).toMatchObject({ type: 'ok' });
    most = Math.max(most, ...accepted.map((socket) => socket.writableLength));
  }

  await Promise.all(
    readers.map((reader) => reader.find((frame) => frame['seq'] === messages && frame.type === 'message')),
  );
  for (const reader of readers) {
    expect(reader.of('message')).toHaveLength(messages);
    expect(reader.violations).toEqual([]);
  }
  await local.connections(3);
  expect(most).toBeGreaterThan(LIMIT_BYTES);
  // One write is what a room got in one turn of the event loop: at most the eight messages of a batch.
  expect(most).toBeLessThan(LIMIT_BYTES + 8 * 31_000);
  for (const reader of readers) await reader.close();
}, 60_000);

test('a member that reads again gets every message once, in order, whatever it missed meanwhile', async () => {
  const local = await LocalServer.forTest({ LIMIT_OUTBOX_BYTES: String(LIMIT_BYTES) });
  const publisher = await TestClient.hello(local.url, 'anna');
  await publisher.join('busy');
  const late = await RawPeer.open(local.port);
  late.say({ type: 'hello', user: 'late' }, { type: 'join', id: 1, room: 'busy' });
  await late.text('joined');
  late.socket.pause();

  const messages = 400;
  for (let sent = 0; sent < messages; sent += 8) {
    const batch = Array.from({ length: 8 }, (_, at) =>
      publisher.publish('busy', `${sent + at} ${'x'.repeat(30_000)}`),
    );
    await Promise.all(batch);
  }
  late.socket.resume();
  const seqs = (peer: RawPeer) =>
    peer.received
      .filter(({ opcode, payload }) => opcode === 1 && payload.includes('"type":"message"'))
      .map(({ payload }) => Number(/"seq":(\d+)/.exec(payload.toString('latin1', 0, 200))?.[1]));
  await late.until(
    (peer) => peer.received.length > messages && seqs(peer).length === messages,
    'all of them',
    20_000,
  );
  expect(seqs(late)).toEqual(Array.from({ length: messages }, (_, at) => at + 1));
  expect(late.texts.filter((text) => text['type'] === 'reset')).toEqual([]);
  await publisher.close();
}, 60_000);
