/**
 * Byte streams that no decent client sends, in 20 classes: not HTTP, broken
 * upgrades, every kind of violated framing, frames that are right and hold
 * nonsense. Random by a seed, so that a stream which breaks something can be
 * sent again.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { closeFrame, frame, OPCODE, upgradeRequest } from './raw-peer.ts';
import type { Seeded } from './seeded.ts';

type Make = (dice: Seeded) => (Buffer | string)[];

function bytesOf(dice: Seeded, most: number): Buffer {
  return Buffer.from(times(dice.between(0, most), () => dice.between(0, 255)));
}

/** Some bits turned over. */
function damaged(dice: Seeded, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let flips = dice.between(1, 8); flips > 0; flips -= 1) {
    const at = dice.between(0, copy.length - 1);
    copy[at] = (copy[at] ?? 0) ^ (1 << dice.between(0, 7));
  }
  return copy;
}

function cut(dice: Seeded, bytes: Buffer): Buffer {
  return bytes.subarray(0, dice.between(0, bytes.length - 1));
}

function times<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at));
}

const { binary, close, continuation, ping, pong, text } = OPCODE;
const UPGRADE = upgradeRequest();
const HELLO = frame({ payload: '{"type":"hello","user":"mallory"}' });
const DATA = [text, binary];
const CONTROL = [close, ping, pong];

/** Right as JSON, or nearly, and wrong as a frame. */
const NONSENSE: ((dice: Seeded) => string)[] = [
  (dice) => '['.repeat(dice.between(1, 5000)),
  (dice) => `${'['.repeat(500)}${']'.repeat(dice.between(0, 500))}`,
  () => '{"type":"publish","room":"x","__proto__":{"a":1}}',
  () => '{"__proto__":null,"constructor":{"prototype":{}}}',
  (dice) =>
    JSON.stringify({
      type: dice.pick(['join', 'publish', 'send', 'x', '']),
      id: dice.between(0, 8),
      room: '\u0000\u001f{}',
    }),
  (dice) => JSON.stringify(times(dice.between(0, 199), () => ({ type: 'ping', id: {} }))),
  (dice) => `{"type":"ping","id":${'9'.repeat(dice.between(1, 400))}}`,
  () => '{"type":"join","id":1,"room":"x","since":{"epoch":"\ud800","seq":-1}}',
  (dice) =>
    JSON.stringify({
      type: 'hello',
      user: '\u202e'.repeat(dice.between(0, 299)),
      token: 'x'.repeat(dice.between(0, 8999)),
    }),
  () => 'null',
  () => '"\\ud800"',
  () => '',
];

