/** Some members stop reading for a while. What it costs the others, the server, and how the slow ones end. */
import { setTimeout as delay } from 'node:timers/promises';
import { residentKb } from '../machine/processes.ts';
import { measureRate } from './rate.ts';
import type { Figures, Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const MEMBERS = 150;
const SLOW = 50;
const PUBLISHERS = 4;
const PER_SECOND = 500;
/** Large, because the kernel alone takes several megabytes for a reader that sleeps. */
const PAYLOAD_BYTES = 4000;
/** Under the ten seconds without progress after which roomcast closes a connection. */
const PAUSED_SECONDS = 9;
const AFTER_SECONDS = 3;
const CATCH_UP_MS = 10_000;
const LEFT_BEHIND_MS = 500;

async function* measure(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const { load, peer, running, serverPids } = session;
  const plan = { rooms: 1, members: MEMBERS, publishers: PUBLISHERS };
  // All are read closely: the slow ones, and those who must not suffer.
  await load.connect(peer.name, running.nodes, plan, { sampleEvery: 1 });
  const order = { perSecond: PER_SECOND, payloadBytes: PAYLOAD_BYTES, warmupSeconds: quick ? 1 : 3 };
  const seconds = quick ? 4 : PAUSED_SECONDS;
  const before = await measureRate(session, { ...order, seconds });
  const calmKb = residentKb(serverPids);
  say('all read', before);

  await load.pause(SLOW);
  await load.phase();
  const highest = watchResident(serverPids);
  await load.publish({ ...order, seconds });
  const during = await load.sample();
  await load.resume();
  await load.publish({ ...order, seconds: AFTER_SECONDS });
  const ends = await caughtUp(session);
  const highestKb = highest();
  const figures: Figures = {
    calmP99Ms: before['p99Ms'] ?? Number.NaN,
    p99Ms: during.times.getValueAtPercentile(99) / 1000,
    p99ChangePercent:
      (100 * during.times.getValueAtPercentile(99)) / 1000 / (before['p99Ms'] ?? Number.NaN) - 100,
    memoryGrowthMb: (highestKb - calmKb) / 1024,
    ...ends,
    othersMissing: during.faults.missing,
  };
  say(`${SLOW} do not read`, figures);
  yield { setting: { members: MEMBERS, slow: SLOW, perSecond: PER_SECOND }, figures };
}

/** Waits until the slow ones have all there is, or nothing changes any more; says how each ended. */
async function caughtUp({ load }: Session): Promise<Figures> {
  const until = performance.now() + CATCH_UP_MS;
  for (;;) {
    const ends = await load.slow();
    const behind = ends.filter((end) => end.open && end.behind > 0).length;
    if (behind > 0 && performance.now() < until) {
      await delay(LEFT_BEHIND_MS);
      continue;
    }
    const open = ends.filter((end) => end.open);
    return {
      complete: open.filter((end) => end.missing === 0 && end.behind === 0).length,
      reset: open.filter((end) => end.missing > 0 && end.behind === 0 && end.told).length,
      closed: ends.length - open.length,
      silentLoss: open.filter((end) => (end.missing > 0 && !end.told) || end.behind > 0).length,
    };
  }
}

/** The highest resident memory from now until asked. */
function watchResident(pids: readonly number[]): () => number {
  let highest = 0;
  const look = () => {
    highest = Math.max(highest, residentKb(pids));
  };
  const timer = setInterval(look, 250);
  return () => {
    clearInterval(timer);
    look();
    return highest;
  };
}

export const slow: Scenario = {
  name: 'slow',
  summary: `${SLOW} of ${MEMBERS} members stop reading for ${PAUSED_SECONDS} s`,
  method:
    `${MEMBERS} members of one room, ${PER_SECOND} messages/s of ${PAYLOAD_BYTES} bytes. First all read; then ${SLOW} stop ` +
    `for ${PAUSED_SECONDS} s and go on. p99 is that of the others. A slow member ends complete, told that it missed ` +
    'something (reset), closed, or, worst, with a gap nobody told it of.',
  columns: [
    { key: 'calmP99Ms', title: 'p99 ms before', digits: 1 },
    { key: 'p99Ms', title: 'p99 ms of the others', digits: 1 },
    { key: 'p99ChangePercent', title: 'change %', digits: 0 },
    { key: 'memoryGrowthMb', title: 'server MB more', digits: 0 },
    { key: 'complete', title: 'complete', digits: 0 },
    { key: 'reset', title: 'reset', digits: 0 },
    { key: 'closed', title: 'closed', digits: 0 },
    { key: 'silentLoss', title: 'silent loss', digits: 0 },
    { key: 'othersMissing', title: 'others missing', digits: 0 },
  ],
  charts: [
    {
      title: `Memory a server takes for ${SLOW} readers that stop`,
      x: { key: 'slow', title: 'slow readers', scale: 'ordinal' },
      y: { key: 'memoryGrowthMb', title: 'MB', scale: 'linear' },
    },
  ],
  suits: () => true,
  measure: (peer, settings) => withPeer(peer, 1, (session) => measure(session, settings)),
};
