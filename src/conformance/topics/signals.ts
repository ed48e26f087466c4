/** PROTOCOL "Rooms", signals: ephemeral, to others, by name or by connection. */
import type { Check, Topic } from '../check.ts';
import { same } from '../outcome.ts';
import { drainRoom } from '../room-talk.ts';

const toAll: Check = {
  name: 'a signal reaches every other connection of the room, never the sender, and is not stored',
  async run(lab) {
    const room = lab.room();
    const { peer, user } = await lab.member(room);
    const others = [await lab.member(room), await lab.member(room, 1), await lab.member(room, 1, user)];
    await peer.ask({ type: 'signal', room, data: { typing: true } }, { type: 'ok', room });
    const from = { user, connection: peer.welcome.connection };
    for (const other of others) await other.peer.take({ type: 'signal', room, from, data: { typing: true } });
    await drainRoom(
      peer,
      room,
      others.map((other) => other.peer),
    );
    same(peer.left({ type: 'signal' }), [], 'signals at their own sender');
    const { messages } = await peer.history(room);
    same(messages.length, 1, 'stored messages, the marker alone');
  },
};

const targeted: Check = {
  name: 'a signal to a user or to a connection reaches nobody else',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const user = lab.user('target');
    const tabs = [await lab.member(room, 0, user), await lab.member(room, 1, user)];
    const bystander = await lab.member(room, 1);
    await peer.ask({ type: 'signal', room, data: 'user', to: { user } }, { type: 'ok', room });
    for (const tab of tabs) await tab.peer.take({ type: 'signal', room, data: 'user' });
    const [one, other] = tabs;
    const connection = one?.peer.welcome.connection;
    await peer.ask({ type: 'signal', room, data: 'one', to: { connection } }, { type: 'ok', room });
    await one?.peer.take({ type: 'signal', room, data: 'one' });
    await peer.ask({ type: 'signal', room, data: 'all' }, { type: 'ok', room });
    for (const { peer: heard } of [...tabs, bystander])
      await heard.take({ type: 'signal', room, data: 'all' });
    same(
      [...bystander.peer.left({ type: 'signal' }), ...(other?.peer.left({ type: 'signal' }) ?? [])],
      [],
      'signals meant for others',
    );
  },
};

const badTargets: Check = {
  name: 'a signal to both a user and a connection, or to neither, is refused with bad_request',
  async run(lab) {
    const room = lab.room();
    const { peer, user } = await lab.member(room);
    const connection = peer.welcome.connection;
    for (const to of [{ user, connection }, {}, 'somebody', { user: 7 }]) {
      await peer.refused({ type: 'signal', room, data: 1, to }, 'bad_request', { room });
    }
    await peer.refused({ type: 'signal', room }, 'bad_request', { room });
  },
};

export const signals: Topic = { title: 'signals', checks: [toAll, targeted, badTargets] };
