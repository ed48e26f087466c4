/** Ten thousand clients arrive at once, as after a deploy of whatever stands in front. */
import { percentileMs } from '../generator/histogram.ts';
import { cpuSeconds } from '../machine/processes.ts';
import { watchGenerator } from './generator-watch.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const ROOM = 100;
const CONNECTIONS = 10_000;
const QUICK_CONNECTIONS = 1000;
const CONCURRENCY = 400;

async function* storm(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const { load, peer, running, serverPids, redisPids } = session;
  const connections = quick ? QUICK_CONNECTIONS : CONNECTIONS;
  const cpuBefore = cpuSeconds(serverPids);
  const redisBefore = cpuSeconds(redisPids);
  const generator = watchGenerator(session);
  const plan = { rooms: connections / ROOM, members: ROOM, publishers: 0 };
  const report = await load.connect(peer.name, running.nodes, plan, { concurrency: CONCURRENCY });
  const generatorPercent = generator();
  const cpu = cpuSeconds(serverPids) - cpuBefore;
  const redisCpu = cpuSeconds(redisPids) - redisBefore;
  const figures = {
    seconds: report.seconds,
    connectsPerSecond: report.perSecond,
    connectsPerCpuSecond: connections / cpu,
    p50Ms: percentileMs(report.times, 50),
    p99Ms: percentileMs(report.times, 99),
    redisUsPerConnect: redisPids.length > 0 ? (redisCpu * 1e6) / connections : Number.NaN,
    generatorPercent,
  };
  say(`${connections} connections`, figures);
  yield { setting: { connections }, figures };
}

export const connect: Scenario = {
  name: 'connect',
  summary: `a storm of ${CONNECTIONS} upgrades and joins`,
  method:
    `${CONNECTIONS} connections, ${CONCURRENCY} at a time, each upgrades, says who it is and joins a room of ${ROOM}; ` +
    'done when the server has said so (for Nchan, whose upgrade is the join, when it was upgraded). Per second of server CPU is what one core could take.',
  columns: [
    { key: 'connections', title: 'connections', digits: 0 },
    { key: 'seconds', title: 's', digits: 1 },
    { key: 'connectsPerSecond', title: 'connects/s', digits: 0 },
    { key: 'connectsPerCpuSecond', title: 'connects per CPU s', digits: 0, hasRange: true },
    { key: 'p50Ms', title: 'p50 ms', digits: 0 },
    { key: 'p99Ms', title: 'p99 ms', digits: 0 },
    { key: 'redisUsPerConnect', title: 'Redis CPU µs/connect', digits: 0 },
    { key: 'generatorPercent', title: 'generator %', digits: 0 },
  ],
  charts: [
    {
      title: 'Upgrades and joins per second of server CPU',
      x: { key: 'connections', title: 'connections', scale: 'ordinal' },
      y: { key: 'connectsPerCpuSecond', title: 'per CPU second', scale: 'linear' },
    },
  ],
  secondsPerPeer: 7,
  suits: (peer) => peer.hasRooms,
  measure: (peer, settings) => withPeer(peer, 1, (session) => storm(session, settings)),
};
