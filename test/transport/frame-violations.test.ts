/**
 * Every violation of RFC 6455 that a peer can commit, by hand on a TCP socket,
 * with the close code it is answered with. After each, the server serves others
 * and holds nothing of the offender.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { listen } from '../support/local-listener.ts';
import { LocalServer } from '../support/local-server.ts';
import { closeFrame, frame, OPCODE, RawPeer } from '../support/raw-peer.ts';
import { TestClient } from '../support/test-client.ts';

let local: LocalServer;
let other: TestClient;

beforeAll(async () => {
  local = await LocalServer.start();
  other = await TestClient.hello(local.url);
});
afterEach(async () => {
  await local.connections(1);
  expect(await other.request({ type: 'ping' })).toMatchObject({ type: 'pong' });
});
afterAll(async () => {
  await other.close();
  await local.close();
});

/** A connection that has said hello, so that the node holds state for it. */
async function greeted(): Promise<RawPeer> {
  const peer = await RawPeer.open(local.port);
  peer.say({ type: 'hello' });
  await peer.text('welcome');
  return peer;
}

const { binary, close, continuation, ping, pong, text } = OPCODE;
const hi = '{"type":"ping","id":"hi"}';
const utf8 = (hex: string) => frame({ payload: Buffer.from(hex, 'hex') });
/** A message in so many fragments. */
const pieces = (count: number, payload = (_at: number) => '') =>
  Array.from({ length: count }, (_, at) =>
    frame({ opcode: at === 0 ? text : continuation, fin: at === count - 1, payload: payload(at) }),
  );

const violations: [string, number, Buffer[]][] = [
  ['a text frame that is not masked', 1002, [frame({ masked: false, payload: hi })]],
  ['a ping that is not masked', 1002, [frame({ opcode: ping, masked: false })]],
  ['a close that is not masked', 1002, [frame({ opcode: close, masked: false })]],
  ...[1, 2, 4, 7].map((rsv): [string, number, Buffer[]] => [
    `reserved bits ${rsv.toString(2).padStart(3, '0')}`,
    1002,
    [frame({ rsv, payload: hi })],
  ]),
  ['a reserved bit in a ping', 1002, [frame({ opcode: ping, rsv: 4 })]],
  [
    'a reserved bit in a continuation',
    1002,
    [frame({ fin: false, payload: '{' }), frame({ opcode: continuation, rsv: 4, payload: '}' })],
  ],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, number, Buffer[]] => [
    `opcode ${opcode}`,
    1002,
    [frame({ opcode, payload: 'x' })],
  ]),
  ...[close, ping, pong].map((opcode): [string, number, Buffer[]] => [
    `a control frame (${opcode}) of 126 bytes`,
    1002,
    [frame({ opcode, payload: Buffer.alloc(126, 3) })],
  ]),
  ...[close, ping, pong].map((opcode): [string, number, Buffer[]] => [
    `a control frame (${opcode}) in fragments`,
    1002,
    [frame({ opcode, fin: false })],
  ]),
  ['a continuation of nothing', 1002, [frame({ opcode: continuation, payload: hi })]],
  [
    'a continuation of a message that ended',
    1002,
    [frame({ payload: hi }), frame({ opcode: continuation, payload: hi })],
  ],
  [
    'a text frame inside a fragmented message',
    1002,
    [frame({ fin: false, payload: '{' }), frame({ payload: hi })],
  ],
  [
    'a binary frame inside a fragmented message',
    1002,
    [frame({ fin: false, payload: '{' }), frame({ opcode: binary })],
  ],
  ['a lone continuation byte', 1007, [utf8('80')]],
  ['an overlong encoding of NUL', 1007, [utf8('c080')]],
  ['half of a surrogate pair', 1007, [utf8('eda080')]],
  ['a character above U+10FFFF', 1007, [utf8('f4908080')]],
  ['a character that is cut off', 1007, [utf8('f09f98')]],
  ['bad UTF-8 behind 40 good bytes', 1007, [utf8(`${'20'.repeat(40)}ff`)]],
  [
    'bad UTF-8 in the second fragment',
    1007,
    [frame({ fin: false, payload: 'a' }), frame({ opcode: continuation, payload: Buffer.from([0xff]) })],
  ],
  [
    'bad UTF-8 in the reason of a close',
    1007,
    [frame({ opcode: close, payload: Buffer.from([0x03, 0xe8, 0xff]) })],
  ],
  ['a frame of 65,537 bytes', 1009, [frame({ payload: 'x'.repeat(65_537) })]],
  ['the header of a frame of 65,537 bytes', 1009, [frame({ length: 65_537n })]],
  ['the header of a frame of 2^53 bytes', 1009, [frame({ length: 2n ** 53n })]],
  ['a length with its highest bit set', 1009, [frame({ length: 2n ** 63n })]],
  ['fragments of 65,537 bytes together', 1009, pieces(2, (at) => 'x'.repeat(at === 0 ? 65_536 : 1))],
  ['17 fragments', 1008, pieces(17, () => ' ')],
  ['17 empty fragments', 1008, pieces(17)],
  ['a close with a payload of one byte', 1002, [frame({ opcode: close, payload: Buffer.from([3]) })]],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): [string, number, Buffer[]] => [
    `a close with code ${code}`,
    1002,
    [closeFrame(code)],
  ]),
];

