/** The same traffic on one, two and three nodes: what a further node adds in work, to itself and to Redis. */
import { RATE_COLUMNS } from './columns.ts';
import { measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const NODES = [1, 2, 3];
const ROOMS = 30;
const MEMBERS = 30;
const PER_SECOND = 1000;
const PAYLOAD_BYTES = 100;

async function* measure(
  session: Session,
  nodes: number,
  settings: ScenarioSettings,
): AsyncGenerator<Measured> {
  const { quick, say } = settings;
  const plan = { rooms: ROOMS, members: MEMBERS, publishers: 1 };
  await session.load.connect(session.peer.name, session.running.nodes, plan);
  const figures = await measureRate(session, {
    perSecond: PER_SECOND,
    seconds: quick ? 2 : 6,
    warmupSeconds: quick ? 1 : 3,
    payloadBytes: PAYLOAD_BYTES,
  });
  say(`${nodes} nodes`, figures);
  yield { setting: { nodes }, figures };
}

export const scale: Scenario = {
  name: 'scale',
  summary: `the same traffic on ${NODES.join(', ')} nodes: CPU per delivery, Redis CPU per publish`,
  method:
    `${ROOMS} rooms × ${MEMBERS} members spread over all nodes, ${PER_SECOND} publishes/s. All nodes share the server ` +
    'cores, so this shows work, not speed-up: CPU per delivery is that of all nodes together.',
  columns: [{ key: 'nodes', title: 'nodes', digits: 0 }, ...RATE_COLUMNS],
  charts: [
    {
      title: 'CPU per delivery, all nodes together',
      x: { key: 'nodes', title: 'nodes', scale: 'ordinal' },
      y: { key: 'cpuUsPerDelivery', title: 'µs per delivery', scale: 'linear' },
    },
    {
      title: 'Redis CPU per publish',
      x: { key: 'nodes', title: 'nodes', scale: 'ordinal' },
      y: { key: 'redisUsPerPublish', title: 'µs per publish', scale: 'linear' },
    },
  ],
  secondsPerPeer: 45,
  suits: (peer) => peer.clusters,
  async *measure(peer, settings) {
    for (const nodes of NODES) yield* withPeer(peer, nodes, (session) => measure(session, nodes, settings));
  },
};
