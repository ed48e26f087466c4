/** A node frozen for half a minute and thawed: fenced as a zombie, then right again. */
import { expect, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

const FROZEN_MS = 30_000;

const told = (frame: Frame, field: 'joined' | 'left', user: string) =>
  frame.type === 'presence' && JSON.stringify(frame[field] ?? []).includes(`"${user}"`);

function usersOf(frame: Frame): string[] {
  return (frame['members'] as { user: string }[]).map((member) => member.user).sort();
}

test('SIGSTOP for 30 s: its users leave once, the zombie is fenced, and after the thaw all is as it should be', async () => {
  const redis = await startRedis();
  try {
    const frozen = await nodeForTest({ REDIS_URL: redis.url, NODE_NAME: 'frozen' });
    const other = await nodeForTest({ REDIS_URL: redis.url, NODE_NAME: 'other' });
    await Promise.all([frozen.ready(), other.ready()]);
    const sleeper = await TestClient.hello(frozen.url, 'sleeper');
    const watcher = await TestClient.hello(other.url, 'watcher');
    await sleeper.join('room', { state: { mood: 'tired' } });
    await watcher.join('room');
    await watcher.publish('room', 'before');
    await sleeper.next('message');

    frozen.freeze();
    const frozenAt = performance.now();
    await watcher.find((frame) => told(frame, 'left', 'sleeper'), 16_000);
    expect(performance.now() - frozenAt).toBeLessThan(15_000);
    for (let n = 0; n < 50; n += 1) await watcher.publish('room', n);
    await new Promise((resolve) => setTimeout(resolve, FROZEN_MS - (performance.now() - frozenAt)));
    frozen.thaw();
    // It may not write under the name that its peers have cleaned up behind, and says so, once.
    const fenced = await frozen.line(({ msg }) => msg.startsWith('fenced'), 20_000);
    expect(fenced).toMatchObject({ level: 'warn', msg: 'fenced: presence goes on under a new incarnation' });

    // No client reconnects: the socket was never cut, there is no proxy in this test.
    await sleeper.find((frame) => frame.type === 'message' && frame['data'] === 49, 20_000);
    expect(sleeper.violations).toEqual([]);
    expect(sleeper.of('reset')).toEqual([]);
    expect(sleeper.data('room')).toEqual(['before', ...Array.from({ length: 50 }, (_, n) => n)]);
    // The watcher came after the sleeper: this is the first time it is told of it.
    await watcher.find((frame) => told(frame, 'joined', 'sleeper'), 20_000);

    for (const client of [sleeper, watcher]) {
      const answer = await client.request({ type: 'presence', room: 'room' });
      expect(usersOf(answer)).toEqual(['sleeper', 'watcher']);
      expect(JSON.stringify(answer)).toContain('{"user":"sleeper","state":{"mood":"tired"}');
    }
    const left = watcher.of('presence').filter((frame) => told(frame, 'left', 'sleeper'));
    expect(left).toHaveLength(1);
    expect(frozen.lines.filter(({ msg }) => msg.startsWith('fenced'))).toEqual([fenced]);
    expect(other.lines.filter(({ msg }) => msg.startsWith('fenced'))).toEqual([]);
    expect((await sleeper.publish('room', 'after')).type).toBe('ok');
  } finally {
    await redis.stop();
  }
});
