/** From `publish` on one node to the message at a member on another, at a quiet rate. This project alone. */
import { TestClient } from '../../test/support/test-client.ts';
import { ANYWHERE } from '../machine/pinning.ts';
import { LATENCY_COLUMNS } from './columns.ts';
import { atRate, Latencies } from './latencies.ts';
import type { Measured, Scenario, ScenarioSettings } from './scenario.ts';
import { type Session, withPeer } from './session.ts';

const PER_SECOND = 100;
const SECONDS = 20;
const WARMUP_SECONDS = 5;

async function* measure({ running }: Session, { quick, say }: ScenarioSettings): AsyncGenerator<Measured> {
  const [writer, reader] = await Promise.all(
    running.nodes.map(({ host, port }, n) => TestClient.hello(`ws://${host}:${port}/ws`, `member-${n}`)),
  );
  if (!writer || !reader) throw new Error('this scenario needs two nodes');
  try {
    await Promise.all([writer.join('room'), reader.join('room')]);
    const sentAt: number[] = [];
    let received = new Latencies();
    let acknowledged = new Latencies();
    reader.onFrame((frame) => {
      if (frame.type === 'message') received.since(sentAt[frame['data'] as number] ?? 0);
    });
    const publish = async (seconds: number, from: number) => {
      await atRate(PER_SECOND, seconds, async (n) => {
        const at = performance.now();
        sentAt[from + n] = at;
        await writer.publish('room', from + n);
        acknowledged.since(at);
      });
      const last = from + PER_SECOND * seconds - 1;
      await reader.find((frame) => frame.type === 'message' && frame['data'] === last);
    };
    const warmup = quick ? 1 : WARMUP_SECONDS;
    await publish(warmup, 0);
    received = new Latencies();
    acknowledged = new Latencies();
    await publish(quick ? 2 : SECONDS, PER_SECOND * warmup);
    for (const [until, latencies] of [
      ['receipt on the other node', received],
      ['ok to the publisher', acknowledged],
    ] as const) {
      const figures = latencies.figures();
      say(until, figures);
      yield { setting: { until }, figures };
    }
  } finally {
    for (const client of [writer, reader]) client.socket.terminate();
  }
}

export const publishLatency: Scenario = {
  name: 'publish-latency',
  summary: `from publish to receipt on another node at ${PER_SECOND}/s; this project alone`,
  method:
    `Two nodes, one member on each; one publishes ${PER_SECOND} messages/s for ${SECONDS} s after ${WARMUP_SECONDS} s of ` +
    'warm-up. Times are from just before the publish was written, in one process. Nothing is pinned.',
  columns: [{ key: 'until', title: 'from publish to', digits: 0 }, ...LATENCY_COLUMNS],
  charts: [],
  secondsPerPeer: 32,
  cores: ANYWHERE,
  suits: (peer) => peer.name === 'roomcast',
  measure: (peer, settings) => withPeer(peer, 2, (session) => measure(session, settings), ANYWHERE),
};
