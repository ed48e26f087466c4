/** How long join, state and presence take, each at 500 a second over two nodes. */
import { TestClient } from '../../test/support/test-client.ts';
import { withCluster } from './cluster.ts';
import { atRate, Latencies } from './latencies.ts';

const PER_SECOND = 500;
const SECONDS = 10;
const WARMUP_SECONDS = 3;
const CLIENTS = 100;
/** Each room has the users of one group. */
const GROUPS = 10;

export async function stateOperations(): Promise<void> {
  await withCluster(2, async (nodes) => {
    const clients: TestClient[] = [];
    for (let n = 0; n < CLIENTS; n += 1)
      clients.push(await TestClient.hello(nodes[n % nodes.length]?.url ?? '', `user-${n}`));
    const clientOf = (n: number) => clients[n % CLIENTS] as TestClient;
    const homeOf = (n: number) => `home-${n % GROUPS}`;
    for (const [n, client] of clients.entries()) await client.join(homeOf(n));

    const measured = async (name: string, act: (n: number) => Promise<{ type: string }>) => {
      let latencies = new Latencies();
      const run = async (n: number) => {
        const at = performance.now();
        const reply = await act(n);
        if (reply.type === 'error') throw new Error(`${name} was refused: ${JSON.stringify(reply)}`);
        latencies.since(at);
      };
      await atRate(PER_SECOND, WARMUP_SECONDS, run);
      latencies = new Latencies();
      await atRate(PER_SECOND, SECONDS, (n) => run(n + PER_SECOND * WARMUP_SECONDS));
      console.log(`  ${name.padEnd(9)} ${latencies.text()}`);
    };
    console.log(
      `state operations, each ${PER_SECOND}/s for ${SECONDS} s after ${WARMUP_SECONDS} s of warm-up, ` +
        `${CLIENTS} users on 2 nodes, rooms of ${CLIENTS / GROUPS}`,
    );
    const roomOf = (n: number) => `room-${Math.floor(n / CLIENTS)}-${n % GROUPS}`;
    await measured('join', (n) => clientOf(n).join(roomOf(n)));
    await measured('state', (n) => clientOf(n).request({ type: 'state', room: homeOf(n), state: { n } }));
    await measured('presence', (n) => clientOf(n).request({ type: 'presence', room: homeOf(n) }));
  });
}
