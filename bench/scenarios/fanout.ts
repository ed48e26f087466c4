/** One room with a thousand members, louder and louder until the server no longer keeps up. */
import { RATE_COLUMNS, STALL_COLUMN } from './columns.ts';
import { endOfRamp, measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const MEMBERS = 1000;
const PUBLISHERS = 4;
const PAYLOAD_BYTES = 100;
const RATES = [50, 250, 1000, 4000, 8000];
const QUICK_RATES = [50, 1000];

async function* ramp(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const plan = { rooms: 1, members: MEMBERS, publishers: PUBLISHERS };
  await session.load.connect(session.peer.name, session.running.nodes, plan);
  for (const perSecond of quick ? QUICK_RATES : RATES) {
    const figures = await measureRate(session, {
      perSecond,
      seconds: quick ? 2 : 6,
      warmupSeconds: quick ? 1 : 3,
      payloadBytes: PAYLOAD_BYTES,
    });
    say(`${perSecond} msg/s`, figures);
    const end = endOfRamp(figures);
    yield { setting: { perSecond }, figures, ...end };
    if (end) return;
  }
}

export const fanout: Scenario = {
  name: 'fanout',
  summary: `1 room, ${MEMBERS} members, ${RATES[0]} messages/s until it breaks, at most ${RATES.at(-1)}`,
  method:
    `${MEMBERS} members of one room, ${PUBLISHERS} of them publish ${PAYLOAD_BYTES} bytes evenly at the given rate. ` +
    'The rate rises until less than 99 % arrive within a second of the end.',
  columns: [{ key: 'perSecond', title: 'msg/s', digits: 0 }, ...RATE_COLUMNS, STALL_COLUMN],
  charts: [
    {
      title: `CPU per delivery, 1 room × ${MEMBERS} members`,
      x: { key: 'perSecond', title: 'messages per second', scale: 'log' },
      y: { key: 'cpuUsPerDelivery', title: 'server CPU, µs per delivery', scale: 'log' },
    },
    {
      title: `Deliveries per second, 1 room × ${MEMBERS} members`,
      x: { key: 'perSecond', title: 'messages per second', scale: 'log' },
      y: { key: 'deliveredPerSecond', title: 'delivered per second', scale: 'log' },
    },
  ],
  secondsPerPeer: 55,
  suits: () => true,
  measure: (peer, settings) => withPeer(peer, 1, (session) => ramp(session, settings)),
};