describe('is closed', () => {
  test.each(violations)('%s: %i', async (_what, code, bytes) => {
    const peer = await greeted();
    peer.write(...bytes);
    expect(await peer.closed()).toBe(code);
    // PROTOCOL: what the WebSocket layer refuses is not announced.
    expect(peer.texts.map((one) => one['type'])).not.toContain('closing');
    await peer.gone;
  });

  test.each([
    ['with a payload', 'x'],
    ['without one', ''],
  ])('a binary frame %s: 1003, announced', async (_what, payload) => {
    const peer = await greeted();
    peer.write(frame({ opcode: binary, payload }));
    expect(await peer.closed()).toBe(1003);
    expect(peer.texts.at(-1)).toMatchObject({ type: 'closing', code: 1003, reconnect: 'never' });
    await peer.gone;
  });

  test.each([
    [1000, undefined],
    [1200, 1008],
  ])('a frame whose bytes arrive in %i pieces: %s', async (count, code) => {
    const heard: string[] = [];
    const { port, accepted } = await listen({
      opened: () => ({ text: (text) => void heard.push(text), closed: () => undefined }),
    });
    const peer = await RawPeer.open(port);
    peer.socket.setNoDelay(true);
    const bytes = frame({ payload: hi.padEnd(count - 8, ' ') });
    const [server] = accepted;
    if (!server) throw new Error('nothing was accepted');
    for (const byte of bytes) {
      const before = server.bytesRead;
      peer.write(Buffer.from([byte]));
      // The next one only once this one was read, or the kernel hands over several as one piece.
      while (server.bytesRead === before && !peer.socket.destroyed && peer.closeCode === undefined)
        await new Promise((resolve) => setImmediate(resolve));
      if (peer.closeCode !== undefined) break;
    }
    if (code === undefined) {
      await vi.waitFor(() => expect(heard).toHaveLength(1));
      expect(peer.closeCode).toBeUndefined();
    } else {
      expect(await peer.closed()).toBe(code);
      expect(heard).toEqual([]);
    }
  });

  test('a violation as the very first frame, and at once', async () => {
    const peer = await RawPeer.open(local.port, { behind: frame({ masked: false, payload: hi }) });
    expect(await peer.closed()).toBe(1002);
    await peer.gone;
  });

  test('a violation behind good frames in the same segment: those are served', async () => {
    const peer = await greeted();
    peer.write(
      frame({ payload: hi }),
      frame({ opcode: 3 }),
      frame({ payload: '{"type":"ping","id":"late"}' }),
    );
    expect(await peer.closed()).toBe(1002);
    expect(peer.texts.filter((one) => one['type'] === 'pong')).toEqual([{ type: 'pong', id: 'hi' }]);
    await peer.gone;
  });

  test('a peer that violates and then neither answers nor ends: the socket is destroyed', async () => {
    const peer = await RawPeer.open(local.port, { answersClose: false });
    peer.write(frame({ rsv: 4, payload: hi }));
    expect(await peer.closed()).toBe(1002);
    await peer.gone;
  });
});

