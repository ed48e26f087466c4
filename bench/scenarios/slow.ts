/** Some members stop reading for a while. What it costs the others, the server, and how the slow ones end. */
import { setTimeout as delay } from 'node:timers/promises';
import { percentileMs } from '../generator/histogram.ts';
import type { SlowEnd } from '../generator/orders.ts';
import { residentKb } from '../machine/processes.ts';
import { watchGenerator } from './generator-watch.ts';
import { measureRate } from './rate.ts';
import type { Figures, Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

/** Who read all the time, publishers included, and who stop. */
const READERS = 100;
const SLOW = 50;
const PUBLISHERS = 4;
const PER_SECOND = 500;
/** Large, because the kernel alone takes several megabytes for a reader that sleeps. */
const PAYLOAD_BYTES = 4000;
/**
 * The short one leaves less behind than a server with history keeps; the long one more, and it is still under
 * the ten seconds without progress after which roomcast closes a connection.
 */
const PAUSES = [3, 9];
const QUICK_PAUSES = [2];
/** All the others read for so long before, so that both p99 are of enough messages. */
const CALM_SECONDS = 9;
const AFTER_SECONDS = 3;
/** Who gets nothing more for so long has got what it will get. */
const STUCK_MS = 10_000;
const CATCH_UP_MAX_MS = 60_000;
const LEFT_BEHIND_MS = 500;
/** What the others have not got so long after the last publish they miss. */
const GRACE_MS = 1000;

async function* measure(
  session: Session,
  pausedSeconds: number,
  { quick, say }: ScenarioSettings,
): AsyncGenerator<Measured> {
  const { load, peer, running, serverPids } = session;
  // All are read closely: the slow ones, and those who must not suffer. The slow ones come later, so that what is
  // compared is the same readers, and the generator reads as much, with and without them.
  const closely = { sampleEvery: 1 };
  const readers = { rooms: 1, members: READERS, publishers: PUBLISHERS };
  await load.connect(peer.name, running.nodes, readers, closely);
  const order = { perSecond: PER_SECOND, payloadBytes: PAYLOAD_BYTES, warmupSeconds: quick ? 1 : 3 };
  const before = await measureRate(session, { ...order, seconds: quick ? 2 : CALM_SECONDS });
  say('without them', before);

  const others = { rooms: 1, members: SLOW, publishers: 0 };
  await load.connect(peer.name, running.nodes, others, { ...closely, firstMember: READERS });
  const calmKb = residentKb(serverPids);
  const resident = watchResident(serverPids);
  try {
    await load.pause(SLOW);
    await load.phase();
    const generator = watchGenerator(session);
    const { lagP99Us } = await load.publish({ ...order, seconds: pausedSeconds });
    const generatorPercent = generator();
    await delay(GRACE_MS);
    const during = await load.sample();
    const othersBehind = await load.othersBehind();
    await load.resume();
    await load.publish({ ...order, seconds: AFTER_SECONDS });
    const ends = await caughtUp(session);
    const p99Ms = percentileMs(during.times, 99);
    const calmP99Ms = before['p99Ms'] ?? Number.NaN;
    const figures: Figures = {
      calmP99Ms,
      p99Ms,
      p99ChangePercent: (100 * p99Ms) / calmP99Ms - 100,
      memoryGrowthMb: (resident.highestKb() - calmKb) / 1024,
      ...ends,
      othersMissing: during.faults.missing + othersBehind,
      generatorPercent: Math.max(generatorPercent, before['generatorPercent'] ?? 0),
      generatorLagMs: Math.max(lagP99Us / 1000, before['generatorLagMs'] ?? 0),
    };
    say(`${SLOW} do not read for ${pausedSeconds} s`, figures);
    yield { setting: { slow: SLOW, pausedSeconds }, figures };
  } finally {
    resident.stop();
  }
}

/** Waits until the slow ones have all there is, or get nothing more; says how each ended. */
async function caughtUp({ load }: Session): Promise<Figures> {
  let before = Number.POSITIVE_INFINITY;
  let changedAt = performance.now();
  const until = changedAt + CATCH_UP_MAX_MS;
  for (;;) {
    const ends = await load.slow();
    const behind = ends.reduce((sum, end) => sum + (end.open ? end.behind : 0), 0);
    const now = performance.now();
    if (behind !== before) changedAt = now;
    before = behind;
    if (behind === 0 || now > until || now - changedAt > STUCK_MS) return howTheyEnded(ends);
    await delay(LEFT_BEHIND_MS);
  }
}

/** How many ended in each way. */
export function howTheyEnded(ends: readonly SlowEnd[]): Figures {
  const open = ends.filter((end) => end.open);
  const whole = open.filter((end) => end.behind === 0);
  const count = (list: readonly SlowEnd[], is: (end: SlowEnd) => boolean) => list.filter(is).length;
  return {
    complete: count(whole, (end) => end.missing === 0 && end.duplicates === 0),
    reset: count(whole, (end) => end.missing > 0 && end.told),
    closed: ends.length - open.length,
    behind: open.length - whole.length,
    silentLoss: count(open, (end) => end.missing > 0 && !end.told),
    twice: count(open, (end) => end.duplicates > 0),
  };
}

/** The highest resident memory from now on, looked at until it is stopped. */
function watchResident(pids: readonly number[]): { highestKb(): number; stop(): void } {
  let highest = 0;
  const look = () => {
    highest = Math.max(highest, residentKb(pids));
    return highest;
  };
  const timer = setInterval(look, 250);
  return { highestKb: look, stop: () => clearInterval(timer) };
}

export const slow: Scenario = {
  name: 'slow',
  summary: `${SLOW} of ${READERS + SLOW} members stop reading for ${PAUSES.join(' and ')} s`,
  method:
    `${READERS} members of one room, ${PER_SECOND} messages/s of ${PAYLOAD_BYTES} bytes. First they are alone; then ${SLOW} more join and ` +
    `do not read for ${PAUSES.join(' s, on a fresh server for ')} s, and go on. p99 is that of the first ${READERS}, without the ` +
    `publishers. What they have not got ${GRACE_MS / 1000} s after the last publish is missing. A slow member ends complete, told that it ` +
    'missed something (reset), closed, still behind after getting nothing more for 10 s, or, worst, with a gap nobody told it of.',
  columns: [
    { key: 'pausedSeconds', title: 's paused', digits: 0 },
    { key: 'calmP99Ms', title: 'p99 ms before', digits: 1 },
    { key: 'p99Ms', title: 'p99 ms of the others', digits: 1, hasRange: true },
    { key: 'p99ChangePercent', title: 'change %', digits: 0 },
    { key: 'memoryGrowthMb', title: 'server MB more', digits: 0, hasRange: true },
    { key: 'complete', title: 'complete', digits: 0 },
    { key: 'reset', title: 'reset', digits: 0 },
    { key: 'closed', title: 'closed', digits: 0 },
    { key: 'behind', title: 'still behind', digits: 0 },
    { key: 'silentLoss', title: 'silent loss', digits: 0 },
    { key: 'twice', title: 'got some twice', digits: 0 },
    { key: 'othersMissing', title: 'others missing', digits: 0 },
    { key: 'generatorPercent', title: 'generator %', digits: 0 },
    { key: 'generatorLagMs', title: 'publisher lag ms', digits: 1 },
  ],
  charts: [
    {
      title: `Memory a server takes for ${SLOW} readers that stop`,
      x: { key: 'pausedSeconds', title: 'seconds paused', scale: 'ordinal' },
      y: { key: 'memoryGrowthMb', title: 'MB', scale: 'linear' },
    },
  ],
  secondsPerPeer: 70,
  suits: () => true,
  async *measure(peer, settings) {
    for (const seconds of settings.quick ? QUICK_PAUSES : PAUSES) {
      yield* withPeer(peer, 1, (session) => measure(session, seconds, settings));
    }
  },
};
