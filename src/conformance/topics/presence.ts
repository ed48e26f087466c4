/** PROTOCOL "Presence": one member per user, one history for all, and a view that is right. */
import { applyPresence, type PresenceNews, type PresenceView } from '../../protocol/presence-view.ts';
import {
  cannotBeSeen,
  type Check,
  NEEDS_AUTHENTICATION,
  NEEDS_OPERATOR_COMMANDS,
  type Topic,
} from '../check.ts';
import type { Lab } from '../lab.ts';
import { Deviation, must, same, show } from '../outcome.ts';
import { ABSENT, ANY, some } from '../pattern.ts';
import type { Peer } from '../peer.ts';
import { crowd } from './crowd.ts';
import { nodeLost } from './node-stopped.ts';

/** What a client that follows "How a client keeps its view" holds after all frames that came so far. */
function viewOf(peer: Peer, room: string): PresenceView {
  let view: PresenceView | undefined;
  for (const frame of peer.frames) {
    if (!('room' in frame) || frame.room !== room || !('version' in frame) || !('count' in frame)) continue;
    const next = applyPresence(view, frame as PresenceNews);
    if (next === 'ask') throw new Deviation('presence frames that apply to the view before', show(frame));
    view = next;
  }
  if (view === undefined) throw new Deviation('presence in joined', 'none');
  return view;
}

const states = (view: PresenceView): string =>
  [...(view.members?.values() ?? [])]
    .map(({ user, state }) => `${user}=${JSON.stringify(state)}`)
    .sort()
    .join(' ');

/** Every view comes to hold what `presence` answers. */
async function viewsAgree(lab: Lab, room: string, peers: readonly Peer[]): Promise<void> {
  const until = lab.clock.now() + lab.timeoutMs;
  for (;;) {
    const told = await Promise.all(peers.map((peer) => peer.presence(room)));
    const truths = told.map((one) => states(shown(applyPresence(undefined, one))));
    const views = peers.map((peer) => states(viewOf(peer, room)));
    const [truth = ''] = truths;
    const wrong = [...truths, ...views].find((one) => one !== truth);
    if (wrong === undefined) return;
    if (lab.clock.now() > until) throw new Deviation(`views that hold ${truth}`, wrong);
    await lab.sleep(50);
  }
}

function shown(view: PresenceView | 'ask'): PresenceView {
  if (view === 'ask') throw new Deviation('members in the answer to presence', 'none');
  return view;
}

const joinsAndLeaves: Check = {
  name: 'who joins is told to all with one diff, who leaves too, and nobody has to ask',
  async run(lab) {
    const room = lab.room();
    const [a, b] = [lab.user('a'), lab.user('b')];
    const one = await lab.member(room, 0, a, { presence: 'full' });
    const two = await lab.member(room, 1, b, { presence: 'full', state: { n: 1 } });
    same(two.joined.count, 2, 'count of the second join');
    same(two.joined.members?.map(({ user }) => user).sort(), [a, b].sort(), 'members of the second join');
    await one.peer.take({ type: 'presence', room, count: 2, joined: some({ user: b, state: { n: 1 } }) });
    await viewsAgree(lab, room, [one.peer, two.peer]);
    await two.peer.ask({ type: 'leave', room }, { type: 'ok', room });
    await one.peer.take({ type: 'presence', room, count: 1, left: some({ user: b, reason: 'left' }) });
    same(one.peer.left({ type: 'presence', left: some({ user: b }) }), [], 'further diffs with that left');
    await viewsAgree(lab, room, [one.peer]);
  },
};

const state: Check = {
  name: 'state belongs to the user: the last one wins, a join without state leaves it',
  async run(lab) {
    const room = lab.room();
    const user = lab.user();
    const watcher = await lab.member(room, 0, lab.user(), { presence: 'full' });
    const first = await lab.member(room, 0, user, { state: { n: 1 } });
    await watcher.peer.take({ type: 'presence', room, joined: some({ user, state: { n: 1 } }) });
    await first.peer.ask({ type: 'state', room, state: { n: 2 } }, { type: 'ok', room });
    await watcher.peer.take({ type: 'presence', room, updated: some({ user, state: { n: 2 } }) });
    const tab = await lab.member(room, 1, user, { presence: 'full' });
    const held = tab.joined.members?.find((member) => member.user === user);
    same(held?.state, { n: 2 }, 'state after a join without one');
    await tab.peer.ask({ type: 'state', room, state: { tab: true } }, { type: 'ok', room });
    await watcher.peer.take({ type: 'presence', room, updated: some({ user, state: { tab: true } }) });
    await lab.member(room, 0, user, { state: {} });
    await watcher.peer.take({ type: 'presence', room, updated: some({ user, state: {} }) });
    await viewsAgree(lab, room, [watcher.peer, tab.peer]);
  },
};

