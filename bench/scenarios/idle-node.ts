/** What traffic costs a node that has nobody in the rooms it goes to. */
import { cpuSeconds } from '../machine/processes.ts';
import { measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const ROOMS = 100;
const MEMBERS = 10;
const PER_SECOND = 2000;
const PAYLOAD_BYTES = 100;

async function* measure(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const [busy, idle] = session.running.nodes;
  if (!busy || !idle) throw new Error('this scenario needs two nodes');
  const plan = { rooms: ROOMS, members: MEMBERS, publishers: 1 };
  await session.load.connect(session.peer.name, [busy], plan);
  const order = { perSecond: PER_SECOND, warmupSeconds: quick ? 1 : 3, payloadBytes: PAYLOAD_BYTES };
  const seconds = quick ? 3 : 10;
  // The warm-up is over before anything is read.
  await measureRate(session, { ...order, seconds: 1 });
  const before = cpuSeconds([idle.pid]);
  const rate = await measureRate(session, { ...order, warmupSeconds: 0, seconds });
  const cpu = cpuSeconds([idle.pid]) - before;
  const figures = {
    publishedPerSecond: rate['publishedPerSecond'] ?? Number.NaN,
    idleUsPerPublish: (cpu * 1e6) / (PER_SECOND * seconds),
    idlePercent: (100 * cpu) / seconds,
    bothUsPerDelivery: rate['cpuUsPerDelivery'] ?? Number.NaN,
    redisUsPerPublish: rate['redisUsPerPublish'] ?? Number.NaN,
  };
  say(`${PER_SECOND} publishes/s elsewhere: ${figures.idleUsPerPublish.toFixed(1)} µs per publish`, rate);
  yield { setting: { perSecond: PER_SECOND }, figures };
}

export const idleNode: Scenario = {
  name: 'idle-node',
  summary: 'the cost of traffic to a node that has no member in its rooms',
  method:
    `Two nodes; ${ROOMS} rooms × ${MEMBERS} members, all on the first, ${PER_SECOND} publishes/s over all rooms. ` +
    'The CPU of the second node, per publish it has nothing to do with.',
  columns: [
    { key: 'publishedPerSecond', title: 'publishes/s', digits: 0 },
    { key: 'idleUsPerPublish', title: 'idle node, CPU µs/publish', digits: 1 },
    { key: 'idlePercent', title: 'idle node, CPU %', digits: 1 },
    { key: 'bothUsPerDelivery', title: 'both nodes, CPU µs/delivery', digits: 2 },
    { key: 'redisUsPerPublish', title: 'Redis CPU µs/publish', digits: 1 },
  ],
  charts: [
    {
      title: 'CPU of a node that has no member of the rooms',
      x: { key: 'perSecond', title: 'publishes per second elsewhere', scale: 'ordinal' },
      y: { key: 'idleUsPerPublish', title: 'µs per publish', scale: 'linear' },
    },
  ],
  secondsPerPeer: 22,
  suits: (peer) => peer.clusters,
  measure: (peer, settings) => withPeer(peer, 2, (session) => measure(session, settings)),
};
