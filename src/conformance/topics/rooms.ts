/** PROTOCOL "Rooms": join in all its forms, leave, history, and what room names are. */
import {
  cannotBeSeen,
  type Check,
  NEEDS_AUTHENTICATION,
  NEEDS_OPERATOR_COMMANDS,
  type Topic,
} from '../check.ts';
import { must, same, show } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { drainRoom, seen } from '../room-talk.ts';

const freshRoom: Check = {
  name: 'a room nobody used has seq 0, no messages, and its one member',
  async run(lab) {
    const room = lab.room();
    const user = lab.user();
    const peer = await lab.hello(0, user);
    const joined = await peer.join(room);
    same([joined.seq, joined.messages, joined.count], [0, [], 1], 'seq, messages, count');
    same(joined.recovered, undefined, 'recovered without since');
    same(
      joined.members?.map((member) => [member.user, member.state]),
      [[user, {}]],
      'members',
    );
  },
};

const history: Check = {
  name: 'join with history gets the last n messages, ascending, and goes on without a gap',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    for (const data of [1, 2, 3, 4]) await peer.publish(room, data, `k${data}`);
    const late = await lab.member(room, 1, lab.user(), { history: 2 });
    same(
      late.joined.messages.map(({ seq, data, key }) => [seq, data, key]),
      [
        [3, 3, 'k3'],
        [4, 4, 'k4'],
      ],
      'messages',
    );
    must(
      late.joined.messages.every(({ ts, from }) => ts > 0 && from?.connection === peer.welcome.connection),
      'ts and from in each message',
      late.joined.messages,
    );
    const none = await lab.member(room, 1, lab.user(), { history: 0 });
    same([none.joined.seq, none.joined.messages], [4, []], 'seq and messages with history 0');
    await drainRoom(peer, room, [late.peer, none.peer]);
  },
};

const message: Check = {
  name: 'a message has seq, ts, from, key and data as published, for the sender too',
  async run(lab) {
    const room = lab.room();
    const { peer, user } = await lab.member(room);
    const other = await lab.member(room, 1);
    const data = { text: 'ä 😀 \u2028', list: [null, true, -1.5e3, ''], nested: { __proto: {} } };
    const ok = await peer.publish(room, data, 'key-1');
    const from = { user, connection: peer.welcome.connection };
    for (const member of [peer, other.peer]) {
      const { ts } = await member.take({ type: 'message', room, seq: ok.seq, key: 'key-1', from, data });
      must(ts > 1_600_000_000_000, 'ts in milliseconds since 1970', ts);
    }
    for (const bare of [null, 0, '', false, []]) await peer.publish(room, bare);
    await other.peer.take({ type: 'message', room, data: null, key: ABSENT });
    for (const bare of [0, '', false, []]) await other.peer.take({ type: 'message', room, data: bare });
  },
};

const rejoin: Check = {
  name: 'joining a joined room replaces the subscription: no message comes twice',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    await peer.publish(room, 'before');
    await peer.take({ type: 'message', room, data: 'before' });
    const again = await peer.join(room, { presence: 'none', history: 1 });
    same(
      again.messages.map(({ data }) => data),
      ['before'],
      'messages of the second join',
    );
    await peer.publish(room, 'after');
    await drainRoom(peer, room, [peer]);
    same(
      seen(peer, room)
        .map(({ data }) => data)
        .slice(0, 2),
      ['before', 'after'],
      'what the new subscription got',
    );
  },
};

const leave: Check = {
  name: 'after the ok to leave nothing of the room comes, and it is not_joined',
  async run(lab) {
    const room = lab.room();
    const stays = await lab.member(room);
    const { peer } = await lab.member(room);
    await peer.ask({ type: 'leave', room }, { type: 'ok', room, epoch: ABSENT, version: ABSENT });
    const before = peer.frames.length;
    await drainRoom(stays.peer, room, [stays.peer]);
    await lab.sleep(200);
    await peer.alive();
    const after = peer.frames.slice(before).filter((frame) => 'room' in frame && frame.room === room);
    same(after, [], 'frames of the room after leave');
    await peer.refused({ type: 'leave', room }, 'not_joined', { room });
  },
};

