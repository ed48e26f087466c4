/** How long join, state and presence take, each at 500 a second over two nodes. This project alone. */
import { AskingClient } from '../generator/asking-client.ts';
import { ANYWHERE } from '../machine/pinning.ts';
import type { Endpoint } from '../generator/connection.ts';
import { LATENCY_COLUMNS } from './columns.ts';
import { atRate, Latencies } from './latencies.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const PER_SECOND = 500;
const SECONDS = 10;
/** After 3 s the compilers of both nodes still take the cores from what is timed: docs/decisions/0020. */
const WARMUP_SECONDS = 15;
const CLIENTS = 100;
/** Each room has the users of one group. */
const GROUPS = 10;

const roomOf = (n: number) => `room-${Math.floor(n / CLIENTS)}-${n % GROUPS}`;
const homeOf = (n: number) => `home-${n % GROUPS}`;

const OPERATIONS: Readonly<Record<string, (client: AskingClient, n: number) => Promise<void>>> = {
  join: (client, n) => client.ask({ type: 'join', room: roomOf(n) }),
  state: (client, n) => client.ask({ type: 'state', room: homeOf(n), state: { n } }),
  presence: (client, n) => client.ask({ type: 'presence', room: homeOf(n) }),
};

async function* measure({ running }: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const clients: AskingClient[] = [];
  try {
    for (let n = 0; n < CLIENTS; n += 1) {
      const node = running.nodes[n % running.nodes.length] as Endpoint;
      clients.push(await AskingClient.hello(node, `user-${n}`));
    }
    for (const [n, client] of clients.entries()) await client.ask({ type: 'join', room: homeOf(n) });
    for (const [operation, act] of Object.entries(OPERATIONS)) {
      let latencies = new Latencies();
      const run = async (n: number) => {
        const at = performance.now();
        await act(clients[n % CLIENTS] as AskingClient, n);
        latencies.since(at);
      };
      const warmup = quick ? 1 : WARMUP_SECONDS;
      await atRate(PER_SECOND, warmup, run);
      latencies = new Latencies();
      await atRate(PER_SECOND, quick ? 1 : SECONDS, (n) => run(n + PER_SECOND * warmup));
      const figures = latencies.figures();
      say(operation, figures);
      yield { setting: { operation }, figures };
    }
  } finally {
    for (const client of clients) client.close();
  }
}

export const stateOperations: Scenario = {
  name: 'state-operations',
  summary: `join, state and presence at ${PER_SECOND}/s each; this project alone`,
  method:
    `Two nodes, ${CLIENTS} users in rooms of ${CLIENTS / GROUPS}; one operation after the other, each ${PER_SECOND}/s for ` +
    `${SECONDS} s after ${WARMUP_SECONDS} s of warm-up, whether or not earlier ones were answered. Times are from just before ` +
    'the request was written to its reply, in one process. Nothing is pinned: pinned, both nodes would wait for each other on one core.',
  columns: [{ key: 'operation', title: 'operation', digits: 0 }, ...LATENCY_COLUMNS],
  charts: [],
  secondsPerPeer: 84,
  cores: ANYWHERE,
  suits: (peer) => peer.name === 'roomcast',
  measure: (peer, settings) => withPeer(peer, 2, (session) => measure(session, settings), ANYWHERE),
};
