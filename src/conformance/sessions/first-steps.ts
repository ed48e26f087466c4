/** Worked sessions 1 and 12: the shortest way into a room, step by step and without waiting. */
import type { Check } from '../check.ts';
import { must, same } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { drainRoom, seen } from '../room-talk.ts';

export const helloJoinPublish: Check = {
  name: '1. hello, join, publish: both members receive it, once',
  async run(lab) {
    const room = lab.room();
    const [anna, bob] = [lab.user('anna'), lab.user('bob')];
    const one = await lab.member(room, 0, anna, { presence: 'full' });
    const two = await lab.member(room, 1, bob, { presence: 'full' });
    same([one.joined.seq, two.joined.seq, two.joined.count], [0, 0, 2], 'seq and count at the joins');
    same(two.joined.epoch, one.joined.epoch, 'epoch');
    const ok = await one.peer.publish(room, { text: 'hello' });
    same([ok.seq, ok.epoch, ok.duplicate], [1, one.joined.epoch, undefined], 'seq, epoch, duplicate');
    const from = { user: anna, connection: one.peer.welcome.connection };
    const wanted = { type: 'message' as const, room, seq: 1, from, key: ABSENT, data: { text: 'hello' } };
    const copies = [await one.peer.take(wanted), await two.peer.take(wanted)];
    same(copies[0]?.ts, copies[1]?.ts, 'ts');
    const peers = [one.peer, two.peer];
    await drainRoom(two.peer, room, peers);
    for (const peer of peers) same(seen(peer, room).length, 2, 'messages: the one and the marker');
  },
};

export const withoutWaiting: Check = {
  name: '12. hello, join and publish without waiting, as one batch and as three messages',
  async run(lab) {
    const room = lab.room();
    const watcher = await lab.member(room);
    for (const batch of [true, false]) {
      const user = lab.user('hasty');
      const peer = await lab.connect(1);
      const frames = [
        { type: 'hello', id: 1, user },
        { type: 'join', id: 2, room, presence: 'none' },
        { type: 'publish', id: 3, room, data: user },
      ];
      if (batch && fits(watcher.peer.welcome.limits.batch)) peer.send(frames);
      else for (const frame of frames) peer.send(frame);
      await peer.take({ type: 'welcome', id: 1, user });
      const joined = await peer.take({ type: 'joined', id: 2, room });
      const ok = await peer.take({ type: 'ok', id: 3, room, seq: joined.seq + 1 });
      await peer.take({ type: 'message', room, data: user, seq: joined.seq + 1 });
      await watcher.peer.take({ type: 'message', room, data: user, seq: joined.seq + 1 });
      const order = peer.frames.map((frame) => frame.type);
      must(order.indexOf('welcome') < order.indexOf('joined'), 'welcome before joined', order);
      must(peer.frames.indexOf(joined) < peer.frames.indexOf(ok), 'joined before the ok to publish', order);
    }
  },
};

const fits = (batch: number): boolean => batch === 0 || batch >= 3;
