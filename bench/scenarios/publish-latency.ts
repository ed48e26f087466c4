/** From `publish` on one node to the message at a member on another, at a quiet rate. */
import { TestClient } from '../../test/support/test-client.ts';
import { withCluster } from './cluster.ts';
import { atRate, Latencies } from './latencies.ts';

const PER_SECOND = 100;
const SECONDS = 20;

export async function publishLatency(): Promise<void> {
  await withCluster(2, async ([a, b]) => {
    const writer = await TestClient.hello(a?.url ?? '', 'writer');
    const reader = await TestClient.hello(b?.url ?? '', 'reader');
    await Promise.all([writer.join('room'), reader.join('room')]);
    const sentAt: number[] = [];
    const received = new Latencies();
    reader.onFrame((frame) => {
      if (frame.type === 'message') received.since(sentAt[frame['data'] as number] ?? 0);
    });
    const acknowledged = new Latencies();
    await atRate(PER_SECOND, SECONDS, async (n) => {
      const at = performance.now();
      sentAt[n] = at;
      await writer.publish('room', n);
      acknowledged.since(at);
    });
    await reader.find((frame) => frame.type === 'message' && frame['data'] === PER_SECOND * SECONDS - 1);
    console.log(`publish -> receipt on another node, ${PER_SECOND}/s for ${SECONDS} s`);
    console.log(`  receipt  ${received.text()}`);
    console.log(`  ok       ${acknowledged.text()}`);
  });
}
