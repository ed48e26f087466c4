/** One room with thousands of members at a rate people talk at: every message is a storm of writes. */
import { RATE_COLUMNS, STALL_COLUMN } from './columns.ts';
import { measureRate } from './rate.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const SIZES = [5000, 10_000];
/** Has a target for its p99, which a few seconds are too short for. */
const JUDGED = 5000;
const LONG_SECONDS = 12;
const QUICK_SIZES = [2000];
const RATES = [50];
const PUBLISHERS = 4;
const PAYLOAD_BYTES = 100;

async function* steps(
  session: Session,
  members: number,
  { quick, say }: ScenarioSettings,
): AsyncGenerator<Measured> {
  await session.load.connect(session.peer.name, session.running.nodes, {
    rooms: 1,
    members,
    publishers: PUBLISHERS,
  });
  for (const perSecond of RATES) {
    const figures = await measureRate(session, {
      perSecond,
      seconds: quick ? 2 : members === JUDGED ? LONG_SECONDS : 8,
      warmupSeconds: quick ? 1 : 3,
      payloadBytes: PAYLOAD_BYTES,
    });
    say(`${members} members, ${perSecond} msg/s`, figures);
    yield { setting: { members, perSecond }, figures };
  }
}

export const wide: Scenario = {
  name: 'wide',
  summary: `1 room, ${SIZES.join(' and ')} members, ${RATES.join(' and ')} messages/s`,
  method: `All in one room, ${PUBLISHERS} of them publish ${PAYLOAD_BYTES} bytes evenly at the given rate; ${LONG_SECONDS} s with ${JUDGED} members, else 8 s.`,
  columns: [
    { key: 'members', title: 'members', digits: 0 },
    { key: 'perSecond', title: 'msg/s', digits: 0 },
    ...RATE_COLUMNS,
    STALL_COLUMN,
  ],
  charts: [
    {
      title: `Delivered in time, one wide room, ${RATES.at(-1)} messages/s`,
      where: { perSecond: RATES.at(-1) ?? 0 },
      x: { key: 'members', title: 'members', scale: 'ordinal' },
      y: { key: 'inTimePercent', title: 'delivered in time, %', scale: 'linear' },
    },
    {
      title: `p99, one wide room, ${RATES.at(-1)} messages/s`,
      where: { perSecond: RATES.at(-1) ?? 0 },
      x: { key: 'members', title: 'members', scale: 'ordinal' },
      y: { key: 'p99Ms', title: 'p99, ms', scale: 'log' },
    },
  ],
  secondsPerPeer: 47,
  suits: () => true,
  async *measure(peer, settings) {
    for (const members of settings.quick ? QUICK_SIZES : SIZES) {
      yield* withPeer(peer, 1, (session) => steps(session, members, settings));
    }
  },
};