const churn: Check = {
  name: 'many come, change and go at once: every view ends up as what presence answers',
  async run(lab) {
    const room = lab.room();
    const watchers = [
      await lab.member(room, 0, lab.user('w'), { presence: 'full' }),
      await lab.member(room, 1, lab.user('w'), { presence: 'full' }),
    ];
    await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        const { peer } = await lab.member(room, n, lab.user('m'), { state: { n } });
        await peer.ask({ type: 'state', room, state: { n, late: true } }, { type: 'ok', room });
        if (n % 2 === 0) await peer.ask({ type: 'leave', room }, { type: 'ok', room });
      }),
    );
    const peers = watchers.map(({ peer }) => peer);
    // The last leave may still be on its way to the other node.
    const until = lab.clock.now() + lab.timeoutMs;
    while (peers.some((peer) => viewOf(peer, room).count !== 6) && lab.clock.now() < until)
      await lab.sleep(50);
    await viewsAgree(lab, room, peers);
    const [view] = peers.map((peer) => viewOf(peer, room));
    same(view?.count, 6, 'users: two watchers, four that stayed');
  },
};

const kinds: Check = {
  name: 'presence "count" brings counts, "none" brings nothing; both are listed all the same',
  async run(lab) {
    const room = lab.room();
    const counter = await lab.member(room, 0, lab.user(), { presence: 'count' });
    same([counter.joined.count, counter.joined.members], [1, undefined], 'count and members with "count"');
    const none = await lab.member(room, 1, lab.user());
    same([none.joined.count, none.joined.members], [2, undefined], 'count and members with "none"');
    const counts = { type: 'presence' as const, room, members: ABSENT, joined: ABSENT, previous: ABSENT };
    await counter.peer.take({ ...counts, count: 2 });
    const full = await lab.member(room, 1, lab.user(), { presence: 'full' });
    same(full.joined.members?.length, 3, 'number of members');
    await counter.peer.take({ ...counts, count: 3 });
    await lab.sleep(300);
    same(none.peer.left({ type: 'presence' }), [], 'presence frames with presence "none"');
    same(counter.peer.left({ type: 'presence', previous: ABSENT }).length <= 1, true, 'no flood of counts');
  },
};

const held: Check = {
  name: 'a connection that breaks and comes back shows nothing to anybody',
  async run(lab) {
    const room = lab.room();
    const user = lab.user();
    const watcher = await lab.member(room, 0, lab.user(), { presence: 'full' });
    const first = await lab.member(room, 0, user);
    await watcher.peer.take({ type: 'presence', room, joined: some({ user }) });
    await first.peer.drop();
    await lab.sleep(300);
    await lab.member(room, 1, user);
    await watcher.peer.none({ type: 'presence', room, left: some({ user }) }, 6500);
    same(watcher.peer.left({ type: 'presence', joined: some({ user }) }), [], 'further diffs with that user');
  },
};

const HOLD_MS = 5000;

const closed: Check = {
  name: 'a connection that ends for good is told as closed after 5 s, once, and not before 3 s',
  async run(lab) {
    const room = lab.room();
    const watcher = await lab.member(room, 1, lab.user(), { presence: 'full' });
    const dropped = await lab.member(room, 0, lab.user('dropped'));
    await watcher.peer.take({ type: 'presence', room, joined: some({ user: dropped.user }) });
    const said = await lab.member(room, 0, lab.user('closed'));
    await watcher.peer.take({ type: 'presence', room, joined: some({ user: said.user }) });
    const began = lab.clock.now();
    await Promise.all([dropped.peer.drop(), said.peer.close()]);
    const told: string[] = [];
    while (told.length < 2) {
      const { left = [] } = (await watcher.peer.take({ type: 'presence', room, left: ANY }, HOLD_MS)) as {
        left?: readonly { user: string; reason: string }[];
      };
      const early = lab.clock.now() - began < HOLD_MS - 2000;
      must(!early && left.every(({ reason }) => reason === 'closed'), 'left with closed, after 5 s', left);
      told.push(...left.map(({ user }) => user));
    }
    same(told.sort(), [dropped.user, said.user].sort(), 'users that left');
  },
};

const online: Check = {
  name: 'presence of @user says 1 while that user has a connection, without a join',
  async run(lab) {
    const user = lab.user('online');
    const asker = await lab.hello();
    same((await asker.presence(`@${user}`)).count, 0, 'count of somebody who is not there');
    await lab.hello(1, user);
    const until = lab.clock.now() + lab.timeoutMs;
    for (;;) {
      const { count } = await asker.presence(`@${user}`);
      if (count === 1) return;
      must(lab.clock.now() < until, `count 1 of ${user}`, count);
      await lab.sleep(50);
    }
  },
};

export const presence: Topic = {
  title: 'presence',
  checks: [
    joinsAndLeaves,
    state,
    churn,
    kinds,
    held,
    closed,
    online,
    crowd,
    nodeLost,
    cannotBeSeen('left with "kicked": an operator removed the user', NEEDS_OPERATOR_COMMANDS),
    cannotBeSeen('left with "expired": the token ran out', NEEDS_AUTHENTICATION),
  ],
};
