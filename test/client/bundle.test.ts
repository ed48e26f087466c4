/** The single file that browsers load: how large it is, and that shortened names broke nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { bundleClient } from '../../scripts/client-bundle.mjs';
import { LocalServer } from '../support/local-server.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { Witness } from './witness.ts';

const GZIP_BYTES_MAX = 6 * 1024;
const code = bundleClient(new URL('../..', import.meta.url).pathname);

test('it is at or under 6 KB gzip, needs nothing else and stays in the language of 2020', () => {
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(GZIP_BYTES_MAX);
  expect(code).not.toMatch(/\bimport\b|\brequire\b|#[a-z]|\?\?=|\|\|=/);
});

test('it connects, publishes, knows who is here and resumes after cuts, as the sources do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-bundle-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'roomcast.min.mjs');
  writeFileSync(file, code);
  const { connect, RoomcastError } = (await import(
    pathToFileURL(file).href
  )) as typeof import('../../src/client/index.ts');
  const server = await LocalServer.forTest({ RECONNECT_MAX_MS: '50' });
  const proxy = await startFaultProxy(server.port);
  onTestFinished(() => proxy.close());
  const url = `ws://127.0.0.1:${proxy.port}/ws`;
  const [writer, reader] = ['writer', 'reader'].map((user) => {
    const client = connect(url, { user, WebSocket, backoff: { baseMs: 50 } });
    onTestFinished(() => client.close());
    return client;
  });
  if (!writer || !reader) throw new Error('no clients');
  const witness = new Witness(writer, reader, 'room');
  const room = writer.join('room');
  await Promise.all([room.joined, reader.join('room').joined]);
  await room.setState({ mood: 'fine' });
  await expect.poll(() => reader.join('room').members.get('writer')?.state).toEqual({ mood: 'fine' });
  const signals: unknown[] = [];
  reader.join('room').on('signal', ({ data, from }) => signals.push([from.user, data]));
  await room.signal('hi');
  await expect.poll(() => signals).toEqual([['writer', 'hi']]);
  for (let round = 0; round < 3; round += 1) {
    const publishes = Array.from({ length: 20 }, () => witness.publish());
    proxy.cutOpen();
    await Promise.all(publishes);
  }
  await witness.expectExactlyOnce();
  expect((await room.history({ limit: 2 })).messages.map(({ seq }) => seq)).toEqual([59, 60]);
  await room.leave();
  await expect(room.publish(1)).rejects.toBeInstanceOf(RoomcastError);
  await expect.poll(() => [...reader.join('room').members.keys()]).toEqual(['reader']);
});
