/** 3,000 connections come and go, each in another way, and nothing of them is left. */
import { queryObjects } from 'node:v8';
import { expect, onTestFinished, test } from 'vitest';
import { Session } from '../../src/core/session.ts';
import { Dispatcher } from '../../src/node/dispatch.ts';
import { WsConnection } from '../../src/transport/ws-connection.ts';
import { LocalServer } from '../support/local-server.ts';
import { openSockets } from '../support/malformed-frames.ts';
import { closeFrame, frame, RawPeer } from '../support/raw-peer.ts';

const CONNECTIONS = 3000;
const AT_ONCE = 100;

/** The ways a connection can end. */
const ENDS: ((peer: RawPeer) => void)[] = [
  (peer) => peer.write(closeFrame(1000)),
  (peer) => peer.socket.end(),
  (peer) => peer.socket.destroy(),
  (peer) => peer.socket.resetAndDestroy(),
  (peer) => peer.write(frame({ masked: false })),
  (peer) => peer.write(frame({ opcode: 2 })),
];

async function comeAndGo(port: number, at: number): Promise<void> {
  const peer = await RawPeer.open(port);
  // Every third never says anything.
  if (at % 3 !== 0) {
    peer.say({ type: 'hello', user: `user-${at % 50}` }, { type: 'join', id: 1, room: `room-${at % 20}` });
    await peer.text('joined');
  }
  ENDS[at % ENDS.length]?.(peer);
  await peer.gone;
}

test('3,000 connections leave no object, no socket and no warning behind', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  const local = await LocalServer.forTest({
    LIMIT_USER_CONNECTIONS: '0',
    PING_INTERVAL_MS: '500',
    LINGER_MS: '0',
    HELLO_TIMEOUT_MS: '60000',
  });
  const before = openSockets();

  for (let at = 0; at < CONNECTIONS; at += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, more) => comeAndGo(local.port, at + more)));
  }

  await local.connections(0);
  expect(await local.health()).toMatchObject({ connections: 0, rooms: 0 });
  await expect.poll(openSockets).toBeLessThanOrEqual(before);
  // Counted in the heap after a collection: whatever map or timer still held one, it would be here.
  for (const kind of [WsConnection, Dispatcher, Session]) {
    await expect
      .poll(() => queryObjects(kind, { format: 'count' }), { message: kind.name, timeout: 5000 })
      .toBe(0);
  }
  expect(warnings.filter(({ name }) => name !== 'ExperimentalWarning')).toEqual([]);
}, 120_000);
