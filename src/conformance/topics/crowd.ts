/**
 * Presence of a room too full to be listed: above 1,000 users only counts are told, and at 900 everybody is
 * listed again. A user is a connection, so this check makes a thousand of them, all from one address.
 */
import type { Check } from '../check.ts';
import type { Lab } from '../lab.ts';
import { must, same, skip } from '../outcome.ts';
import { ABSENT, ANY } from '../pattern.ts';
import type { Peer } from '../peer.ts';

/** PROTOCOL "Presence". A server may be set to less, and then degrades earlier. */
const LISTED_MAX = 1000;
/** Users that come or go together. */
const STEP = 50;
const COUNT = { type: 'presence' as const, members: ABSENT, previous: ABSENT };
/** Presence frames of one step come within a window of 100 ms each, of every node. */
const SETTLE_MS = 300;

export const crowd: Check = {
  name: 'above 1,000 users only counts are told; back at 900 everybody is listed in one snapshot',
  alone: true,
  async run(lab) {
    const room = lab.room();
    const watchers = [
      await lab.member(room, 0, lab.user('watcher'), { presence: 'full' }),
      await lab.member(room, 1, lab.user('watcher'), { presence: 'full' }),
    ].map(({ peer }) => peer);
    const [watcher] = watchers;
    if (watcher === undefined) return;
    const crowded = await fill(lab, room, watcher);
    for (const peer of watchers) await peer.take({ ...COUNT, room }, lab.timeoutMs);
    const late = await lab.member(room, 1, lab.user('late'), { presence: 'full' });
    same([late.joined.members, typeof late.joined.count], [undefined, 'number'], 'members and count');
    same((await late.peer.presence(room)).members, undefined, 'members in the answer to presence');
    const listedAt = await thinOut(lab, room, watcher, crowded);
    for (const peer of [...watchers, late.peer]) {
      const snapshot = await peer.take({ type: 'presence', room, members: ANY }, lab.timeoutMs);
      const { members = [], count } = snapshot as { members?: readonly unknown[]; count: number };
      same(members.length, count, 'members of the snapshot');
      must(count <= listedAt + STEP && count >= listedAt - STEP, `about ${listedAt} users`, count);
    }
  },
};

/** Users join until the watcher is told a count alone, or until one more than may be listed is there. */
async function fill(lab: Lab, room: string, watcher: Peer): Promise<Peer[]> {
  const crowded: Peer[] = [];
  while (watcher.left({ ...COUNT, room }).length === 0 && crowded.length < LISTED_MAX) {
    const many = Array.from({ length: STEP }, (_, at) => joins(lab, room, crowded.length + at));
    crowded.push(...(await Promise.all(many)));
  }
  return crowded;
}

async function joins(lab: Lab, room: string, at: number): Promise<Peer> {
  const peer = await lab.connect(at).catch((error: Error) => {
    if (/HTTP (429|503)/.test(error.message))
      skip(`this address may not have a thousand connections: ${error.message}`);
    throw error;
  });
  await peer.ask({ type: 'hello', user: lab.user('crowd') }, { type: 'welcome' });
  await peer.join(room, { presence: 'none' });
  return peer;
}

/** Users leave until the watcher is given a snapshot; resolves with how many there were then, about. */
async function thinOut(lab: Lab, room: string, watcher: Peer, crowded: Peer[]): Promise<number> {
  const snapshots = (): number => watcher.left({ type: 'presence', room, members: ANY }).length;
  while (crowded.length > 0) {
    const going = crowded.splice(-STEP / 2);
    await Promise.all(going.map((peer) => peer.ask({ type: 'leave', room }, { type: 'ok', room })));
    await lab.sleep(SETTLE_MS);
    if (snapshots() > 0) break;
  }
  const count = (await watcher.presence(room)).count;
  must(snapshots() > 0, 'a snapshot when few enough are left', `none with ${count} users`);
  return count;
}
