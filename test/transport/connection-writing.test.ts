/**
 * What a connection promises of its writes, however they reach the socket: run with writes past Node's stream and
 * with plain ones.
 */
import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Connection } from '../../src/core/connection.ts';
import { textFrame } from '../../src/core/frame.ts';
import { NODE_MAJORS } from '../../src/transport/direct-write.ts';
import { listen } from '../support/local-listener.ts';
import { frame, OPCODE, RawPeer, type RawPeerOptions } from '../support/raw-peer.ts';

interface Opened {
  readonly peer: RawPeer;
  readonly connection: Connection;
  readonly socket: Socket;
  readonly port: number;
  readonly opened: ReadonlySet<Connection>;
}

const isKnownNode = NODE_MAJORS.includes(process.versions.node.split('.')[0] ?? '');

async function open(writeDirect: 'auto' | 'off', options: RawPeerOptions = {}): Promise<Opened> {
  const { port, connections, accepted } = await listen({ settings: { limitOutboxMaxBytes: 0, writeDirect } });
  const peer = await RawPeer.open(port, options);
  const [connection] = connections;
  const [socket] = accepted;
  if (!connection || !socket) throw new Error('nothing was opened');
  // The first two writes show how it is done; from the third on it is.
  for (const n of [1, 2]) {
    connection.write(textFrame(`warm ${n}`));
    await peer.until(({ received }) => received.length === n, 'the warming up');
  }
  peer.received.length = 0;
  return { peer, connection, socket, port, opened: connections };
}

/** How often the socket's own `write` was called. */
function plainWrites(socket: Socket): () => number {
  const write = vi.spyOn(socket, 'write');
  return () => write.mock.calls.length;
}

