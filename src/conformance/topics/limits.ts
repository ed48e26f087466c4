/** PROTOCOL "Limits": what `welcome.limits` tells is allowed to the last one, and refused from the next. */
import type { Check, Topic } from '../check.ts';
import { must, skip } from '../outcome.ts';

/** A frame has to fit into the 64 KB of a WebSocket message, or the refusal is the one of another limit. */
const PAYLOAD_SEEN_MAX = 64 * 1024 - 512;
const ROOMS_SEEN_MAX = 1000;

const payload: Check = {
  name: 'data of exactly limits.payloadBytes is taken; one byte more is too_large, also in a signal',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const { payloadBytes } = peer.welcome.limits;
    if (payloadBytes === 0) skip('this server has no limit for payloads');
    if (payloadBytes > PAYLOAD_SEEN_MAX)
      skip(`payloads of ${payloadBytes} bytes may exceed a WebSocket message`);
    // As JSON a text has two quotes around it, and ü is two bytes.
    const full = `ü${'x'.repeat(payloadBytes - 4)}`;
    await peer.publish(room, full);
    await peer.take({ type: 'message', room, data: full });
    for (const type of ['publish', 'signal']) {
      await peer.refused({ type, room, data: `${full}x` }, 'too_large', { room, retryable: false });
    }
    await peer.publish(room, 'still here');
  },
};

const roomsPerConnection: Check = {
  name: 'limits.roomsPerConnection rooms are joined; one more is limit_exceeded, after a leave it is not',
  async run(lab) {
    const peer = await lab.hello();
    const max = peer.welcome.limits.roomsPerConnection;
    if (max === 0) skip('this server has no limit for rooms');
    if (max > ROOMS_SEEN_MAX) skip(`${max} rooms are too many to join for a test`);
    const rooms = Array.from({ length: max }, () => lab.room());
    for (const room of rooms)
      await joinPatiently(lab.sleep.bind(lab), () => peer.request({ type: 'join', room, presence: 'none' }));
    const more = lab.room();
    await peer.refused({ type: 'join', room: more }, 'limit_exceeded', { room: more, retryable: false });
    const [first = ''] = rooms;
    await peer.join(first, { presence: 'none' });
    await peer.ask({ type: 'leave', room: first }, { type: 'ok' });
    await peer.join(more);
  },
};

/** Joins have a rate of their own that `welcome` does not tell. */
async function joinPatiently(
  sleep: (ms: number) => Promise<void>,
  join: () => Promise<{ type: string; retryAfterMs?: number; retryable?: boolean }>,
): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    const reply = await join();
    if (reply.type === 'joined') return;
    must(reply.retryable === true, 'joined, or an error that is retryable', reply);
    await sleep(reply.retryAfterMs ?? 50);
  }
}

const historyMessages: Check = {
  name: 'limits.historyMessages may be asked for; one more is bad_request, in join and in history',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const max = peer.welcome.limits.historyMessages;
    if (max === 0) skip('this server has no limit for history');
    await peer.join(room, { history: max });
    await peer.history(room, { limit: max });
    await peer.refused({ type: 'join', room, history: max + 1 }, 'bad_request', { room });
    await peer.refused({ type: 'history', room, limit: max + 1 }, 'bad_request', { room });
    await peer.publish(room, 'still joined');
  },
};

const stateSize: Check = {
  name: 'a state of 4 KB is taken; a larger one is limit_exceeded, in join and in state',
  async run(lab) {
    const room = lab.room();
    const peer = await lab.hello();
    const state = (bytes: number) => ({ text: 'x'.repeat(bytes - '{"text":""}'.length) });
    await peer.join(room, { state: state(4096) });
    const larger = state(64 * 1024 - 512);
    await peer.refused({ type: 'state', room, state: larger }, 'limit_exceeded', { room });
    await peer.refused({ type: 'join', room: lab.room(), state: larger }, 'limit_exceeded');
    await peer.ask({ type: 'state', room, state: {} }, { type: 'ok', room });
  },
};

const rate: Check = {
  name: 'above limits.publishPerSecond and its burst comes rate_limited, and what it told is right',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const { publishPerSecond, batch } = peer.welcome.limits;
    if (publishPerSecond === 0) skip('this server has no limit for the rate of publishes');
    // Signals into a room of one: they count like publishes and cost the server nothing else.
    const size = batch === 0 ? 64 : Math.min(batch, 64);
    const most = publishPerSecond * 10;
    const signal = { type: 'signal', room, data: 0 };
    for (let sent = 0; sent < most && peer.left({ code: 'rate_limited' }).length === 0; sent += size) {
      peer.send(size === 1 ? signal : Array.from({ length: size }, () => signal));
      if (sent % (size * 8) === 0) await peer.alive();
    }
    const error = await peer.take({ type: 'error', code: 'rate_limited', room });
    must((error.retryAfterMs ?? -1) >= 0, 'retryAfterMs', error);
    await peer.alive();
    await lab.sleep((error.retryAfterMs ?? 0) + 500);
    await peer.publish(room, 'in time again');
  },
};

export const limits: Topic = {
  title: 'limits',
  checks: [payload, roomsPerConnection, historyMessages, stateSize, rate],
};
