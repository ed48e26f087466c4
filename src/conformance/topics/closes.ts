/** PROTOCOL "Close codes": each that can be brought about from outside, and the `closing` before it. */
import {
  cannotBeSeen,
  type Check,
  NEEDS_AUTHENTICATION,
  NEEDS_OPERATOR_COMMANDS,
  type Topic,
} from '../check.ts';
import type { Lab } from '../lab.ts';
import { must, skip } from '../outcome.ts';
import { type Peer, within } from '../peer.ts';
import { goingAway } from './node-stopped.ts';
import { tooSlow } from './slow-reader.ts';

/** The frame first, then the close it announced. */
async function closing(peer: Peer, code: number, extraMs = 0): Promise<void> {
  const frame = await peer.take({ type: 'closing' }, extraMs);
  must(frame.code === code, `closing with code ${code}`, frame);
  must(frame.reason.length > 0, 'a reason for people', frame);
  await peer.closedBy(code, extraMs);
}

const goodbye: Check = {
  name: '1000: a client that closes is answered with 1000',
  async run(lab) {
    const peer = await lab.hello();
    peer.wire.close();
    await peer.closedBy(1000);
  },
};

/** A masked client frame of opcode 0x3, which nobody has defined. */
const RESERVED_OPCODE = Uint8Array.of(0x83, 0x80, 1, 2, 3, 4);

const broken: Check = {
  name: '1002: broken WebSocket framing',
  async run(lab) {
    const peer = await lab.hello();
    peer.wire.sendRaw(RESERVED_OPCODE);
    await peer.closedBy(1002);
  },
};

const binary: Check = {
  name: '1003: a binary message, closing first',
  async run(lab) {
    const peer = await lab.hello();
    peer.wire.sendBinary(new TextEncoder().encode('{"type":"ping"}'));
    await closing(peer, 1003);
  },
};

const notUtf8: Check = {
  name: '1007: a text message that is not UTF-8',
  async run(lab) {
    const peer = await lab.hello();
    peer.wire.sendTextBytes(Uint8Array.of(0x22, 0xc3, 0x28, 0x22));
    await peer.closedBy(1007);
  },
};

const fragments: Check = {
  name: '1008: a message in more than 16 fragments; one in 16 is taken',
  async run(lab) {
    const peer = await lab.hello();
    const pieces = (text: string, count: number): string[] => [
      ...Array.from({ length: count - 1 }, (_, at) => text[at] ?? ''),
      text.slice(count - 1),
    ];
    peer.witness.asked('whole');
    peer.wire.sendFragments(pieces('{"type":"ping","id":"whole"}', 16));
    await peer.take({ type: 'pong', id: 'whole' });
    peer.wire.sendFragments(pieces('{"type":"ping","id":"too-many"}', 20));
    await peer.closedBy(1008);
  },
};