const otherRooms: Check = {
  name: 'a member gets the messages of its rooms only',
  async run(lab) {
    const [mine, others] = [lab.room(), lab.room()];
    const { peer } = await lab.member(mine);
    const other = await lab.member(others);
    await other.peer.publish(others, 'secret');
    await peer.publish(mine, 'mine');
    await peer.take({ type: 'message', room: mine, data: 'mine' });
    await lab.sleep(100);
    must(!show(peer.frames).includes('secret'), 'nothing of a room that was not joined', peer.frames);
  },
};

const pages: Check = {
  name: 'history pages before and after a seq, ascending, and says whether there is more',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    for (const data of [1, 2, 3, 4, 5, 6]) await peer.publish(room, data);
    const page = async (fields: object): Promise<unknown[]> => {
      const { messages, more, seq } = await peer.history(room, fields);
      same(seq, 6, 'seq of the newest message');
      return [messages.map((one) => one.seq), more];
    };
    same(await page({ limit: 2 }), [[5, 6], true], 'the newest two');
    same(await page({ before: 5, limit: 2 }), [[3, 4], true], 'two before 5');
    same(await page({ before: 3, limit: 5 }), [[1, 2], false], 'all before 3');
    same(await page({ after: 1, limit: 2 }), [[2, 3], true], 'two after 1');
    same(await page({ after: 4 }), [[5, 6], false], 'all after 4');
    same(await page({ after: 6 }), [[], false], 'after the newest');
    const { messages } = await peer.history(room);
    must(
      messages.every(({ ts, from, data, seq }) => ts > 0 && from !== undefined && data === seq),
      'ts, from and data in each',
      messages,
    );
    await peer.refused({ type: 'history', room, before: 2, after: 1 }, 'bad_request');
    await peer.refused({ type: 'history', room, limit: 0 }, 'bad_request');
  },
};

const roomNames: Check = {
  name: 'room names are 1-128 of A-Z a-z 0-9 _ . : / -, and @ is reserved',
  async run(lab) {
    const peer = await lab.hello();
    const room = `${lab.room()}/A_z.0-9:`;
    await peer.join(room.padEnd(128, 'x'));
    for (const bad of ['', room.padEnd(129, 'x'), 'a b', 'ä', '@somebody', 'a{b}', 'a\nb', 17, null]) {
      await peer.refused({ type: 'join', room: bad }, 'bad_request');
    }
  },
};

const badJoins: Check = {
  name: 'a join that is not right is refused with bad_request, and an earlier subscription goes on',
  async run(lab) {
    const room = lab.room();
    const { peer, joined } = await lab.member(room);
    const since = { epoch: joined.epoch, seq: 0 };
    const wrong = [
      { since, history: 1 },
      { since: 5 },
      { since: { epoch: joined.epoch } },
      { since: { epoch: joined.epoch, seq: -1 } },
      { history: -1 },
      { history: 1.5 },
      { presence: 'some' },
      { state: [] },
      { state: 'x' },
    ];
    for (const fields of wrong)
      await peer.refused({ type: 'join', room, ...fields }, 'bad_request', { room });
    await drainRoom(peer, room, [peer]);
  },
};

const foreignEpoch: Check = {
  name: 'a since of an epoch the server never had is recovered: false with a reason, from the top',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    await peer.publish(room, 1);
    const since = { epoch: 'never-was', seq: 1 };
    const { joined } = await lab.member(room, 1, lab.user(), { since });
    same([joined.recovered, joined.messages, joined.seq], [false, [], 1], 'recovered, messages, seq');
    must(joined.reason === 'lost' || joined.reason === 'diverged', 'reason "lost" or "diverged"', joined);
  },
};

const aheadOfTop: Check = {
  name: 'a since ahead of the room is never called recovered',
  async run(lab) {
    const room = lab.room();
    const { peer, joined } = await lab.member(room);
    await peer.publish(room, 1);
    const since = { epoch: joined.epoch, seq: 1000 };
    const again = await lab.member(room, 1, lab.user(), { since });
    same([again.joined.recovered, again.joined.seq], [false, 1], 'recovered, seq');
  },
};

export const rooms: Topic = {
  title: 'rooms',
  checks: [
    freshRoom,
    history,
    message,
    rejoin,
    leave,
    otherRooms,
    pages,
    roomNames,
    badJoins,
    foreignEpoch,
    aheadOfTop,
    cannotBeSeen('left with "kicked": an operator removed me from a room', NEEDS_OPERATOR_COMMANDS),
    cannotBeSeen(
      'left with "forbidden" or "expired": a token no longer allows the room',
      NEEDS_AUTHENTICATION,
    ),
  ],
};
