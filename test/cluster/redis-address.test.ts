/** How a node is told which Redis is its own: each way reaches the real server, and only that one. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { freePort, type RedisServer, startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';
import { type Certificates, makeCertificates } from '../support/tls-authority.ts';

let redis: RedisServer;
let admin: Awaited<ReturnType<RedisServer['client']>>;
let tlsPort: number;
let files: Certificates;

beforeAll(async () => {
  redis = await startRedis();
  admin = await redis.client();
  files = makeCertificates(redis.dir);
  tlsPort = await freePort();
  await admin.config('SET', 'tls-cert-file', files.cert, 'tls-key-file', files.key);
  await admin.config('SET', 'tls-ca-cert-file', files.ca, 'tls-auth-clients', 'no');
  await admin.config('SET', 'tls-port', String(tlsPort));
});
afterAll(() => redis.stop());

/** Each connection that Redis has but the test's own: where it arrived and the database it is in. */
async function connections(): Promise<{ port: number; db: number }[]> {
  const own = Number(await admin.client('ID'));
  const lines = String(await admin.client('LIST'))
    .trim()
    .split('\n');
  return lines
    .map((line) => new Map(line.split(' ').map((field) => field.split('=', 2) as [string, string])))
    .filter((fields) => Number(fields.get('id')) !== own)
    .map((fields) => ({
      port: Number(fields.get('laddr')?.split(':').at(-1)),
      db: Number(fields.get('db')),
    }));
}

async function chat(from: NodeProcess, to: NodeProcess): Promise<void> {
  const anna = await TestClient.hello(from.url, 'anna');
  const bob = await TestClient.hello(to.url, 'bob');
  await anna.join('room');
  await bob.join('room');
  expect(await anna.publish('room', 'hello')).toMatchObject({ type: 'ok' });
  await bob.find((frame) => frame.type === 'message' && frame['data'] === 'hello');
  for (const client of [anna, bob]) await client.close();
}

test('REDIS_TLS_URL with an authority of its own, trusted by NODE_EXTRA_CA_CERTS as OPERATIONS says', async () => {
  const env = { REDIS_TLS_URL: `rediss://127.0.0.1:${tlsPort}/4`, NODE_EXTRA_CA_CERTS: files.ca };
  const [one, two] = [await nodeForTest(env), await nodeForTest(env)];
  await Promise.all([one.ready(), two.ready()]);
  await chat(one, two);
  const all = await connections();
  expect(all.length).toBeGreaterThanOrEqual(4);
  expect(all.filter(({ port }) => port !== tlsPort)).toEqual([]);
  expect(all.some(({ db }) => db === 4)).toBe(true);
  expect(one.lines.find(({ msg }) => msg === 'listening')?.['broker']).toBe(
    `rediss://127.0.0.1:${tlsPort}/4`,
  );
  for (const node of [one, two]) await node.kill('SIGKILL');
});

test('a certificate of an authority that is not trusted: not ready, and the log says why', async () => {
  const node = await nodeForTest({ REDIS_TLS_URL: `rediss://127.0.0.1:${tlsPort}` });
  const told = await node.line((line) => line.msg === 'Redis cannot be reached yet, trying again');
  expect(told['reason']).toMatch(/certificate/);
  expect(await node.readyStatus()).toBe(404);
  expect(await node.health()).toMatchObject({ redis_status: 'down' });
  await node.kill('SIGKILL');
});

test('REDIS_DB beside REDIS_HOST: the commands of the node are in that database', async () => {
  const env = {
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(redis.port),
    REDIS_DB: '3',
    REDIS_PREFIX: 'three:',
  };
  const node = await nodeForTest(env);
  await node.ready();
  await chat(node, node);
  expect((await connections()).some(({ port, db }) => port === redis.port && db === 3)).toBe(true);
  expect(await admin.keys('three:*')).toEqual([]);
  const inThree = await redis.client();
  await inThree.select(3);
  expect((await inThree.keys('three:*')).length).toBeGreaterThan(0);
  inThree.disconnect();
  await node.kill('SIGKILL');
});

test('REDIS_MODE=off beside an address: the node serves alone and never connects to it', async () => {
  // Everything that other tests left is gone first, so that nobody is counted who is not meant.
  await expect.poll(connections).toEqual([]);
  const arrived = async () =>
    Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1] ?? Number.NaN);
  const before = await arrived();
  const node = await nodeForTest({ REDIS_URL: redis.url, REDIS_MODE: 'off' });
  await node.ready();
  await chat(node, node);
  expect(await node.health()).toMatchObject({ ready: true, redis_status: 'disabled' });
  expect(await arrived()).toBe(before);
  await node.kill('SIGKILL');
});
