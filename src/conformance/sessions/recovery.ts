/** Worked sessions 2 and 3: coming back in time, and too late. */
import type { Check } from '../check.ts';
import type { Lab } from '../lab.ts';
import { must, same, show, skip } from '../outcome.ts';
import type { Peer } from '../peer.ts';
import { drainRoom, publishMany } from '../room-talk.ts';

async function dropAndResume(lab: Lab, comeBack: (peer: Peer, user: string) => Promise<Peer>): Promise<void> {
  const room = lab.room();
  const anna = await lab.member(room);
  const bob = await lab.member(room);
  await anna.peer.publish(room, 'one');
  const last = await bob.peer.take({ type: 'message', room, data: 'one' });
  await bob.peer.drop();
  await anna.peer.publish(room, 'two');
  await anna.peer.publish(room, 'three');
  const back = await comeBack(bob.peer, bob.user);
  const since = { epoch: bob.joined.epoch, seq: last.seq };
  const joined = await back.join(room, { since, presence: 'none' });
  same([joined.recovered, joined.seq], [true, 3], 'recovered and seq');
  same(
    joined.messages.map(({ seq, data }) => [seq, data]),
    [
      [2, 'two'],
      [3, 'three'],
    ],
    'exactly what was missed',
  );
  same(await drainRoom(anna.peer, room, [back]), 4, 'seq of the next message');
}

export const resumeSame: Check = {
  name: '2. drop, rejoin with since: exactly the missed messages',
  run: (lab) => dropAndResume(lab, (_peer, user) => lab.hello(0, user)),
};

export const resumeElsewhere: Check = {
  name: '2. drop, rejoin on another node with since: exactly the missed messages',
  run: (lab) => dropAndResume(lab, (peer, user) => lab.elsewhere(peer, user)),
};

/** In steps: a server that keeps few messages is done early, and one that keeps many is not loaded for ever. */
const STEP = 250;
const PUBLISHED_MAX = 2500;

export const tooLate: Check = {
  name: '3. since older than what is kept: recovered false, "trimmed", and history has the rest',
  async run(lab) {
    const room = lab.room();
    const { peer, joined } = await lab.member(room);
    const since = { epoch: joined.epoch, seq: 1 };
    const late = await lab.hello(1);
    for (let published = 0; published < PUBLISHED_MAX; published += STEP) {
      const top = await publishMany(lab, peer, room, STEP, (n) => published + n);
      const again = await late.join(room, { since, presence: 'none' });
      same(again.seq >= top, true, 'seq at the top');
      if (again.recovered === true) {
        same(again.messages.length, again.seq - 1, 'messages, all of them');
        continue;
      }
      same(again.messages, [], 'messages with recovered: false');
      must(
        again.reason === 'trimmed' || again.reason === 'too_far',
        'reason "trimmed" or "too_far"',
        again.reason,
      );
      if (again.reason === 'too_far') continue;
      const { messages, more, seq } = await late.history(room, { after: 1 });
      const [first] = messages;
      must((first?.seq ?? 0) > 2, 'history to begin after what was trimmed', first);
      same(more, messages.at(-1)?.seq !== seq, 'more');
      const next = await peer.publish(room, 'goes on');
      await late.take({ type: 'message', room, seq: next.seq });
      return;
    }
    skip(`this server keeps more than ${PUBLISHED_MAX} messages of a room`);
  },
};

export const tooFar: Check = {
  name: '3. since kept, but more than one joined carries: recovered false, "too_far", history pages through it',
  async run(lab) {
    const room = lab.room();
    const { peer, joined } = await lab.member(room);
    const { payloadBytes } = peer.welcome.limits;
    const bytes = Math.min(payloadBytes === 0 ? 24_000 : payloadBytes - 64, 24_000);
    const since = { epoch: joined.epoch, seq: 0 };
    // A little over the 1 MB of PROTOCOL, in few messages, so that none of them is trimmed.
    const count = Math.ceil((1.1 * 1024 * 1024) / bytes);
    if (count > 90) skip(`payloads of ${payloadBytes} bytes are too small to exceed 1 MB in what is kept`);
    const top = await publishMany(lab, peer, room, count, (n) => [n, 'x'.repeat(bytes - 16)]);
    const late = await lab.member(room, 1, lab.user(), { since });
    if (late.joined.recovered === true)
      skip(`this server carries ${late.joined.messages.length} such messages at once`);
    same(
      [late.joined.reason, late.joined.messages, late.joined.seq],
      ['too_far', [], top],
      'reason, messages, seq',
    );
    const seqs: number[] = [];
    for (let after = 0; after < top; after = seqs.at(-1) ?? top) {
      const page = await late.peer.history(room, { after, limit: 10 });
      must(page.messages.length > 0, `messages after ${after} of ${top}`, show(page.more));
      seqs.push(...page.messages.map(({ seq }) => seq));
    }
    same(
      seqs,
      Array.from({ length: top }, (_, at) => at + 1),
      'seqs of all pages',
    );
  },
};
