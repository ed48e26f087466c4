/** The end of a server: at once, whatever its peers do, and with nothing left behind. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createServer } from '../../src/server.ts';
import { listen } from '../support/local-listener.ts';
import { LocalServer } from '../support/local-server.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';

const CLOSE_TIMEOUT_MS = 500;
/** For a busy machine. Without the bound the server would wait for ever, so any number tells the two apart. */
const SLACK_MS = 3000;

async function durationMs(work: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work;
  return performance.now() - since;
}

test('200 sockets, of which some do not answer, are gone within the close timeout', async () => {
  const local = await LocalServer.forTest({ CLOSE_TIMEOUT_MS: String(CLOSE_TIMEOUT_MS) });
  const peers = await Promise.all(
    Array.from({ length: 200 }, (_, at) => RawPeer.open(local.port, { answersClose: at % 4 !== 0 })),
  );
  for (const [at, peer] of peers.entries()) if (at % 2 === 0) peer.say({ type: 'hello' });
  await local.connections(100);
  const deaf = peers.filter((_, at) => at % 10 === 0);
  for (const peer of deaf) peer.socket.pause();

  const tookMs = await durationMs(local.server.close());
  expect(tookMs).toBeGreaterThanOrEqual(CLOSE_TIMEOUT_MS - 20);
  expect(tookMs).toBeLessThan(CLOSE_TIMEOUT_MS + SLACK_MS);
  for (const peer of deaf) peer.socket.resume();
  await Promise.all(peers.map((peer) => peer.gone));
  for (const peer of peers.filter((one) => !deaf.includes(one))) {
    expect(peer.texts.at(-1)).toMatchObject({ type: 'closing', code: 1001, reconnect: 'after' });
    expect(peer.closeCode).toBe(1001);
  }
});

test('where all answer, nothing waits for the timeout', async () => {
  const local = await LocalServer.forTest({ CLOSE_TIMEOUT_MS: '20000' });
  await Promise.all(Array.from({ length: 20 }, () => RawPeer.open(local.port)));
  expect(await durationMs(local.server.close())).toBeLessThan(10_000);
});

test('a request that was never finished does not hold the server', async () => {
  const local = await LocalServer.forTest({ CLOSE_TIMEOUT_MS: String(CLOSE_TIMEOUT_MS) });
  const halves = [
    '',
    'GET /he',
    'GET /health HTTP/1.1\r\nHost: x\r\n',
    'POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab',
  ];
  const sockets = halves.map((half) => {
    const socket = connect(local.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(half);
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  await local.health();
  const gone = sockets.map((socket) => once(socket.resume(), 'close'));
  expect(await durationMs(local.server.close())).toBeLessThan(CLOSE_TIMEOUT_MS + SLACK_MS);
  await Promise.all(gone);
});

test('a peer that ended its half and reads nothing does not hold the listener', async () => {
  const { port, sockets, connections, accepted } = await listen({
    settings: { closeTimeoutMs: CLOSE_TIMEOUT_MS, limitOutboxMaxBytes: 0 },
  });
  const peer = await RawPeer.open(port);
  peer.socket.pause();
  const [connection] = connections;
  for (let sent = 0; sent < 32; sent += 1) connection?.send('x'.repeat(1_048_576));
  peer.socket.end();
  const [socket] = accepted;
  if (!socket) throw new Error('nothing was accepted');
  await once(socket, 'end');
  expect(await durationMs(sockets.stop())).toBeLessThan(CLOSE_TIMEOUT_MS + SLACK_MS);
  expect(connections.size).toBe(0);
});

test('a connection that is opened while the server closes is closed as well', async () => {
  const local = await LocalServer.forTest({ CLOSE_TIMEOUT_MS: String(CLOSE_TIMEOUT_MS) });
  await RawPeer.open(local.port, { answersClose: false });
  const late = Array.from({ length: 20 }, () => RawPeer.open(local.port).catch(() => undefined));
  const closed = local.server.close();
  for (const peer of await Promise.all(late)) await peer?.gone;
  expect(await durationMs(closed)).toBeLessThan(CLOSE_TIMEOUT_MS + SLACK_MS);
});

test('after a defect of ours everybody is told 1011, and to come back with growing pauses', async () => {
  const local = await LocalServer.forTest();
  const greeted = await RawPeer.open(local.port);
  greeted.say({ type: 'hello' });
  await greeted.text('welcome');
  const silent = await RawPeer.open(local.port);
  await local.server.fail();
  for (const peer of [greeted, silent]) {
    await peer.gone;
    expect(peer.texts.at(-1)).toMatchObject({ type: 'closing', code: 1011, reconnect: 'after' });
    expect(peer.closeCode).toBe(1011);
  }
});

test('twice is once', async () => {
  const local = await LocalServer.forTest();
  await RawPeer.open(local.port);
  const first = local.server.close();
  expect(local.server.close()).toBe(first);
  await Promise.all([first, local.server.close(), local.server.drain()]);
  await local.server.close();
  expect(local.logger.saying('stopped')).toHaveLength(1);
});

test('a server that never listened closes, and one whose port is taken', async () => {
  const taken = await LocalServer.forTest();
  const env = { HOST: '127.0.0.1', PORT: String(taken.port), REDIS_MODE: 'off' };
  const { config } = loadConfig({ env, hostname: 'local' });
  const never = createServer({ config, logger: createRecordingLogger() });
  await never.close();
  const other = createServer({ config, logger: createRecordingLogger() });
  await expect(other.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await other.close();
});

test('nothing keeps the process alive after it', async () => {
  const held = () =>
    process
      .getActiveResourcesInfo()
      .filter((name) => !/^(PipeWrap|TTYWrap|MessagePort|FSReq.*)$/.test(name))
      .sort();
  const before = held();
  const local = await LocalServer.start();
  const peers = await Promise.all(
    Array.from({ length: 10 }, (_, at) => RawPeer.open(local.port, { answersClose: at > 4 })),
  );
  for (const peer of peers) peer.say({ type: 'hello', user: 'anna' }, { type: 'join', id: 1, room: 'r' });
  await Promise.all(peers.map((peer) => peer.text('joined')));
  expect(held().length).toBeGreaterThan(before.length);
  await local.close();
  for (const peer of peers) await peer.gone;
  // Not equal: what ended with an earlier test may still have been going then.
  await expect.poll(() => held().filter((name) => !before.includes(name))).toEqual([]);
  expect(held().length).toBeLessThanOrEqual(before.length);
});
