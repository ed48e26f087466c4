/** Worked session 4: one key, published twice. */
import type { Check } from '../check.ts';
import { same } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { drainRoom, seen } from '../room-talk.ts';

export const publishTwice: Check = {
  name: '4. publish twice with one key: the same seq, duplicate, delivered once',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const other = await lab.member(room, 1);
    const frame = { type: 'publish', room, data: 'pay 5', key: 'order-77' };
    await peer.ask(frame, { type: 'ok', room, seq: 1, duplicate: ABSENT });
    await peer.ask(frame, { type: 'ok', room, seq: 1, duplicate: true });
    const peers = [peer, other.peer];
    same(await drainRoom(peer, room, peers), 2, 'seq of the next message');
    for (const one of peers) same(seen(one, room)[0], { seq: 1, data: 'pay 5' }, 'the first message');
    for (const one of peers) same(seen(one, room).length, 2, 'messages: the one and the marker');
  },
};
