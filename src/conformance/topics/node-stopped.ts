/** What is seen of a node that stops at once, and of one that dies without a word. The operator brings both about. */
import type { Check } from '../check.ts';
import type { Lab, Member } from '../lab.ts';
import { must, same, show, skip } from '../outcome.ts';
import { ANY, some } from '../pattern.ts';

/** Until the connections of the node have ended, and until it takes new ones after its start. */
const NOTICE_MAX_MS = 15_000;
/** Until the other nodes give up the members of a dead one: by default 10 s, asked for every 2 s. */
const LEASE_MAX_MS = 30_000;
/** Connections to each address at first; more of them, one at a time, until two nodes were met. */
const EACH = 4;
const EACH_MAX = 20;
const RETRY_MS = 500;

async function membersOfAll(lab: Lab, room: string): Promise<readonly Member[]> {
  const members: Member[] = [];
  const nodes = new Set<string>();
  const { length } = lab.urls;
  const enough = (at: number): boolean => at >= EACH * length && nodes.size > 1;
  for (let at = 0; at < EACH_MAX * length && !enough(at); at += 1) {
    if (at >= EACH * length) await lab.sleep(RETRY_MS);
    const member = await lab.member(room, at, lab.user(), { presence: 'full' });
    members.push(member);
    nodes.add(member.peer.welcome.node);
  }
  return members;
}

/** The members whose connections end: those of one node. */
async function gone(lab: Lab, members: readonly Member[]): Promise<readonly Member[]> {
  await Promise.race([...members.map(({ peer }) => peer.ended), lab.sleep(NOTICE_MAX_MS)]);
  const node = members.find(({ peer }) => peer.end !== undefined)?.peer.welcome.node;
  must(node !== undefined, `the end of connections to one node of ${members.length} connections`, 'none');
  const theirs = members.filter(({ peer }) => peer.welcome.node === node);
  const all = Promise.all(theirs.map(({ peer }) => peer.ended));
  await Promise.race([all, lab.sleep(NOTICE_MAX_MS)]);
  must(
    theirs.every(({ peer }) => peer.end !== undefined),
    `the end of all connections to ${node}`,
    'open ones',
  );
  return theirs;
}

async function startAgain(lab: Lab, start: () => Promise<void>): Promise<void> {
  await start();
  await lab.everybodyBack(NOTICE_MAX_MS);
}

export const goingAway: Check = {
  name: '1001: a node that is stopped says closing first, and back off',
  alone: true,
  async run(lab) {
    const { nodeStop, nodeStart } = lab.hooks;
    if (!nodeStop || !nodeStart) skip('needs the operator: give --node-stop and --node-start');
    const members = await membersOfAll(lab, lab.room());
    const stopped = nodeStop();
    try {
      const [theirs] = await Promise.all([gone(lab, members), stopped]);
      for (const { peer } of theirs) {
        await peer.take({ type: 'closing', code: 1001, reconnect: 'after' });
        await peer.closedBy(1001);
      }
    } finally {
      await startAgain(lab, nodeStart);
    }
    for (const { peer } of members) if (peer.end === undefined) await peer.alive();
  },
};

export const nodeLost: Check = {
  name: 'who was on a node that died is told as node_lost, once, and who came back in time is not',
  alone: true,
  async run(lab) {
    const { nodeKill, nodeStart } = lab.hooks;
    if (!nodeKill || !nodeStart) skip('needs the operator: give --node-kill and --node-start');
    const room = lab.room();
    const members = await membersOfAll(lab, room);
    if (new Set(members.map(({ peer }) => peer.welcome.node)).size < 2)
      skip('only one node was met, so nobody is left to be told');
    try {
      const [theirs] = await Promise.all([gone(lab, members), nodeKill()]);
      const [returning, ...lost] = theirs;
      const watchers = members.filter((member) => !theirs.includes(member));
      must(returning !== undefined && lost.length > 0, 'two connections to the dead node', theirs.length);
      const [watcher] = watchers;
      must(watcher !== undefined, 'a connection to a node that lives', 'none');
      const back = await survivor(lab, room, returning?.user ?? '');
      for (const { peer } of watchers) await toldOnce(lab, peer, room, lost);
      for (const { peer } of watchers)
        same(peer.left({ type: 'presence', left: some({ user: back }) }), [], `left frames of ${back}`);
    } finally {
      await startAgain(lab, nodeStart);
    }
  },
};

/** The user joins again by the first address that takes a connection to a node that lives. */
async function survivor(lab: Lab, room: string, user: string): Promise<string> {
  const until = lab.clock.now() + NOTICE_MAX_MS;
  for (let at = 0; lab.clock.now() < until; at += 1) {
    const peer = await lab.connectNow(at);
    // A proxy may take a connection for the dead node, and end it.
    const reply = await peer?.request({ type: 'hello', user }).catch(() => undefined);
    if (peer === undefined || reply?.type !== 'welcome') continue;
    await peer.join(room, { presence: 'none' });
    return user;
  }
  return skip('nobody takes a connection while one node is dead');
}

async function toldOnce(
  lab: Lab,
  peer: Member['peer'],
  room: string,
  lost: readonly Member[],
): Promise<void> {
  const wanted = lost.map(({ user }) => user).sort();
  const told: string[] = [];
  const until = lab.clock.now() + LEASE_MAX_MS;
  while (told.length < wanted.length && lab.clock.now() < until) {
    const frame = await peer.take({ type: 'presence', room, left: ANY }, LEASE_MAX_MS);
    const left = 'left' in frame ? (frame.left ?? []) : [];
    must(
      left.every(({ reason }) => reason === 'node_lost'),
      'left with node_lost',
      show(left),
    );
    told.push(...left.map(({ user }) => user));
  }
  same(told.sort(), wanted, 'users that were lost');
}
