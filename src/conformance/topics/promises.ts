/** PROTOCOL "Promises" and the order of frames: what holds however many say however much at once. */
import type { Check, Topic } from '../check.ts';
import { must, same } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { agree, drainRoom, publishMany, seen } from '../room-talk.ts';

const EACH = 60;

const agreement: Check = {
  name: 'three publish at once: every member sees the same messages, numbered 1, 2, 3 …, each once',
  async run(lab) {
    const room = lab.room();
    const members = [await lab.member(room), await lab.member(room, 1), await lab.member(room)];
    const peers = members.map(({ peer }) => peer);
    await Promise.all(peers.map((peer, who) => publishMany(lab, peer, room, EACH, (n) => `${who}:${n}`)));
    const marker = await drainRoom(members[0]?.peer ?? (await lab.hello()), room, peers);
    same(marker, EACH * peers.length + 1, 'seq after all of them');
    const all = agree(peers, room, 1).slice(0, -1);
    same(new Set(all.map(({ data }) => data)).size, EACH * peers.length, 'different messages');
    for (const [who] of peers.entries()) {
      const own = all.filter(({ data }) => String(data).startsWith(`${who}:`));
      const inOrder = own.every(({ data }, n) => data === `${who}:${n}`);
      must(inOrder, `the messages of publisher ${who} in the order they were sent`, own);
    }
  },
};

const receipts: Check = {
  name: 'the seq of an ok is the seq of that message at every member',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const other = await lab.member(room, 1);
    const noise = publishMany(lab, other.peer, room, 20, (n) => `noise ${n}`);
    for (const data of ['a', 'b', 'c']) {
      const { seq, epoch } = await peer.publish(room, data);
      same(epoch, other.joined.epoch, 'epoch of the ok');
      for (const member of [peer, other.peer]) await member.take({ type: 'message', room, data, seq });
    }
    await noise;
  },
};

const behindJoin: Check = {
  name: 'what is sent behind a join waits for it; frames of one room keep their order',
  async run(lab) {
    const room = lab.room();
    const user = lab.user();
    const watcher = await lab.member(room);
    const peer = await lab.hello(1, user);
    peer.send({ type: 'join', id: 'j', room, presence: 'none' });
    peer.send({ type: 'state', id: 's', room, state: { n: 1 } });
    peer.send({ type: 'publish', id: 'p1', room, data: 'first' });
    peer.send({ type: 'signal', id: 'g', room, data: 'beside' });
    peer.send({ type: 'publish', id: 'p2', room, data: 'second' });
    peer.send({ type: 'leave', id: 'l', room });
    peer.send({ type: 'publish', id: 'p3', room, data: 'never' });
    await peer.take({ type: 'joined', id: 'j' });
    for (const id of ['s', 'p1', 'g', 'p2', 'l']) await peer.take({ type: 'ok', id, room });
    await peer.take({ type: 'error', id: 'p3', code: 'not_joined' });
    await watcher.peer.take({ type: 'signal', room, data: 'beside' });
    await drainRoom(watcher.peer, room, [watcher.peer]);
    same(
      seen(watcher.peer, room)
        .map(({ data }) => data)
        .slice(0, -1),
      ['first', 'second'],
      'messages of the one behind the join',
    );
  },
};

const behindFailedJoin: Check = {
  name: 'what is sent behind a join that fails, fails',
  async run(lab) {
    const room = lab.room();
    const peer = await lab.hello();
    const { historyMessages } = peer.welcome.limits;
    // Over a limit of the operator where there is one: a frame that is right, and refused all the same.
    const history = historyMessages === 0 ? -1 : historyMessages + 1;
    peer.send({ type: 'join', id: 'j', room, history });
    peer.send({ type: 'publish', id: 'p', room, data: 1 });
    await peer.take({ type: 'error', id: 'j', code: 'bad_request', room });
    await peer.take({ type: 'error', id: 'p', code: 'not_joined', room });
  },
};

