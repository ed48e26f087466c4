/** Who each node says is in each room, against who is: the nodes have to agree, and to be right. */
import { TestClient } from '../../test/support/test-client.ts';
import type { Guest } from './churn.ts';

const OBSERVER = 'observer';
/** Who lost a connection is held for 5 s, and what one node knows the other hears of soon after. */
const CONVERGE_MS = 15_000;
const LOOK_AGAIN_MS = 500;

interface Roster {
  readonly members?: readonly { readonly user: string }[];
}

/** The users of each room: its members, and the guests that stayed. */
export function expectedRosters(rooms: number, members: number, staying: readonly Guest[]): string[][] {
  const rosters = Array.from({ length: rooms }, (_, room) =>
    Array.from({ length: members }, (_user, n) => `user-${room}-${n}`),
  );
  for (const { user, room } of staying) rosters[room]?.push(user);
  return rosters.map((users) => users.sort());
}

/** How many rooms at least one node has wrong. */
export function wrongRooms(
  expected: readonly (readonly string[])[],
  nodes: readonly (readonly (readonly string[])[])[],
): number {
  const text = (users: readonly string[] | undefined) => (users ?? []).join(' ');
  return expected.filter((users, room) => nodes.some((rosters) => text(rosters[room]) !== text(users)))
    .length;
}

/** Asks every node about every room until all are right or there was time enough. */
export async function convergedRosters(
  nodes: readonly { readonly host: string; readonly port: number }[],
  expected: readonly (readonly string[])[],
): Promise<{ readonly wrong: number; readonly seconds: number }> {
  const beganAt = performance.now();
  const observers = await Promise.all(nodes.map(({ host, port }) => observe(host, port, expected.length)));
  try {
    for (;;) {
      const said = await Promise.all(observers.map((client) => askAll(client, expected.length)));
      const wrong = wrongRooms(expected, said);
      const ms = performance.now() - beganAt;
      if (wrong === 0 || ms > CONVERGE_MS) return { wrong, seconds: ms / 1000 };
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  } finally {
    for (const client of observers) client.socket.terminate();
  }
}

async function observe(host: string, port: number, rooms: number): Promise<TestClient> {
  const client = await TestClient.hello(`ws://${host}:${port}/ws`, OBSERVER);
  for (let n = 0; n < rooms; n += 1) await client.join(`room-${n}`, { presence: 'none' });
  return client;
}

async function askAll(client: TestClient, rooms: number): Promise<string[][]> {
  const rosters: string[][] = [];
  for (let n = 0; n < rooms; n += 1) {
    const { members = [] } = (await client.request({
      type: 'presence',
      room: `room-${n}`,
    })) as unknown as Roster;
    const users = members.map(({ user }) => user).filter((user) => user !== OBSERVER);
    rosters.push(users.sort());
  }
  return rosters;
}
