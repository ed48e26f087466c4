/** What a proxy in front changes: the same room directly and through HAProxy, on the same nodes. */
import { findHaproxy, startHaproxy } from '../machine/haproxy.ts';
import { coresOf } from '../machine/pinning.ts';
import { cpuSeconds } from '../machine/processes.ts';
import { RATE_COLUMNS } from './columns.ts';
import { measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const NODES = 2;
const MEMBERS = 1000;
const PUBLISHERS = 4;
const RATES = [50, 500];
const PAYLOAD_BYTES = 100;

async function* measure(
  session: Session,
  through: boolean,
  settings: ScenarioSettings,
): AsyncGenerator<Measured> {
  const { quick, say } = settings;
  // It shares the server's core: what it takes is taken from the nodes, as on a small machine.
  const proxy = through
    ? await startHaproxy(session.running.nodes, {
        cores: coresOf().server,
        hasReady: session.peer.hasPresence,
      })
    : undefined;
  const way = through ? 'HAProxy' : 'direct';
  try {
    const endpoints = proxy ? [proxy] : session.running.nodes;
    const plan = { rooms: 1, members: MEMBERS, publishers: PUBLISHERS };
    await session.load.connect(
      session.peer.name,
      endpoints.map(({ host, port }) => ({ host, port })),
      plan,
    );
    for (const perSecond of RATES) {
      const proxyBefore = proxy ? cpuSeconds([proxy.pid]) : 0;
      const seconds = quick ? 2 : 6;
      const warmupSeconds = quick ? 1 : 3;
      const figures = await measureRate(session, {
        perSecond,
        seconds,
        warmupSeconds,
        payloadBytes: PAYLOAD_BYTES,
      });
      const owed = perSecond * MEMBERS * (seconds + warmupSeconds);
      const deliveries = (owed * (figures['deliveredPercent'] ?? Number.NaN)) / 100;
      const proxyUs = proxy ? ((cpuSeconds([proxy.pid]) - proxyBefore) * 1e6) / deliveries : Number.NaN;
      say(`${way}, ${perSecond} msg/s`, figures);
      yield { setting: { way, perSecond }, figures: { ...figures, proxyUsPerDelivery: proxyUs } };
    }
  } finally {
    await proxy?.stop();
  }
}

export const haproxy: Scenario = {
  name: 'haproxy',
  summary: `1 room × ${MEMBERS} members on ${NODES} nodes, directly and through HAProxy`,
  method:
    `${MEMBERS} members of one room on ${NODES} nodes, ${PUBLISHERS} publish ${PAYLOAD_BYTES} bytes; first straight to the ` +
    'nodes, then through one HAProxy with the haproxy.cfg of this project (leastconn, its timeouts; its health checks where the ' +
    'server answers them), with one thread on the core of the nodes.',
  columns: [
    { key: 'way', title: 'through', digits: 0 },
    { key: 'perSecond', title: 'msg/s', digits: 0 },
    ...RATE_COLUMNS,
    { key: 'proxyUsPerDelivery', title: 'HAProxy CPU µs/delivery', digits: 2 },
  ],
  charts: [
    {
      title: `p99 directly and through HAProxy, 1 room × ${MEMBERS}, ${RATES.at(-1)} messages/s`,
      where: { perSecond: RATES.at(-1) ?? 0 },
      x: { key: 'way', title: 'through', scale: 'ordinal' },
      y: { key: 'p99Ms', title: 'p99, ms', scale: 'linear' },
    },
  ],
  secondsPerPeer: 50,
  suits: (peer) => peer.clusters,
  prepare: () => {
    const found = findHaproxy();
    return 'reason' in found ? found.reason : undefined;
  },
  async *measure(peer, settings) {
    for (const through of [false, true]) {
      yield* withPeer(peer, NODES, (session) => measure(session, through, settings));
    }
  },
};