const manyRooms: Check = {
  name: 'rooms have numbers of their own',
  async run(lab) {
    const [one, two] = [lab.room(), lab.room()];
    const { peer } = await lab.member(one);
    await peer.join(two, { presence: 'none' });
    same((await peer.publish(one, 1)).seq, 1, 'seq of the first message in the first room');
    same((await peer.publish(two, 1)).seq, 1, 'seq of the first message in the second room');
    same((await peer.publish(one, 1)).seq, 2, 'seq of the second message in the first room');
    await peer.take({ type: 'message', room: two, seq: 1, key: ABSENT });
  },
};

const resumeHere: Check = {
  name: 'a since up to the top is recovered with no messages; one of the middle with the rest',
  async run(lab) {
    const room = lab.room();
    const { peer, user, joined } = await lab.member(room);
    const { epoch } = joined;
    for (const data of [1, 2, 3]) await peer.publish(room, data);
    for (const seq of [0, 1, 3]) {
      const again = await lab.member(room, 1, user, { since: { epoch, seq } });
      same(
        [again.joined.recovered, again.joined.seq, again.joined.messages.map((one) => one.seq)],
        [true, 3, [1, 2, 3].slice(seq)],
        `recovered, seq and messages since ${seq}`,
      );
    }
  },
};

const racingResume: Check = {
  name: 'a resume while others publish has neither a gap nor a duplicate',
  async run(lab) {
    const room = lab.room();
    const publisher = await lab.member(room);
    const { epoch } = publisher.joined;
    const stream = publishMany(lab, publisher.peer, room, 200, (n) => n);
    const resumed = [];
    for (let at = 0; at < 5; at += 1) {
      resumed.push(await lab.member(room, at, lab.user(), { since: { epoch, seq: 0 } }));
      await lab.sleep(20);
    }
    await stream;
    const peers = resumed.map(({ peer }) => peer);
    await drainRoom(publisher.peer, room, peers);
    must(
      resumed.every(({ joined }) => joined.recovered === true),
      'recovered: true at each',
      resumed.map(({ joined }) => [joined.recovered, joined.reason, joined.seq]),
    );
    same(agree(peers, room, 1).length, 201, 'messages at each');
  },
};

/** Together more than the buffers of the sockets in between, so that the server has to keep the rest. */
const STALL_MESSAGES = 150;
const STALL_MAX_MS = 1500;

const slowReader: Check = {
  name: 'a member that stops reading for a moment then gets everything, or is told reset',
  async run(lab) {
    const room = lab.room();
    const publisher = await lab.member(room);
    const slow = await lab.member(room, 1);
    const { payloadBytes } = publisher.peer.welcome.limits;
    const bytes = Math.min(payloadBytes === 0 ? 16_384 : payloadBytes - 64, 16_384);
    const began = lab.clock.now();
    slow.peer.wire.pause();
    await publishMany(lab, publisher.peer, room, STALL_MESSAGES, (n) => [n, 'x'.repeat(bytes)]);
    // Who reads nothing answers no ping either, and is dropped after two of them.
    const allowedMs = Math.min(STALL_MAX_MS, slow.peer.welcome.pingIntervalMs * 0.8);
    await lab.sleep(Math.max(0, allowedMs - (lab.clock.now() - began)));
    slow.peer.wire.resume();
    const marker = await publisher.peer.publish(room, 'marker');
    await slow.peer.take({ type: 'message', room, seq: marker.seq }, 10_000);
    const resets = slow.peer.frames.filter((frame) => frame.type === 'reset');
    if (resets.length === 0)
      same(seen(slow.peer, room).length, STALL_MESSAGES + 1, 'messages without a reset');
  },
};

export const promises: Topic = {
  title: 'promises',
  checks: [
    agreement,
    receipts,
    behindJoin,
    behindFailedJoin,
    manyRooms,
    resumeHere,
    racingResume,
    slowReader,
  ],
};
