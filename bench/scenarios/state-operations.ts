/** How long join, state and presence take, each at 500 a second over two nodes. */
import { TestClient } from '../../test/support/test-client.ts';
import { withCluster } from './cluster.ts';
import { atRate, Latencies } from './latencies.ts';

const PER_SECOND = 500;
const SECONDS = 10;
const CLIENTS = 100;
const ROOMS = 50;

export async function stateOperations(): Promise<void> {
  await withCluster(2, async (nodes) => {
    const clients: TestClient[] = [];
    for (let n = 0; n < CLIENTS; n += 1)
      clients.push(await TestClient.hello(nodes[n % nodes.length]?.url ?? '', `user-${n}`));
    const clientOf = (n: number) => clients[n % CLIENTS] as TestClient;
    for (const client of clients) await client.join('home');

    const measured = async (name: string, act: (n: number) => Promise<{ type: string }>) => {
      const latencies = new Latencies();
      await atRate(PER_SECOND, SECONDS, async (n) => {
        const at = performance.now();
        const reply = await act(n);
        if (reply.type === 'error') throw new Error(`${name} was refused: ${JSON.stringify(reply)}`);
        latencies.since(at);
      });
      console.log(`  ${name.padEnd(9)} ${latencies.text()}`);
    };
    console.log(`state operations, each ${PER_SECOND}/s for ${SECONDS} s, ${CLIENTS} users on 2 nodes`);
    await measured('join', (n) => clientOf(n).join(`room-${Math.floor(n / CLIENTS) % ROOMS}`));
    await measured('state', (n) => clientOf(n).request({ type: 'state', room: 'home', state: { n } }));
    await measured('presence', (n) => clientOf(n).request({ type: 'presence', room: 'home' }));
  });
}
