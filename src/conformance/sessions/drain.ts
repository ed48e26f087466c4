/** Worked session 8: a node goes away, and tells every connection when to come back. */
import type { ClosingFrame } from '../../protocol/messages.ts';
import type { Check } from '../check.ts';
import type { Lab, Member } from '../lab.ts';
import { Deviation, must, same, skip } from '../outcome.ts';
import { some } from '../pattern.ts';
import type { Peer } from '../peer.ts';
import { drainRoom } from '../room-talk.ts';

/** Connections to each address at first; more of them, one at a time, until two nodes were met. */
const EACH = 4;
const EACH_MAX = 10;
/** Between those: what went before may have made a proxy pass over one of the nodes for a while. */
const RETRY_MS = 1000;
/** Between the command and the first `closing`: the proxy has to notice first. */
const NOTICE_MAX_MS = 15_000;
/** All connections of a node are told in the same moment. */
const TOGETHER_MS = 500;
/** How far from the told moment the close may come: early by the clocks, late by the machine. */
const EARLY_MS = 500;
const LATE_MS = 3000;

interface Told extends Member {
  readonly closing: ClosingFrame;
  readonly atMs: number;
}

export const drain: Check = {
  name: '8. drain: closing with reconnect "after", served until then, close 1012, resumed unseen',
  alone: true,
  async run(lab) {
    const command = lab.hooks.drain ?? skip('needs the operator: give --drain <command>');
    const room = lab.room();
    const members: Member[] = [];
    const nodes = new Set<string>();
    const enough = (at: number): boolean => at >= EACH * lab.urls.length && nodes.size > 1;
    for (let at = 0; at < EACH_MAX * lab.urls.length && !enough(at); at += 1) {
      if (at >= EACH * lab.urls.length) await lab.sleep(RETRY_MS);
      const member = await lab.member(room, at, lab.user(), { presence: 'full' });
      members.push(member);
      nodes.add(member.peer.welcome.node);
    }
    const listening = hear(lab, members);
    listening.catch(() => undefined); // Where the command failed nobody waits for it any more.
    // Not awaited yet: a command that waits for the end of the node would outlive what is to be seen.
    const commanded = command();
    // One that fails has drained nothing: there is nothing to wait for.
    const told = await Promise.race([listening, commanded.then(() => listening)]);
    const stayed = members.filter(({ peer }) => !told.some((one) => one.peer === peer));
    const resumed = await Promise.all(told.map((one) => obeyed(lab, room, one)));
    await commanded;
    // With one node there is nowhere to come back to.
    must(stayed.length === 0 || !resumed.includes(false), 'another node to take who comes back', 'refusals');
    for (const { peer } of stayed) {
      await peer.alive();
      for (const { user } of told) {
        same(peer.left({ type: 'presence', left: some({ user }) }), [], `left frames of ${user}`);
      }
    }
  },
};

/** The members that are told to close: those of one node. */
async function hear(lab: Lab, members: readonly Member[]): Promise<readonly Told[]> {
  const told: Told[] = [];
  let failure: unknown;
  for (const member of members) {
    member.peer.take({ type: 'closing' }, NOTICE_MAX_MS).then(
      (closing) => void told.push({ ...member, closing, atMs: lab.clock.now() }),
      (error: unknown) => {
        // Of another node, and still waiting; or closed without a word, which is what must not be.
        if (member.peer.end !== undefined) failure = error;
      },
    );
  }
  const until = lab.clock.now() + NOTICE_MAX_MS;
  while (told.length === 0) {
    if (failure !== undefined) throw failure;
    must(lab.clock.now() < until, `closing at one of ${members.length} connections`, 'none');
    await lab.sleep(20);
  }
  await lab.sleep(TOGETHER_MS);
  return [...told];
}

/** Whether it could come back. */
async function obeyed(lab: Lab, room: string, { peer, user, closing, atMs, joined }: Told): Promise<boolean> {
  same([closing.code, closing.reconnect], [1012, 'after'], 'code and reconnect of closing');
  const { afterMs } = closing;
  if (afterMs === undefined) throw new Deviation('afterMs in closing', 'none');
  if (afterMs > 2 * TOGETHER_MS) await peer.publish(room, `served until the end: ${user}`);
  await peer.closedBy(1012, afterMs + LATE_MS);
  const tookMs = Math.round(peer.endedAtMs - atMs);
  const inTime = tookMs > afterMs - EARLY_MS && tookMs < afterMs + LATE_MS;
  must(inTime, `the close ${afterMs} ms after closing`, `${tookMs} ms`);
  const last = peer.frames.findLast((frame) => frame.type === 'message' && frame.room === room);
  const seq = last?.type === 'message' ? last.seq : joined.seq;
  const back = await anywhere(lab, user);
  if (back === undefined) return false;
  const again = await back.join(room, { since: { epoch: joined.epoch, seq } });
  same(again.recovered, true, 'recovered');
  await drainRoom(back, room, [back]);
  return true;
}

/** By the first address that takes a connection; undefined where none does. */
async function anywhere(lab: Lab, user: string): Promise<Peer | undefined> {
  for (let at = 0; at < lab.urls.length; at += 1) {
    const peer = await lab.connectNow(at); // The node that is drained refuses.
    if (peer === undefined) continue;
    await peer.ask({ type: 'hello', user }, { type: 'welcome', user });
    return peer;
  }
  return undefined;
}
