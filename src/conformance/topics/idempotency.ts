/** PROTOCOL "publish": one message per key, user and room, however often it is asked for. */
import type { Check, Topic } from '../check.ts';
import { same } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { drainRoom, seen } from '../room-talk.ts';

const acrossConnections: Check = {
  name: 'a key is remembered for the user, over connections and nodes',
  async run(lab) {
    const room = lab.room();
    const user = lab.user();
    const first = await lab.member(room, 0, user);
    const ok = await first.peer.publish(room, 'once', 'k');
    await first.peer.drop();
    const again = await lab.member(room, 1, user, { history: 1 });
    const repeated = await again.peer.publish(room, 'once', 'k');
    same([repeated.seq, repeated.epoch, repeated.duplicate], [ok.seq, ok.epoch, true], 'the first position');
    await drainRoom(again.peer, room, [again.peer]);
    same(seen(again.peer, room).length, 2, 'messages: the one and the marker');
  },
};

const scope: Check = {
  name: 'the same key of another user, or in another room, is another message',
  async run(lab) {
    const [room, other] = [lab.room(), lab.room()];
    const { peer } = await lab.member(room);
    const neighbour = await lab.member(room);
    await peer.join(other, { presence: 'none' });
    for (const [who, where] of [
      [peer, room],
      [peer, other],
      [neighbour.peer, room],
    ] as const) {
      const { duplicate } = await who.publish(where, 1, 'same key');
      same(duplicate, undefined, 'duplicate');
    }
  },
};

const racing: Check = {
  name: 'one key many times at once: one message, one position',
  async run(lab) {
    const room = lab.room();
    const user = lab.user();
    const tabs = [await lab.member(room, 0, user), await lab.member(room, 1, user)];
    const oks = await Promise.all(
      tabs.flatMap(({ peer }) => [1, 2, 3].map(() => peer.publish(room, 'race', 'k'))),
    );
    same(new Set(oks.map(({ seq }) => seq)).size, 1, 'number of positions');
    same(oks.filter(({ duplicate }) => duplicate !== true).length, 1, 'replies without duplicate');
    const [one] = tabs;
    if (one)
      same(
        await drainRoom(
          one.peer,
          room,
          tabs.map(({ peer }) => peer),
        ),
        2,
        'seq of what follows',
      );
  },
};

const keys: Check = {
  name: 'a key is 1-64 characters and comes back in the message',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    for (const key of ['a', 'ü😀'.repeat(32), ' : { } %']) {
      await peer.publish(room, 1, key);
      await peer.take({ type: 'message', room, key });
    }
    for (const key of ['', 'x'.repeat(65), 7, null, {}]) {
      await peer.refused({ type: 'publish', room, data: 1, key }, 'bad_request', { room });
    }
    await peer.publish(room, 1);
    await peer.take({ type: 'message', room, key: ABSENT });
  },
};

export const idempotency: Topic = { title: 'idempotency', checks: [acrossConnections, scope, racing, keys] };
