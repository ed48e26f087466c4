/**
 * Two deployments in one Redis, told apart by REDIS_DB alone. Redis carries what is published to all of its
 * databases, so with the same channel names signals and presence of the one reached members of the other, and
 * their canaries mixed: each node believed every second to have missed one.
 */
import { expect, test } from 'vitest';
import { createKeys } from '../../src/broker/redis/keys.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

const CANARIES = 10;

test('deployments in two databases of one Redis, in a room of the same name, notice nothing of each other', async () => {
  const redis = await startRedis();
  try {
    const databases = [0, 1];
    const nodes = await Promise.all(
      databases.map((db) =>
        nodeForTest({
          REDIS_HOST: '127.0.0.1',
          REDIS_PORT: String(redis.port),
          REDIS_DB: String(db),
          NODE_NAME: `db-${db}`,
          CANARY_MS: '50',
          CANARY_DEAD_MS: '2000',
          PRESENCE_WINDOW_MS: '10',
        }),
      ),
    );
    await Promise.all(nodes.map((node) => node.ready()));
    const [ann, bob] = await Promise.all(
      nodes.map(({ url }, db) => TestClient.hello(url, db === 0 ? 'ann' : 'bob')),
    );
    if (!ann || !bob) throw new Error('two clients were asked for');
    for (const client of [ann, bob]) expect(await client.join('room')).toMatchObject({ count: 1, seq: 0 });

    const before = [ann.frames.length, bob.frames.length];
    for (const client of [ann, bob]) {
      await client.request({ type: 'signal', room: 'room', data: 'for my own' });
      await client.request({ type: 'state', room: 'room', state: { sharing: true } });
      // Behind the signal on the same link, and stored under the first seq of a room of its own.
      expect(await client.publish('room', 'hello')).toMatchObject({ type: 'ok', seq: 1 });
    }
    // Redis told everybody of everything in this order: whatever crossed would have come before it.
    for (const client of [ann, bob]) {
      await client.publish('room', 'end');
      await client.find((frame) => frame.type === 'message' && frame['data'] === 'end');
    }
    for (const [place, client] of [ann, bob].entries()) {
      expect(client.frames.slice(before[place]).filter(({ type }) => type === 'signal')).toEqual([]);
      expect(client.data('room')).toEqual(['hello', 'end']);
      expect((await client.request({ type: 'presence', room: 'room' }))['count']).toBe(1);
      expect(
        client.of('presence').flatMap((frame) => [frame['joined'], frame['updated']]),
      ).not.toContainEqual(
        expect.arrayContaining([expect.objectContaining({ user: place === 0 ? 'bob' : 'ann' })]),
      );
    }

    const listener = await redis.client();
    const heard = new Map(databases.map((db) => [createKeys('rc:', db).canary(), 0]));
    await new Promise<void>((resolve) => {
      listener.on('message', (channel) => {
        heard.set(channel, (heard.get(channel) ?? 0) + 1);
        if ([...heard.values()].every((count) => count >= CANARIES)) resolve();
      });
      void listener.subscribe(...heard.keys());
    });
    const warned = nodes.flatMap(({ lines }) => lines.filter(({ level }) => level === 'warn'));
    expect(warned).toEqual([]);
  } finally {
    await redis.stop();
  }
});
