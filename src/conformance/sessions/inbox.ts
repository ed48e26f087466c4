/** Worked session 6: an inbox filled while its user is offline. */
import type { Check } from '../check.ts';
import { same } from '../outcome.ts';
import { ABSENT } from '../pattern.ts';
import { inboxSender, send, withInbox } from '../topics/users.ts';

export const inboxWhileOffline: Check = {
  name: '6. an inbox filled while its user is offline, read, and empty afterwards',
  async run(lab) {
    const anna = await inboxSender(lab);
    const user = lab.user('bob');
    const ok = await send(anna, user, 'call me', 'm1');
    const bob = await withInbox(lab, user, true, 1);
    const from = { connection: anna.welcome.connection };
    await bob.take({
      type: 'joined',
      room: `@${user}`,
      id: ABSENT,
      epoch: ok.epoch,
      seq: ok.seq,
      messages: [{ seq: ok.seq, data: 'call me', key: 'm1', from }],
    });
    await bob.ask({ type: 'read', seq: ok.seq }, { type: 'ok' });
    const again = await withInbox(lab, user);
    same((await again.take({ type: 'joined', room: `@${user}` })).messages, [], 'messages after read');
  },
};
