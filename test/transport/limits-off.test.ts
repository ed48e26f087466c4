/**
 * 0 switches a limit off, also where it runs: what the default refuses then goes through a real socket, a
 * real Redis and back. Each test first shows that the default does refuse it.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

async function serve(env: Record<string, string>): Promise<LocalServer> {
  const local = await LocalServer.forTest({ REDIS_MODE: 'on', REDIS_URL: redis.url, ...env });
  await expect.poll(async () => (await local.health()).ready, { timeout: 10_000 }).toBe(true);
  return local;
}

async function member(local: LocalServer, room: string): Promise<TestClient> {
  const client = await TestClient.hello(local.url);
  onTestFinished(() => client.socket.terminate());
  await client.join(room);
  return client;
}

const LARGE = 'x'.repeat(1_000_000);
const UNBOUNDED = { LIMIT_FRAME_BYTES: '0', LIMIT_PAYLOAD_BYTES: '0', LIMIT_STATE_BYTES: '0' };

test('LIMIT_FRAME_BYTES and LIMIT_PAYLOAD_BYTES: a payload of 1 MB', async () => {
  const usual = await member(await serve({}), 'large');
  usual.send({ type: 'publish', room: 'large', data: LARGE });
  expect(await usual.closed).toMatchObject({ code: 1009 });

  const local = await serve(UNBOUNDED);
  const [anna, bob] = [await member(local, 'large'), await member(local, 'large')];
  expect(anna.of('welcome')[0]?.['limits']).toMatchObject({ payloadBytes: 0 });
  expect(await anna.publish('large', LARGE)).toMatchObject({ type: 'ok' });
  expect((await bob.next('message'))['data']).toBe(LARGE);
  expect(await bob.request({ type: 'signal', room: 'large', data: LARGE })).toMatchObject({ type: 'ok' });
  expect((await anna.next('signal'))['data']).toBe(LARGE);
});

test('LIMIT_PAYLOAD_BYTES alone: what fits into a frame is taken', async () => {
  const data = 'x'.repeat(60_000);
  const usual = await member(await serve({}), 'half');
  expect(await usual.publish('half', data)).toMatchObject({ code: 'too_large' });
  const client = await member(await serve({ LIMIT_PAYLOAD_BYTES: '0' }), 'half');
  expect(await client.publish('half', data)).toMatchObject({ type: 'ok' });
});

test('LIMIT_STATE_BYTES: a state of 100 KB', async () => {
  const state = { picture: 'x'.repeat(100_000) };
  const usual = await member(await serve({ LIMIT_FRAME_BYTES: '0' }), 'state');
  expect(await usual.request({ type: 'state', room: 'state', state })).toMatchObject({
    code: 'limit_exceeded',
  });
  await usual.close();

  const local = await serve(UNBOUNDED);
  const client = await member(local, 'state');
  expect(await client.request({ type: 'state', room: 'state', state })).toMatchObject({ type: 'ok' });
  const user = client.of('welcome')[0]?.['user'];
  const told = await client.find((frame) => frame.type === 'presence' && frame['updated'] !== undefined);
  expect(told['updated']).toEqual([{ user, state }]);
});

test('LIMIT_IN_FLIGHT: 3,000 publishes before the first is answered', async () => {
  const rates = { LIMIT_PUBLISH_PER_SECOND: '0', LIMIT_PUBLISH_BURST: '0', LIMIT_USER_PER_SECOND: '0' };
  const batches = Array.from({ length: 50 }, (_, batch) =>
    Array.from({ length: 60 }, (_, at) => ({
      type: 'publish',
      id: batch * 60 + at,
      room: 'flight',
      data: 0,
    })),
  );
  const answers = async (env: Record<string, string>) => {
    const client = await member(await serve({ ...rates, ...env }), 'flight');
    // Behind a join, which all of them wait for: nothing is answered before the last is there.
    client.send({ type: 'join', id: 'join', room: 'flight', presence: 'none' });
    for (const batch of batches) client.send(batch);
    const ids = () => client.frames.filter((frame) => typeof frame['id'] === 'number');
    await expect.poll(() => ids().length, { timeout: 20_000 }).toBe(3000);
    return new Set(ids().map((frame) => (frame.type === 'ok' ? 'ok' : frame['code'])));
  };
  expect(await answers({})).toEqual(new Set(['ok', 'rate_limited']));
  expect(await answers({ LIMIT_IN_FLIGHT: '0' })).toEqual(new Set(['ok']));
});
