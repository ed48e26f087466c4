/** Worked session 5: two tabs of one user are one member. */
import type { Check } from '../check.ts';
import { same } from '../outcome.ts';
import { some } from '../pattern.ts';

export const twoTabs: Check = {
  name: '5. two tabs of a user: one joined, one left',
  async run(lab) {
    const room = lab.room();
    const anna = lab.user('anna');
    const bob = await lab.member(room, 0, lab.user('bob'), { presence: 'full' });
    const tabs = [await lab.member(room, 0, anna), await lab.member(room, 1, anna)];
    for (const tab of tabs) same(tab.joined.count, 2, 'count at the join of a tab');
    await bob.peer.take({ type: 'presence', room, joined: some({ user: anna }) });
    await tabs[0]?.peer.ask({ type: 'leave', room }, { type: 'ok', room });
    await bob.peer.none({ type: 'presence', room, left: some({ user: anna }) }, 400);
    same((await bob.peer.presence(room)).count, 2, 'count with one tab left');
    await tabs[1]?.peer.ask({ type: 'leave', room }, { type: 'ok', room });
    await bob.peer.take({ type: 'presence', room, count: 1, left: some({ user: anna, reason: 'left' }) });
    await bob.peer.none({ type: 'presence', room, left: some({ user: anna }) }, 300);
    await bob.peer.none({ type: 'presence', room, joined: some({ user: anna }) }, 0);
  },
};
