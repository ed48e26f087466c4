/** The brief this project began with: five thousand connections, a broadcast that never pauses, shared rooms. */
import { TestClient } from '../../test/support/test-client.ts';
import { RATE_COLUMNS } from './columns.ts';
import { measureRate } from './rate.ts';
import type { Figures, Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const ROOMS = 100;
const QUICK_ROOMS = 10;
const MEMBERS = 50;
const PER_SECOND_PER_ROOM = 5;
const PAYLOAD_BYTES = 100;

async function* measure(session: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const rooms = quick ? QUICK_ROOMS : ROOMS;
  const connections = rooms * MEMBERS;
  await session.load.connect(session.peer.name, session.running.nodes, {
    rooms,
    members: MEMBERS,
    publishers: 1,
  });
  const figures = await measureRate(session, {
    perSecond: rooms * PER_SECOND_PER_ROOM,
    seconds: quick ? 3 : 20,
    warmupSeconds: quick ? 1 : 5,
    payloadBytes: PAYLOAD_BYTES,
  });
  const presence = session.peer.hasPresence ? await comparePresence(session, rooms) : {};
  say(`${connections} connections`, figures);
  yield { setting: { connections }, figures: { ...figures, ...presence } };
}

interface Roster {
  readonly count: number;
  readonly members?: readonly { readonly user: string }[];
}

/** Asks every node who is in every room: how many rooms they disagree on, or that are not complete. */
async function comparePresence({ running }: Session, rooms: number): Promise<Figures> {
  const rosters: string[][] = [];
  for (const { host, port } of running.nodes) {
    const client = await TestClient.hello(`ws://${host}:${port}/ws`, 'observer');
    const own: string[] = [];
    for (let n = 0; n < rooms; n += 1) {
      await client.join(`room-${n}`, { presence: 'none' });
      const reply = (await client.request({ type: 'presence', room: `room-${n}` })) as unknown as Roster;
      const users = (reply.members ?? []).map(({ user }) => user).filter((user) => user !== 'observer');
      own.push(users.sort().join(' '));
    }
    rosters.push(own);
    client.socket.terminate();
  }
  let wrong = 0;
  for (let n = 0; n < rooms; n += 1) {
    const expected = Array.from({ length: MEMBERS }, (_, m) => `user-${n}-${m}`)
      .sort()
      .join(' ');
    if (rosters.some((own) => own[n] !== expected)) wrong += 1;
  }
  return { presenceWrong: wrong };
}

export const seed: Scenario = {
  name: 'seed',
  summary: `${ROOMS * MEMBERS} connections, continuous broadcast into shared rooms on two nodes`,
  method:
    `Two nodes, ${ROOMS} rooms × ${MEMBERS} members spread over both, ${PER_SECOND_PER_ROOM} messages/s in every room. ` +
    'Afterwards both nodes are asked who is in each room; a room counts as wrong unless both name exactly its members.',
  columns: [
    { key: 'connections', title: 'connections', digits: 0 },
    ...RATE_COLUMNS,
    { key: 'presenceWrong', title: 'rooms with wrong presence', digits: 0 },
  ],
  charts: [
    {
      title: 'p99, 5,000 connections on two nodes',
      x: { key: 'connections', title: 'connections', scale: 'ordinal' },
      y: { key: 'p99Ms', title: 'p99, ms', scale: 'linear' },
    },
  ],
  suits: (peer) => peer.clusters,
  measure: (peer, settings) => withPeer(peer, 2, (session) => measure(session, settings)),
};