/** Each class by what is wrong with it. */
export const MALFORMED: Readonly<Record<string, Make>> = {
  'not HTTP': (dice) => [bytesOf(dice, 300)],
  'HTTP of a wrong form': (dice) => [
    `${dice.pick(['GET', 'G\0T', 'PRI', 'POST', ''])} /${bytesOf(dice, 9).toString('latin1')} HTTP/${dice.between(0, 11)}.${dice.between(0, 8)}\r\n${bytesOf(dice, 40).toString('latin1')}\r\n\r\n`,
  ],
  'HTTP with a body that is none': (dice) => [
    `POST /health HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${dice.between(0, 399)}\r\n\r\n`,
    bytesOf(dice, 200),
  ],
  'HTTP in bad chunks': (dice) => [
    'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
    bytesOf(dice, 60),
    '\r\n0\r\n\r\n',
  ],
  'an upgrade cut off': (dice) => [cut(dice, Buffer.from(UPGRADE))],
  'a damaged upgrade': (dice) => [damaged(dice, Buffer.from(UPGRADE)), HELLO],
  'noise after the upgrade': (dice) => [UPGRADE, bytesOf(dice, 2000)],
  'no mask': (dice) => [
    UPGRADE,
    HELLO,
    frame({ masked: false, opcode: dice.pick([...DATA, ...CONTROL]), payload: bytesOf(dice, 100) }),
  ],
  'reserved bits': (dice) => [
    UPGRADE,
    HELLO,
    frame({ rsv: dice.between(1, 7), payload: bytesOf(dice, 200) }),
  ],
  'unknown opcodes': (dice) => [
    UPGRADE,
    HELLO,
    frame({ opcode: dice.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload: bytesOf(dice, 200) }),
  ],
  'long control frames': (dice) => [
    UPGRADE,
    HELLO,
    frame({ opcode: dice.pick(CONTROL), payload: Buffer.alloc(dice.between(126, 5000)) }),
  ],
  'fragmented control frames': (dice) => [
    UPGRADE,
    HELLO,
    frame({ opcode: dice.pick(CONTROL), fin: false }),
    frame({ opcode: continuation }),
  ],
  'fragments out of order': (dice) => [
    UPGRADE,
    ...times(dice.between(1, 30), () =>
      frame({
        opcode: dice.pick([text, continuation, binary]),
        fin: dice.chance(0.5),
        payload: bytesOf(dice, 20),
      }),
    ),
  ],
  'bad UTF-8': (dice) => [
    UPGRADE,
    HELLO,
    frame({ payload: Buffer.concat([bytesOf(dice, 200), Buffer.from([0xff])]) }),
  ],
  'impossible lengths': (dice) => [
    UPGRADE,
    HELLO,
    frame({ length: BigInt(dice.between(0, 2 ** 31 - 1)) << BigInt(dice.between(0, 32)), lengthBits: 64 }),
    bytesOf(dice, 500),
  ],
  'too many fragments': (dice) => [
    UPGRADE,
    frame({ fin: false }),
    ...times(dice.between(0, 299), () =>
      frame({ opcode: continuation, fin: false, payload: bytesOf(dice, 1) }),
    ),
  ],
  'odd closes': (dice) => [
    UPGRADE,
    HELLO,
    dice.chance(0.5)
      ? closeFrame(dice.between(0, 65_535), bytesOf(dice, 80).toString('latin1'))
      : frame({ opcode: close, payload: bytesOf(dice, 4) }),
    HELLO,
  ],
  'frames cut off': (dice) => [UPGRADE, HELLO, cut(dice, frame({ payload: bytesOf(dice, 3000) }))],
  'damaged frames': (dice) => [
    UPGRADE,
    damaged(
      dice,
      Buffer.concat([
        HELLO,
        frame({ payload: '{"type":"join","id":1,"room":"x"}' }),
        frame({ opcode: ping }),
      ]),
    ),
  ],
  'frames of nonsense': (dice) => [
    UPGRADE,
    ...times(dice.between(1, 8), () => frame({ payload: dice.pick(NONSENSE)(dice) })),
  ],
};

const CLASSES = Object.keys(MALFORMED);

/** Sends one stream of the class, in pieces of any size, and ends in one of the three ways a peer can. Resolves when the socket is gone. */
async function sendOne(port: number, name: string, dice: Seeded): Promise<void> {
  const bytes = Buffer.concat((MALFORMED[name]?.(dice) ?? []).map((part) => Buffer.from(part as string)));
  const socket = connect(port, '127.0.0.1');
  const gone = once(socket, 'close');
  socket.on('error', () => undefined);
  // Read, or the answers of the server would hold the socket open.
  socket.resume();
  const at = dice.between(0, bytes.length);
  if (dice.chance(0.3)) {
    socket.setNoDelay(true);
    await new Promise<void>((resolve) => socket.write(bytes.subarray(0, at), () => resolve()));
    socket.write(bytes.subarray(at));
  } else {
    socket.write(bytes);
  }
  if (dice.chance(0.25)) socket.write('', () => socket.resetAndDestroy());
  else socket.end();
  await gone;
}

/** Sends so many streams, each class as often as the others, some at a time. */
export async function sendMalformed(port: number, streams: number, dice: Seeded, atOnce = 50): Promise<void> {
  let sent = 0;
  const sender = async () => {
    while (sent < streams) {
      const name = CLASSES[sent % CLASSES.length] ?? '';
      sent += 1;
      await sendOne(port, name, dice);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
}

/** TCP sockets this process holds, on either side. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}
