/** What several checks do in a room: saying much without being refused, and comparing what members saw. */
import { Deviation, must, show } from './outcome.ts';
import type { Lab } from './lab.ts';
import type { Peer } from './peer.ts';

export interface Seen {
  readonly seq: number;
  readonly data: unknown;
}

/** What a member was given of a room since its last `joined`, that included. */
export function seen(peer: Peer, room: string): Seen[] {
  const all: Seen[] = [];
  for (const frame of peer.frames) {
    if (!('room' in frame) || frame.room !== room) continue;
    if (frame.type === 'joined') all.splice(0, all.length, ...frame.messages.map(slim));
    else if (frame.type === 'message') all.push(slim(frame));
  }
  return all;
}

function slim({ seq, data }: Seen): Seen {
  return { seq, data };
}

/** Publishes a message and waits until each of the peers has it: everything before it has come to them then. */
export async function drainRoom(publisher: Peer, room: string, peers: readonly Peer[]): Promise<number> {
  const marker = `marker-${publisher.newId()}-${publisher.welcome.connection}`;
  const { seq } = await publisher.publish(room, marker);
  await Promise.all(peers.map((peer) => peer.take({ type: 'message', room, data: marker })));
  return seq;
}

const TOGETHER = 50;

/** How many publishes go together, and how long to wait after them so that no rate is exceeded. */
function pace(peer: Peer): { size: number; pauseMs: number } {
  const { publishPerSecond } = peer.welcome.limits;
  const size = publishPerSecond === 0 ? TOGETHER : Math.min(TOGETHER, publishPerSecond);
  // A little slower than allowed: the server's clock is not ours.
  return { size, pauseMs: publishPerSecond === 0 ? 0 : (size * 1250) / publishPerSecond };
}

/** Publishes `count` messages as fast as the server's limits allow, each acknowledged. Resolves with the last seq. */
export async function publishMany(
  lab: Lab,
  peer: Peer,
  room: string,
  count: number,
  data: (n: number) => unknown,
): Promise<number> {
  const { size, pauseMs } = pace(peer);
  let last = 0;
  for (let from = 0; from < count; from += size) {
    const frames = Array.from({ length: Math.min(size, count - from) }, (_, at) => ({
      type: 'publish',
      id: peer.newId(),
      room,
      data: data(from + at),
    }));
    const [replies] = await Promise.all([publishEach(peer, frames), lab.sleep(pauseMs)]);
    last = Math.max(last, ...replies);
  }
  return last;
}

/** Each in a message of its own: a batch of large ones would be a message that is too large. */
async function publishEach(peer: Peer, frames: readonly { id: string }[]): Promise<number[]> {
  for (const frame of frames) peer.send(frame);
  return Promise.all(
    frames.map(async ({ id }) => {
      const reply = await peer.take({ id }, 0, 'the ok to a publish');
      if (reply.type === 'ok' && 'epoch' in reply) return reply.seq;
      throw new Deviation('ok to a publish within the rate that welcome told', show(reply));
    }),
  );
}

/** All peers saw the same of the room from `fromSeq` on, without a gap. */
export function agree(peers: readonly Peer[], room: string, fromSeq: number): Seen[] {
  const views = peers.map((peer) => seen(peer, room).filter(({ seq }) => seq >= fromSeq));
  const [first = []] = views;
  for (const view of views) {
    must(
      JSON.stringify(view) === JSON.stringify(first),
      `the same messages in the same order at every member: ${show(first)}`,
      view,
    );
  }
  return first;
}