describe('is no violation', () => {
  /** The bytes hold one application ping with the id "hi". */
  const fine: [string, Buffer[]][] = [
    ['a length of 7 bits in 16', [frame({ payload: hi, lengthBits: 16 })]],
    ['a length of 7 bits in 64', [frame({ payload: hi, lengthBits: 64 })]],
    ['a frame of 65,536 bytes', [frame({ payload: hi.padEnd(65_536, ' ') })]],
    ['16 fragments', pieces(16, (at) => (at === 15 ? hi : ' '))],
    [
      'a character split over two fragments',
      [
        frame({
          fin: false,
          payload: Buffer.from('{"type":"ping","id":"hi","x":"\u{1f600}"}').subarray(0, 32),
        }),
        frame({
          opcode: continuation,
          payload: Buffer.from('{"type":"ping","id":"hi","x":"\u{1f600}"}').subarray(32),
        }),
      ],
    ],
    [
      'a ping between two fragments',
      [
        frame({ fin: false, payload: hi.slice(0, 9) }),
        frame({ opcode: ping, payload: 'p' }),
        frame({ opcode: continuation, payload: hi.slice(9) }),
      ],
    ],
    ['a pong nobody asked for', [frame({ opcode: pong, payload: 'x' }), frame({ payload: hi })]],
    ['a ping of 125 bytes', [frame({ opcode: ping, payload: Buffer.alloc(125) }), frame({ payload: hi })]],
  ];

  test.each(fine)('%s', async (_what, bytes) => {
    const peer = await greeted();
    peer.write(...bytes);
    expect(await peer.text('pong')).toMatchObject({ id: 'hi' });
    peer.socket.destroy();
  });

  test('a frame that comes byte by byte', async () => {
    const peer = await greeted();
    peer.socket.setNoDelay(true);
    for (const byte of frame({ payload: hi })) {
      await new Promise<void>((resolve) => peer.socket.write(Buffer.from([byte]), () => resolve()));
    }
    expect(await peer.text('pong')).toMatchObject({ id: 'hi' });
    peer.socket.destroy();
  });

  test.each([1000, 1001, 1011, 3000, 4000, 4999])(
    'a close with code %i, which is answered with the same',
    async (code) => {
      const peer = await RawPeer.open(local.port, { answersClose: false });
      peer.say({ type: 'hello' });
      await peer.text('welcome');
      peer.write(closeFrame(code, 'bye'));
      expect(await peer.closed()).toBe(code);
      await peer.gone;
    },
  );

  test('a close without a code', async () => {
    const peer = await greeted();
    peer.write(closeFrame());
    expect(await peer.closed()).toBe(1005);
    await peer.gone;
  });

  test('an end of the connection without a close', async () => {
    const peer = await greeted();
    peer.socket.end();
    await peer.gone;
  });
});

test('what comes behind a close frame of the peer is not carried out', async () => {
  const reader = await TestClient.hello(local.url);
  await reader.join('late');
  const peer = await greeted();
  peer.say({ type: 'join', id: 1, room: 'late' });
  await peer.text('joined');
  const publish = (data: string) =>
    frame({ payload: JSON.stringify({ type: 'publish', room: 'late', data }) });
  peer.write(publish('before'), closeFrame(1000), publish('behind'));
  await peer.gone;
  await reader.publish('late', 'end');
  await reader.find((one) => one['data'] === 'end');
  expect(reader.data('late')).toEqual(['before', 'end']);
  await reader.close();
});

test('what comes behind a close of the server is not carried out', async () => {
  const reader = await TestClient.hello(local.url);
  await reader.join('late');
  const peer = await greeted();
  peer.say({ type: 'join', id: 1, room: 'late' });
  await peer.text('joined');
  const publish = (data: string) =>
    frame({ payload: JSON.stringify({ type: 'publish', room: 'late', data }) });
  peer.write(publish('ahead'), frame({ opcode: binary }), publish('behind'));
  expect(await peer.closed()).toBe(1003);
  await peer.gone;
  await reader.publish('late', 'end');
  await reader.find((one) => one['data'] === 'end');
  expect(reader.data('late')).toEqual(['ahead', 'end']);
  await reader.close();
});