const textsOf = (peer: RawPeer) =>
  peer.received.filter(({ opcode }) => opcode === OPCODE.text).map(({ payload }) => payload.toString());

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe.each(['auto', 'off'] as const)('writing with WRITE_DIRECT=%s', (writeDirect) => {
  test('calls the write of the socket for every frame, or for none that the kernel takes at once', async () => {
    const { peer, connection, socket } = await open(writeDirect);
    const calls = plainWrites(socket);
    const before = socket.bytesWritten;
    for (let n = 0; n < 10; n += 1) {
      connection.write(textFrame(`frame ${n}`));
      await peer.until(({ received }) => received.length === n + 1, `frame ${n}`);
    }
    expect(calls()).toBe(writeDirect === 'auto' && isKnownNode ? 0 : 10);
    // Counted either way: progress is judged by it.
    expect(socket.bytesWritten - before).toBe(10 * (2 + 'frame 0'.length));
    expect(connection.queuedBytes).toBe(0);
  });

  test('keeps the order of frames, held replies, pings and pongs, and of the close behind them', async () => {
    const { peer, connection } = await open(writeDirect);
    const expected: string[] = [];
    for (let round = 0; round < 50; round += 1) {
      for (const [n, how] of ['write', 'send', 'write', 'offer', 'write'].entries()) {
        const text = `${round}.${n} ${'x'.repeat((round * 997) % 3000)}`;
        expected.push(text);
        if (how === 'send') connection.send(text);
        else if (how === 'write') connection.write(textFrame(text));
        else expect(connection.offer(textFrame(text), 1e9, 1e9)).toBe(true);
      }
      peer.write(frame({ opcode: OPCODE.ping, payload: `ping ${round}` }));
      if (round % 3 === 0) await turn();
    }
    await peer.until(
      ({ received }) => received.filter(({ opcode }) => opcode === OPCODE.pong).length === 50,
      'pongs',
    );
    connection.send('last');
    connection.close(4009, 'over');
    connection.write(textFrame('never'));
    await peer.gone;
    expect(textsOf(peer)).toEqual([...expected, 'last']);
    expect(peer.received.at(-1)?.opcode).toBe(OPCODE.close);
  });

  test('gives a peer that stopped reading everything in order once it reads, and counts what waits until then', async () => {
    const { peer, connection, socket } = await open(writeDirect);
    peer.socket.pause();
    const expected: string[] = [];
    let bytes = 0;
    for (let n = 0; connection.queuedBytes < 1_000_000; n += 1) {
      const text = `${n} ${'y'.repeat((n * 7919) % 60_000)}`;
      expected.push(text);
      const framed = textFrame(text);
      bytes += framed.length;
      connection.write(framed);
      if (n % 16 === 0) await turn();
    }
    const handle = (socket as unknown as { _handle: { writeQueueSize: number } })._handle;
    expect(handle.writeQueueSize).toBeGreaterThan(0);
    expect(connection.queuedBytes).toBeGreaterThanOrEqual(handle.writeQueueSize);
    expect(connection.queuedBytes).toBeLessThanOrEqual(bytes);
    const held = connection.backlog().reduce((sum, buffer) => sum + buffer.length, 0);
    expect(held).toBeGreaterThanOrEqual(connection.queuedBytes);
    expect(held).toBeLessThan(connection.queuedBytes + 65_536);
    const standing = connection.progress;
    await turn();
    expect(connection.progress).toBe(standing);
    const drained = new Promise<void>((resolve) => connection.onDrained(resolve));
    peer.socket.resume();
    await drained;
    expect(connection.queuedBytes).toBe(0);
    expect(connection.backlog()).toEqual([]);
    expect(connection.progress).not.toBe(standing);
    connection.write(textFrame('behind it'));
    await peer.until(({ received }) => received.length > expected.length, 'all of it', 20_000);
    expect(textsOf(peer)).toEqual([...expected, 'behind it']);
  });

  test('writes frames of a megabyte whole, with small ones behind them', async () => {
    const { peer, connection } = await open(writeDirect);
    const large = 'z'.repeat(1_048_576);
    for (let n = 0; n < 2; n += 1) {
      connection.write(textFrame(large));
      connection.write(textFrame(`small ${n}`));
    }
    await peer.until(({ received }) => received.length === 4, 'all of them', 20_000);
    textsOf(peer).forEach((text, at) => {
      expect(text === (at % 2 === 0 ? large : `small ${(at - 1) / 2}`)).toBe(true);
    });
  });

  test.each([
    ['the peer resets it', ({ peer }: Opened) => peer.socket.resetAndDestroy()],
    ['it is terminated', ({ connection }: Opened) => connection.terminate()],
  ])('takes it calmly that %s while a write is under way', async (_what, end) => {
    const all = await open(writeDirect);
    const { peer, connection, socket, opened } = all;
    peer.socket.pause();
    while (connection.queuedBytes === 0) connection.write(textFrame('w'.repeat(60_000)));
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const drained = new Promise<void>((resolve) => connection.onDrained(resolve));
    end(all);
    await Promise.all([gone, drained]);
    await turn();
    connection.write(textFrame('into nothing'));
    expect(connection.offer(textFrame('into nothing'), 0, 0)).toBe(true);
    await turn();
    expect(opened.size).toBe(0);
    expect(connection.queuedBytes).toBe(0);
  });

  test('ends the connection where a write fails', async () => {
    const { peer, connection, socket, opened } = await open(writeDirect);
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    peer.socket.resetAndDestroy();
    // Written until the kernel says that nobody is there; that it is read as an end first is as good.
    while (!socket.destroyed) {
      connection.write(textFrame('is anybody there'));
      await turn();
    }
    await gone;
    expect(opened.size).toBe(0);
  });

  test('writes nothing behind the answer to the close of the peer', async () => {
    const { peer, connection, socket } = await open(writeDirect, { answersClose: false });
    peer.write(frame({ opcode: OPCODE.close, payload: Buffer.from([0x03, 0xe8]) }));
    while (peer.closeCode === undefined) {
      connection.write(textFrame('on and on'));
      await turn();
    }
    const calls = plainWrites(socket);
    connection.write(textFrame('too late'));
    connection.send('too late');
    expect(calls()).toBe(0);
    await peer.gone;
    expect(peer.received.at(-1)?.opcode).toBe(OPCODE.close);
    expect(textsOf(peer)).not.toContain('too late');
  });

  test('goes on with other connections while a write to one is under way', async () => {
    const { peer, connection, socket, port, opened } = await open(writeDirect);
    const other = await RawPeer.open(port);
    const [, second] = opened;
    if (!second) throw new Error('nothing was opened');
    const handle = (socket as unknown as { _handle: { writeQueueSize: number } })._handle;
    const expected: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      peer.socket.pause();
      const since = expected.length;
      // Each of its own bytes, which nobody but the write keeps.
      while (handle.writeQueueSize === 0) {
        expected.push(`${round} ${expected.length} ${'v'.repeat(200_000)}`);
        connection.write(textFrame(expected.at(-1) ?? ''));
      }
      expect(expected.length).toBeGreaterThan(since);
      // Counted although the stream of the socket may know nothing of it, and although it was one write.
      expect(connection.queuedBytes).toBeGreaterThanOrEqual(handle.writeQueueSize);
      for (let n = 0; n < 20; n += 1) second.write(textFrame(`${round} ${n}`));
      peer.socket.resume();
      await peer.until(({ received }) => received.length === expected.length, 'all of the round', 20_000);
      expect(connection.queuedBytes).toBe(0);
    }
    await other.until(({ received }) => received.length === 40, 'what came meanwhile');
    expect(textsOf(other)).toEqual(Array.from({ length: 40 }, (_, n) => `${Math.floor(n / 20)} ${n % 20}`));
    textsOf(peer).forEach((text, at) => {
      expect(text === expected[at]).toBe(true);
    });
  });
});

