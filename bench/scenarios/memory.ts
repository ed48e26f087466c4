/**
 * Resident memory of a connection that has joined and is silent. Taken twice:
 * everything over all connections, and the growth from the first few thousand to
 * all of them, which leaves out what the server's runtime costs once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { residentKb } from '../machine/processes.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const ROOM = 100;
const CONNECTIONS = 10_000;
const FIRST = 2000;
const QUICK_CONNECTIONS = 2000;
const QUICK_FIRST = 500;
const CONCURRENCY = 200;
/** Until the garbage of the storm is collected: steady for this long, or given up. */
const STEADY_MS = 6000;
const STEADY_MAX_MS = 40_000;
const STEADY_SHARE = 0.005;

async function* measure(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const { load, peer, running, serverPids } = session;
  const connections = quick ? QUICK_CONNECTIONS : CONNECTIONS;
  const first = quick ? QUICK_FIRST : FIRST;
  const open = (count: number, from: number) =>
    load.connect(
      peer.name,
      running.nodes,
      { rooms: count / ROOM, members: ROOM, publishers: 0 },
      { concurrency: CONCURRENCY, firstRoom: from / ROOM },
    );
  const before = await steadyKb(serverPids, quick);
  await open(first, 0);
  const some = await steadyKb(serverPids, quick);
  await open(connections - first, first);
  const all = await steadyKb(serverPids, quick);
  if ((await load.open()) !== connections) throw new Error('the server closed idle connections');
  const figures = {
    residentMb: all / 1024,
    emptyMb: before / 1024,
    kbPerConnection: (all - before) / connections,
    kbPerFurther: (all - some) / (connections - first),
  };
  say(`${connections} connections`, figures);
  yield { setting: { connections }, figures };
}

async function steadyKb(pids: readonly number[], quick: boolean): Promise<number> {
  if (quick) await delay(1500);
  if (quick) return residentKb(pids);
  const until = performance.now() + STEADY_MAX_MS;
  let since = performance.now();
  let level = residentKb(pids);
  while (performance.now() < until && performance.now() - since < STEADY_MS) {
    await delay(500);
    const now = residentKb(pids);
    if (Math.abs(now - level) <= level * STEADY_SHARE) continue;
    level = now;
    since = performance.now();
  }
  return residentKb(pids);
}

export const memory: Scenario = {
  name: 'memory',
  summary: `${CONNECTIONS} idle connections, joined`,
  method:
    `${CONNECTIONS} connections in rooms of ${ROOM}, silent. VmRSS of all server processes once it is steady: before, ` +
    `with the first ${FIRST}, with all. Kernel buffers are not part of it.`,
  columns: [
    { key: 'connections', title: 'connections', digits: 0 },
    { key: 'emptyMb', title: 'MB empty', digits: 0 },
    { key: 'residentMb', title: 'MB with all', digits: 0 },
    { key: 'kbPerConnection', title: 'KB per connection', digits: 1, hasRange: true },
    { key: 'kbPerFurther', title: 'KB per further one', digits: 1 },
  ],
  charts: [
    {
      title: 'Resident memory per idle connection',
      x: { key: 'connections', title: 'connections', scale: 'ordinal' },
      y: { key: 'kbPerConnection', title: 'KB', scale: 'linear' },
    },
  ],
  secondsPerPeer: 40,
  suits: (peer) => peer.hasRooms,
  measure: (peer, settings) => withPeer(peer, 1, (session) => measure(session, settings)),
};
