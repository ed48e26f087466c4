/** From a publish on one node to the members on another, at shares of what the cluster can do. */
import { RATE_COLUMNS } from './columns.ts';
import { isGeneratorBound } from './generator-bound.ts';
import { keptUp } from './kept-up.ts';
import { measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const ROOMS = 100;
const MEMBERS = 10;
const PAYLOAD_BYTES = 100;
/** Long enough that collections of garbage fall into every one. */
const SHARE_SECONDS = 12;
const SHARES = [0.1, 0.5, 0.8];
const AT_LEAST = 'the generator was full before the server: saturation is at least this';
/** The search for saturation doubles from here. */
const FIRST_RATE = 1000;
const LAST_RATE = 64_000;
const QUICK_LAST_RATE = 2000;

async function* measure(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const plan = { rooms: ROOMS, members: MEMBERS, publishers: 1 };
  // Publishers come first: they are on the first node, everybody else is on the second.
  const endpointOf = (n: number) => (n === 0 ? 0 : 1);
  await session.load.connect(session.peer.name, session.running.nodes, plan, { endpointOf });
  const step = (perSecond: number, seconds: number) =>
    measureRate(session, { perSecond, seconds, warmupSeconds: quick ? 1 : 2, payloadBytes: PAYLOAD_BYTES });

  let saturation = 0;
  let isAtLeast = false;
  for (let rate = FIRST_RATE; rate <= (quick ? QUICK_LAST_RATE : LAST_RATE); rate *= 2) {
    const figures = await step(rate, quick ? 1 : 3);
    say(`searching saturation, ${rate} publishes/s`, figures);
    isAtLeast = isGeneratorBound(figures);
    if (!isAtLeast || saturation === 0)
      saturation = Math.max(saturation, (figures['deliveredPerSecond'] ?? 0) / MEMBERS);
    if (isAtLeast || !keptUp(figures)) break;
  }
  for (const share of SHARES) {
    const figures = await step(Math.round(saturation * share), quick ? 2 : SHARE_SECONDS);
    say(`${share * 100} % of ${Math.round(saturation)} publishes/s`, figures);
    yield {
      setting: { load: `${share * 100} %` },
      figures: { ...figures, saturation },
      ...(isAtLeast ? { note: AT_LEAST } : {}),
    };
  }
}

export const latency: Scenario = {
  name: 'latency',
  summary: 'from node to node at 10 %, 50 % and 80 % of saturation',
  method:
    `Two nodes, ${ROOMS} rooms × ${MEMBERS} members: publishers on one node, readers on the other. Saturation is the most ` +
    'that arrived per second while the rate was doubled (at least that, where the generator was full first); then 10 %, 50 % and 80 % of it.',
  columns: [
    { key: 'load', title: 'load', digits: 0 },
    { key: 'saturation', title: 'saturation, publishes/s', digits: 0 },
    ...RATE_COLUMNS,
  ],
  charts: [
    {
      title: 'p99 from node to node',
      x: { key: 'load', title: 'share of saturation', scale: 'ordinal' },
      y: { key: 'p99Ms', title: 'p99, ms', scale: 'log' },
    },
  ],
  secondsPerPeer: 86,
  suits: (peer) => peer.clusters,
  measure: (peer, settings) => withPeer(peer, 2, (session) => measure(session, settings)),
};
