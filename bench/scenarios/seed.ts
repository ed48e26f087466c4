/** The brief this project began with: five thousand connections, a broadcast that never pauses, shared rooms. */
import { Churn } from './churn.ts';
import { RATE_COLUMNS } from './columns.ts';
import { measureRate } from './rate.ts';
import { convergedRosters, expectedRosters } from './rosters.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const ROOMS = 100;
const QUICK_ROOMS = 10;
const MEMBERS = 50;
const PER_SECOND_PER_ROOM = 5;
const PAYLOAD_BYTES = 100;
const GUESTS_PER_SECOND = 20;

async function* measure(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const { load, peer, running } = session;
  const rooms = quick ? QUICK_ROOMS : ROOMS;
  const connections = rooms * MEMBERS;
  await load.connect(peer.name, running.nodes, { rooms, members: MEMBERS, publishers: 1 });
  const churn = new Churn({ wire: peer.wire, nodes: running.nodes, rooms, perSecond: GUESTS_PER_SECOND });
  try {
    const figures = await measureRate(session, {
      perSecond: rooms * PER_SECOND_PER_ROOM,
      seconds: quick ? 3 : 20,
      warmupSeconds: quick ? 1 : 5,
      payloadBytes: PAYLOAD_BYTES,
    });
    const { staying, count } = await churn.settle();
    const presence = peer.hasPresence
      ? await convergedRosters(running.nodes, expectedRosters(rooms, MEMBERS, staying))
      : { wrong: Number.NaN, seconds: Number.NaN };
    say(`${connections} connections, ${count} guests, ${staying.length} stayed`, figures);
    yield {
      setting: { connections },
      figures: {
        ...figures,
        guests: count,
        presenceWrong: presence.wrong,
        presenceSeconds: presence.seconds,
      },
    };
  } finally {
    churn.stop();
  }
}

export const seed: Scenario = {
  name: 'seed',
  summary: `${ROOMS * MEMBERS} connections, continuous broadcast into shared rooms on two nodes`,
  method:
    `Two nodes, ${ROOMS} rooms × ${MEMBERS} members spread over both, ${PER_SECOND_PER_ROOM} messages/s in every room. ` +
    `Meanwhile ${GUESTS_PER_SECOND} guests a second join rooms on both nodes: half of them stay, a quarter leave after two seconds, a ` +
    'quarter are cut off; what they receive is not counted. Afterwards both nodes are asked who is in each room, until both ' +
    'name exactly its members and the guests that stayed, or for 15 s (who is cut off is held for 5): rooms still wrong then.',
  columns: [
    { key: 'connections', title: 'connections', digits: 0 },
    ...RATE_COLUMNS,
    { key: 'guests', title: 'guests', digits: 0 },
    { key: 'presenceWrong', title: 'rooms with wrong presence', digits: 0 },
    { key: 'presenceSeconds', title: 's until right', digits: 1 },
  ],
  charts: [
    {
      title: 'p99, 5,000 connections on two nodes',
      x: { key: 'connections', title: 'connections', scale: 'ordinal' },
      y: { key: 'p99Ms', title: 'p99, ms', scale: 'linear' },
    },
  ],
  secondsPerPeer: 40,
  suits: (peer) => peer.clusters,
  measure: (peer, settings) => withPeer(peer, 2, (session) => measure(session, settings)),
};
