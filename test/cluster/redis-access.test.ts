/** What a node needs of Redis is what docs/OPERATIONS.md says, and its password is nowhere to be read. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

const PASSWORD = 'opensesame-3f9c';

/** The rules as an operator copies them from the document. */
function documentedRules(prefix: string): string[] {
  const text = readFileSync('docs/OPERATIONS.md', 'utf8');
  const rules = /```acl\n([\s\S]*?)```/.exec(text)?.[1];
  if (!rules) throw new Error('docs/OPERATIONS.md has no ```acl block');
  return rules.replaceAll('<prefix>', prefix).split(/\s+/).filter(Boolean);
}

test('with the documented Redis user everything works, and the password is in no log line and no answer', {
  timeout: 90_000,
}, async () => {
  const redis = await startRedis();
  try {
    const admin = await redis.client();
    await admin.call('ACL', 'SETUSER', 'room', 'reset', 'on', `>${PASSWORD}`, ...documentedRules('app:'));
    const env = { LOG_LEVEL: 'debug', REDIS_PREFIX: 'app:' };
    const byUrl = await nodeForTest({
      ...env,
      REDIS_URL: `redis://room:${PASSWORD}@127.0.0.1:${redis.port}`,
    });
    const byParts = await nodeForTest({
      ...env,
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: String(redis.port),
      REDIS_USERNAME: 'room',
      REDIS_PASSWORD: PASSWORD,
    });
    const inDatabase = await nodeForTest({
      ...env,
      REDIS_DB: '3',
      REDIS_URL: `redis://room:${PASSWORD}@127.0.0.1:${redis.port}`,
    });
    const wrong = await nodeForTest({
      ...env,
      REDIS_URL: `redis://room:not-${PASSWORD}@127.0.0.1:${redis.port}`,
    });
    await Promise.all([byUrl.ready(), byParts.ready(), inDatabase.ready()]);
    const apart = await TestClient.hello(inDatabase.url, 'carl');
    expect(await apart.join('room')).toMatchObject({ type: 'joined' });
    expect(await apart.publish('room', 'apart')).toMatchObject({ type: 'ok', seq: 1 });
    await apart.find((frame) => frame.type === 'message');

    const alice = await TestClient.hello(byUrl.url, 'alice');
    const bob = await TestClient.hello(byParts.url, 'bob');
    await alice.join('room', { state: { at: 'desk' } });
    await bob.join('room', { history: 10 });
    for (let n = 0; n < 5; n += 1) expect((await alice.publish('room', n, `key-${n}`)).type).toBe('ok');
    await bob.find((frame) => frame.type === 'message' && frame['data'] === 4);
    expect((await bob.request({ type: 'history', room: 'room' }))['messages']).toHaveLength(5);
    expect((await bob.request({ type: 'signal', room: 'room', data: 1 })).type).toBe('ok');
    expect((await bob.request({ type: 'state', room: 'room', state: { at: 'door' } })).type).toBe('ok');
    expect((await bob.request({ type: 'presence', room: 'room' }))['count']).toBe(2);
    expect((await bob.request({ type: 'leave', room: 'room' })).type).toBe('ok');
    expect(await wrong.readyStatus()).toBe(404);

    // A dead node is reaped with the same rights, and a lost link is found again.
    await byParts.kill('SIGKILL');
    await redis.kill();
    await alice.find((frame) => frame.type === 'status' && frame['redis'] === 'down');
    await redis.restart();
    const again = await redis.client();
    await again.call('ACL', 'SETUSER', 'room', 'reset', 'on', `>${PASSWORD}`, ...documentedRules('app:'));
    await alice.find((frame) => frame.type === 'status' && frame['redis'] === 'up', 15_000);

    const told = [byUrl, byParts, inDatabase, wrong].flatMap((node) =>
      node.lines.map((line) => JSON.stringify(line)),
    );
    for (const node of [byUrl, wrong]) told.push(JSON.stringify(await node.health()));
    expect(told.length).toBeGreaterThan(20);
    expect(told.filter((text) => text.includes(PASSWORD))).toEqual([]);
    expect(told.filter((text) => text.includes('NOPERM') || text.includes('no permissions'))).toEqual([]);
  } finally {
    await redis.stop();
  }
});
