/**
 * Close 4009, provoked for real: a member stops reading and goes on asking, until more waits for it than a
 * server keeps. First for much at a time, which fills the kernels on the way and which a server may put off
 * until it is read; then for little, which it answers at once. While it does not read it cannot see the close,
 * so it reads again from time to time: in rounds, each of which leaves twice as much unread as the one before.
 */
import type { Check } from '../check.ts';
import type { Lab, Member } from '../lab.ts';
import { must, same, skip } from '../outcome.ts';
import { drainRoom, publishMany } from '../room-talk.ts';
import { type Peer, sayEnd } from '../peer.ts';

/** What one `history` brings. */
const MESSAGE_BYTES = 24_000;
const MESSAGES = 40;
/** Megabytes left unread in the first round and in the last. The kernels on the way alone take several. */
const FIRST_ROUND = 8;
const LAST_ROUND = 128;
/** Asked for at a time: what is asked for is made at once, whoever reads it. */
const STEP = 4;
const STEP_MS = 25;
/** Each is a short answer, and more memory than its length tells. */
const PINGS = 30_000;
const PINGS_STEP = 2000;
/** Long enough to make what was asked for, short enough to read before the server gives the socket up. */
const UNREAD_MS = 300;
/** A machine so busy that the close was given up before it was read shows an end without a code. */
const TRIES = 3;

export const tooSlow: Check = {
  name: '4009: a member that does not read is closed; the others notice nothing, and it comes back where it was',
  alone: true,
  async run(lab) {
    const room = lab.room();
    const writer = await lab.member(room);
    const { payloadBytes, historyMessages } = writer.peer.welcome.limits;
    if (payloadBytes > 0 && payloadBytes < MESSAGE_BYTES + 64)
      skip(`payloads of ${payloadBytes} bytes are too small to fill what a server keeps for a peer`);
    if (historyMessages > 0 && historyMessages < MESSAGES)
      skip(`${historyMessages} messages of history are too few to fill what a server keeps for a peer`);
    await publishMany(lab, writer.peer, room, MESSAGES, (n) => [n, 'x'.repeat(MESSAGE_BYTES - 16)]);
    const reader = await lab.member(room);
    const slow = await closedForIt(lab, room);
    await drainRoom(writer.peer, room, [reader.peer, writer.peer]);
    const since = { epoch: slow.joined.epoch, seq: slow.joined.seq };
    const back = await lab.member(room, 1, slow.user, { since });
    same([back.joined.recovered, back.joined.messages.length], [true, 1], 'recovered, messages');
  },
};

async function closedForIt(lab: Lab, room: string): Promise<Member> {
  for (let tries = 1; ; tries += 1) {
    const slow = await lab.member(room);
    const end = await untilClosed(lab, slow.peer, room);
    if (end.code === 4009) return slow;
    must(end.code === 1006 && tries < TRIES, 'close 4009 of a member that does not read', sayEnd(end));
  }
}

async function untilClosed(lab: Lab, peer: Peer, room: string): Promise<{ code: number; reason: string }> {
  for (let megabytes = FIRST_ROUND; megabytes <= LAST_ROUND; megabytes *= 2) {
    peer.wire.pause();
    for (let asked = 0; asked < megabytes; asked += STEP) {
      for (let at = 0; at < STEP; at += 1)
        peer.send({ type: 'history', room, id: peer.newId(), limit: MESSAGES });
      await lab.sleep(STEP_MS);
    }
    for (let asked = 0; asked < PINGS; asked += PINGS_STEP) {
      for (let at = 0; at < PINGS_STEP; at += 1) peer.send({ type: 'ping', id: peer.newId() });
      await lab.sleep(STEP_MS);
    }
    await lab.sleep(UNREAD_MS);
    peer.wire.resume();
    await peer.alive().catch(() => undefined);
    if (peer.end !== undefined) return peer.end;
  }
  return skip(`this server keeps ${LAST_ROUND} MB for a peer that does not read`);
}
