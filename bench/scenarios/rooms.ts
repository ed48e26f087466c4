/** Many small rooms, as in a product: nothing to share between deliveries, so the path of a publish shows. */
import { RATE_COLUMNS } from './columns.ts';
import { keptUp, measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const MEMBERS = 10;
const PAYLOAD_BYTES = 100;
/** Rooms, and the publishes per second over all of them, until the server no longer keeps up. */
const RAMPS = [
  { rooms: 100, rates: [1000, 4000, 8000, 16_000] },
  { rooms: 1000, rates: [4000] },
];
const QUICK_RAMPS = [{ rooms: 50, rates: [500, 2000] }];

async function* ramp(
  session: Session,
  { rooms, rates }: (typeof RAMPS)[number],
  { quick, say }: ScenarioSettings,
): AsyncGenerator<Measured> {
  const plan = { rooms, members: MEMBERS, publishers: 1 };
  await session.load.connect(session.peer.name, session.running.nodes, plan);
  for (const perSecond of rates) {
    const figures = await measureRate(session, {
      perSecond,
      seconds: quick ? 2 : 6,
      warmupSeconds: quick ? 1 : 3,
      payloadBytes: PAYLOAD_BYTES,
    });
    say(`${rooms} rooms, ${perSecond} publishes/s`, figures);
    yield { setting: { rooms, perSecond }, figures };
    if (!keptUp(figures)) return;
  }
}

export const rooms: Scenario = {
  name: 'rooms',
  summary: `100 and 1000 rooms × ${MEMBERS} members, up to saturation`,
  method:
    `${MEMBERS} members per room, one of them publishes ${PAYLOAD_BYTES} bytes; the rate is over all rooms. ` +
    'It rises until less than 99 % arrive within a second of the end.',
  columns: [
    { key: 'rooms', title: 'rooms', digits: 0 },
    { key: 'perSecond', title: 'asked/s', digits: 0 },
    ...RATE_COLUMNS,
  ],
  charts: [
    {
      title: `CPU per delivery, 100 rooms of ${MEMBERS}`,
      where: { rooms: 100 },
      x: { key: 'perSecond', title: 'publishes per second', scale: 'log' },
      y: { key: 'cpuUsPerDelivery', title: 'server CPU, µs per delivery', scale: 'log' },
    },
    {
      title: `p99, 100 rooms of ${MEMBERS}`,
      where: { rooms: 100 },
      x: { key: 'perSecond', title: 'publishes per second', scale: 'log' },
      y: { key: 'p99Ms', title: 'p99, ms', scale: 'log' },
    },
  ],
  suits: (peer) => peer.hasRooms,
  async *measure(peer, settings) {
    for (const one of settings.quick ? QUICK_RAMPS : RAMPS) {
      yield* withPeer(peer, 1, (session) => ramp(session, one, settings));
    }
  },
};