test('all replies of one turn, and the message of that turn, are one write', async () => {
  const { peer, connection, socket } = await open('auto');
  const before = socket.bytesWritten;
  let handed = 0;
  const handle = (
    socket as unknown as { _handle: Record<'writev' | 'writeBuffer', (...parts: unknown[]) => number> }
  )._handle;
  for (const name of ['writev', 'writeBuffer'] as const) {
    const original = handle[name];
    handle[name] = (...parts) => {
      handed += 1;
      return original.apply(handle, parts);
    };
  }
  for (let n = 0; n < 100; n += 1) connection.send(`ok ${n}`);
  connection.write(textFrame('the message'));
  expect([handed, connection.queuedBytes > 0, connection.waitingBytes]).toEqual([0, true, 0]);
  await turn();
  // Still in the turn of the event loop in which they were said.
  expect([handed, connection.queuedBytes, connection.waitingBytes]).toEqual([1, 0, 0]);
  expect(socket.bytesWritten).toBeGreaterThan(before);
  await peer.until(({ received }) => received.length === 101, 'all of them');
  expect(textsOf(peer)).toEqual([...Array.from({ length: 100 }, (_, n) => `ok ${n}`), 'the message']);
});

test.each([
  ['small frames', frame({ payload: '1' })],
  ['batches', frame({ payload: JSON.stringify(Array.from({ length: 60 }, () => ({ type: 'ping' }))) })],
  ['large frames', frame({ payload: JSON.stringify('x'.repeat(60_000)) })],
  ['pongs nobody asked for', frame({ opcode: OPCODE.pong })],
])(
  'a peer that always has more to say (%s) is heard a piece at a time, with others in between',
  async (_what, one) => {
    // Its socket was read up to 32 times in one look at all of them: two megabytes before anybody else was heard.
    const { port, accepted } = await listen();
    const peer = await RawPeer.open(port);
    const [socket] = accepted;
    if (!socket) throw new Error('nothing was accepted');
    let before = socket.bytesRead;
    let most = 0;
    const look = () => {
      most = Math.max(most, socket.bytesRead - before);
      before = socket.bytesRead;
      if (!peer.socket.destroyed) setImmediate(look);
    };
    const all = Buffer.alloc(Math.floor(1_000_000 / one.length) * one.length, one);
    const total = before + all.length;
    setImmediate(look);
    // So that the system holds as much of it as it can.
    socket.pause();
    peer.write(all);
    for (let turns = 0; turns < 50; turns += 1) await turn();
    socket.resume();
    await expect.poll(() => socket.bytesRead, { timeout: 20_000 }).toBe(total);
    // One read of 64 KB is carried out whole, and one more before the others have their turn.
    expect(most).toBeLessThan(2.5 * 65_536);
  },
);

test('of thousands of pings in one read the last is answered, and all pongs are one write', async () => {
  const { port, accepted } = await listen();
  const peer = await RawPeer.open(port);
  const [socket] = accepted;
  if (!socket) throw new Error('nothing was accepted');
  const ping = frame({ opcode: OPCODE.ping, payload: 'x' });
  const last = frame({ opcode: OPCODE.ping, payload: 'last' });
  const cork = vi.spyOn(socket, 'cork');
  peer.write(Buffer.alloc(2000 * ping.length, ping), last);
  await peer.until(({ received }) => received.at(-1)?.payload.toString() === 'last', 'the last pong');
  expect(peer.received.every(({ opcode }) => opcode === OPCODE.pong)).toBe(true);
  expect(cork.mock.calls.length).toBeLessThan(20);
});

test('a healthy connection is neither full nor too slow by what one turn brings it', async () => {
  const { port, connections } = await listen({ settings: { limitOutboxMaxBytes: 100_000 } });
  const peer = await RawPeer.open(port);
  const [connection] = connections;
  if (!connection) throw new Error('nothing was opened');
  connection.send('a reply');
  for (let n = 0; n < 40; n += 1)
    expect(connection.offer(textFrame('x'.repeat(10_000)), 50_000, 1e9)).toBe(true);
  expect(connection.queuedBytes).toBeGreaterThan(400_000);
  // But one turn brings it no more than it is allowed to.
  expect(connection.offer(textFrame('x'.repeat(10_000)), 50_000, 405_000)).toBe(false);
  for (let n = 0; n < 40; n += 1) connection.write(textFrame('x'.repeat(10_000)));
  await peer.until(({ received }) => received.length === 81, 'all of it');
  expect(peer.closeCode).toBeUndefined();
});

test('a connection with an extension is refused, as frames made for everybody are not for it', async () => {
  const { port, connections, logger } = await listen();
  const extensions = vi.spyOn(WebSocket.prototype, 'extensions', 'get').mockReturnValue('permessage-deflate');
  onTestFinished(() => extensions.mockRestore());
  const peer = await RawPeer.open(port);
  expect(await peer.closed()).toBe(1011);
  expect(connections.size).toBe(0);
  expect(logger.lines.some(({ level }) => level === 'error')).toBe(true);
});

test('no extension is negotiated with who offers one', async () => {
  const { port } = await listen();
  const offer = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits';
  const peer = await RawPeer.open(port, { headers: [offer] });
  expect(peer.answer.headers.get('sec-websocket-extensions')).toBeUndefined();
});
