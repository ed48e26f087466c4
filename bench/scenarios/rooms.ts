/** Many small rooms, as in a product: nothing to share between deliveries, so the path of a publish shows. */
import { RATE_COLUMNS, STALL_COLUMN } from './columns.ts';
import { endOfRamp, measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const MEMBERS = 10;
const PAYLOAD_BYTES = 100;
/** Rooms, and the publishes per second over all of them, until the server no longer keeps up. */
const RAMPS = [
  { rooms: 100, rates: [1000, 4000, 8000, 16_000, 32_000] },
  { rooms: 1000, rates: [4000] },
];
/** Has a target for its p99: in a few seconds that only says whether a collection of garbage fell in. */
const isJudged = (rooms: number, perSecond: number) => rooms === 100 && perSecond === 4000;
const LONG_SECONDS = 15;
const QUICK_RAMPS = [{ rooms: 100, rates: [500, 2000] }];

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
      seconds: quick ? 2 : isJudged(rooms, perSecond) ? LONG_SECONDS : 6,
      warmupSeconds: quick ? 1 : 3,
      payloadBytes: PAYLOAD_BYTES,
    });
    say(`${rooms} rooms, ${perSecond} publishes/s`, figures);
    const end = endOfRamp(figures);
    yield { setting: { rooms, perSecond }, figures, ...end };
    if (end) return;
  }
}

export const rooms: Scenario = {
  name: 'rooms',
  summary: `100 and 1000 rooms × ${MEMBERS} members, up to saturation`,
  method:
    `${MEMBERS} members per room, one of them publishes ${PAYLOAD_BYTES} bytes; the rate is over all rooms. ` +
    `It rises until less than 99 % arrive within a second of the end, or to ${RAMPS[0]?.rates.at(-1)}. 6 s each, 100 rooms at 4,000/s ${LONG_SECONDS} s.`,
  columns: [
    { key: 'rooms', title: 'rooms', digits: 0 },
    { key: 'perSecond', title: 'asked/s', digits: 0 },
    ...RATE_COLUMNS,
    STALL_COLUMN,
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
  secondsPerPeer: 82,
  suits: (peer) => peer.hasRooms,
  async *measure(peer, settings) {
    for (const one of settings.quick ? QUICK_RAMPS : RAMPS) {
      yield* withPeer(peer, 1, (session) => ramp(session, one, settings));
    }
  },
};