/** The 64 KB of PROTOCOL are a setting of the server that it does not tell. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

const tooBig: Check = {
  name: '1009: a message over 64 KB, or over what this server was set to',
  async run(lab) {
    for (let bytes = 64 * 1024 + 1; bytes <= MESSAGE_BYTES_MAX; bytes *= 4) {
      const peer = await lab.hello();
      peer.wire.send(`{"type":"ping","pad":"${'x'.repeat(bytes)}"}`);
      // Where it neither answers nor ends, what it did instead is the finding.
      const answered = peer.take({ type: 'pong' }).catch(async (error: unknown) => {
        const end = await within(lab.clock, lab.timeoutMs, peer.ended);
        if (end === undefined) throw error;
        return end;
      });
      const first = await Promise.race([peer.ended, answered]);
      if ('code' in first) {
        await peer.closedBy(1009);
        return;
      }
    }
    skip(`this server takes messages of ${MESSAGE_BYTES_MAX} bytes`);
  },
};

const noHello: Check = {
  name: '4001: no first frame within 5 s, closing first',
  async run(lab) {
    const peer = await lab.connect();
    await closing(peer, 4001, 5000);
  },
};

const RATE_SECONDS = 10;

const rate: Check = {
  name: '4008: over a rate in each of 10 seconds in a row, closing first',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const { publishPerSecond, batch } = peer.welcome.limits;
    if (publishPerSecond === 0) skip('this server has no limit for the rate of publishes');
    const size = Math.min(batch === 0 ? 64 : batch, 64);
    const signal = { type: 'signal', room, data: 0 };
    const until = lab.clock.now() + (RATE_SECONDS + 8) * 1000;
    // In each half second until the server refuses one: more would only load it.
    while (peer.end === undefined && peer.left({ type: 'closing' }).length === 0 && lab.clock.now() < until) {
      const batch = Array.from({ length: size }, () => signal);
      await untilRefused(peer, batch, () => lab.clock.now() >= until);
      await lab.sleep(500);
    }
    await closing(peer, 4008);
  },
};

/** Or until it is late: a server that refuses nothing is found out by what it does not say. */
async function untilRefused(peer: Peer, batch: readonly object[], isLate: () => boolean): Promise<void> {
  const refused = (): number => peer.frames.filter((frame) => frame.type === 'error').length;
  const before = refused();
  while (refused() === before && peer.end === undefined && !isLate()) {
    if (peer.left({ type: 'closing' }).length > 0) return;
    // With one every question is refused at once, and nothing that comes would be read.
    if (peer.witness.deviation !== undefined) throw peer.witness.deviation;
    peer.send(batch.length === 1 ? (batch[0] ?? batch) : batch);
    await peer.alive().catch(() => undefined);
  }
}

const badFrames: Check = {
  name: '4508: more than 20 invalid frames in a minute, closing first',
  async run(lab) {
    const peer = await lab.hello();
    for (let at = 0; at < 20; at += 1) peer.wire.send('no frame');
    await peer.alive();
    peer.wire.send('no frame');
    await closing(peer, 4508);
  },
};

/** More than two nodes behind a proxy allow together by default. */
const CONNECTIONS_MAX = 260;

const connections: Check = {
  name: '4509: more connections of a user than allowed, closing first; the others stay',
  async run(lab) {
    const user = lab.user();
    const first = await lab.hello(0, user);
    for (let count = 2; count <= CONNECTIONS_MAX; count += 1) {
      const peer = await connected(lab);
      const id = peer.newId();
      peer.send({ type: 'hello', id, user });
      // Counted over all nodes it may be told a moment after the welcome.
      await peer.alive().catch(() => undefined);
      if (peer.end === undefined && peer.left({ type: 'closing' }).length === 0) continue;
      await closing(peer, 4509);
      await first.alive();
      return;
    }
    skip(`this server allows ${CONNECTIONS_MAX} connections of a user`);
  },
};

/** The limit for an address may come before that for a user. */
async function connected(lab: Lab): Promise<Peer> {
  return lab.connect().catch((error: Error) => {
    if (/HTTP (429|503)/.test(error.message))
      skip(`this address may not have as many connections: ${error.message}`);
    throw error;
  });
}

export const closes: Topic = {
  title: 'close',
  checks: [
    goodbye,
    broken,
    binary,
    notUtf8,
    fragments,
    tooBig,
    noHello,
    rate,
    badFrames,
    connections,
    tooSlow,
    goingAway,
    cannotBeSeen('1011: a defect of the server', 'needs a defect, and the server stops with it'),
    cannotBeSeen(
      '1013: overload',
      'needs more memory in queues than the node may use for all, and then tells peers that do not read',
    ),
    cannotBeSeen('4005: the token expired', NEEDS_AUTHENTICATION),
    cannotBeSeen('4501: the token is not valid', NEEDS_AUTHENTICATION),
    cannotBeSeen('4503: the identity may not connect', NEEDS_AUTHENTICATION),
    cannotBeSeen('4510: an operator ended the connection', NEEDS_OPERATOR_COMMANDS),
  ],
};
