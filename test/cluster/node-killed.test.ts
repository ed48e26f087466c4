/** A node dies without a word: its clients resume elsewhere with exactly what they missed, its members leave once. */
import { expect, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

test('kill -9: clients resume on the other node and miss nothing; who stays away leaves once, within 15 s', async () => {
  const redis = await startRedis();
  try {
    const doomed = await nodeForTest({ REDIS_URL: redis.url, NODE_NAME: 'doomed' });
    const other = await nodeForTest({ REDIS_URL: redis.url, NODE_NAME: 'other' });
    await Promise.all([doomed.ready(), other.ready()]);
    const writer = await TestClient.hello(other.url, 'writer');
    await writer.join('room');
    const readers = await Promise.all(
      Array.from({ length: 5 }, (_, n) => TestClient.hello(doomed.url, `reader${n}`)),
    );
    const ghost = await TestClient.hello(doomed.url, 'ghost');
    await Promise.all([...readers, ghost].map((client) => client.join('room')));

    let published = 0;
    const publish = async (count: number) => {
      for (let n = 0; n < count; n += 1) {
        const ok = await writer.publish('room', published);
        expect(ok.type).toBe('ok');
        published += 1;
      }
    };
    await publish(20);
    await doomed.kill('SIGKILL');
    const killedAt = performance.now();
    await publish(20);
    await Promise.all(readers.map((reader) => reader.closed));

    const resumed = await Promise.all(
      readers.map(async (reader, n) => {
        const client = await TestClient.hello(other.url, `reader${n}`);
        const joined = await client.join('room', { since: reader.position('room') });
        expect(joined['recovered']).toBe(true);
        return { before: reader, after: client };
      }),
    );
    await publish(20);
    await Promise.all(
      resumed.map(({ after }) => after.find((f) => f.type === 'message' && f['data'] === published - 1)),
    );
    const all = Array.from({ length: published }, (_, n) => n);
    for (const { before, after } of resumed) {
      expect([...before.data('room'), ...after.data('room')]).toEqual(all);
      expect([...before.violations, ...after.violations]).toEqual([]);
    }

    const leftOf = (user: string) =>
      writer
        .of('presence', 'room')
        .flatMap((frame) => (frame['left'] as { user: string; reason: string }[] | undefined) ?? [])
        .filter((entry) => entry.user === user);
    await writer.find(
      (f) => f.type === 'presence' && JSON.stringify(f['left'] ?? []).includes('"ghost"'),
      16_000,
    );
    expect(performance.now() - killedAt).toBeLessThan(15_000);
    expect(leftOf('ghost')).toEqual([{ user: 'ghost', reason: 'node_lost' }]);
    // Who came back in time never left, although the node that held them is dead.
    for (let n = 0; n < readers.length; n += 1) expect(leftOf(`reader${n}`)).toEqual([]);
    const now = await writer.request({ type: 'presence', room: 'room' });
    expect((now['members'] as { user: string }[]).map((member) => member.user).sort()).toEqual(
      ['reader0', 'reader1', 'reader2', 'reader3', 'reader4', 'writer'].sort(),
    );
  } finally {
    await redis.stop();
  }
});
