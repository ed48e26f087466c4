/** A failover that lost writes: who saw them is told `diverged`, who did not goes on without a gap. */
import { expect, test } from 'vitest';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

test('writes lost in a failover are seen as diverged, and a reader from before the loss recovers gaplessly', async () => {
  const primary = await startRedis();
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  const proxy = await startFaultProxy(primary.port);
  try {
    const node = await nodeForTest({ REDIS_URL: `redis://127.0.0.1:${proxy.port}`, NODE_NAME: 'n' });
    await node.ready();
    const member = await TestClient.hello(node.url, 'member');
    await member.join('room');
    for (let n = 1; n <= 10; n += 1) await member.publish('room', n);
    await member.find((frame) => frame.type === 'message' && frame['seq'] === 10);
    const early = member.position('room');
    const standby = await replica.client();
    while ((await standby.xlen(await logKey(standby))) < 10) await new Promise((r) => setTimeout(r, 10));

    // Promoted first, then written to behind its back: what the old primary takes now is lost.
    await standby.call('REPLICAOF', 'NO', 'ONE');
    for (let n = 11; n <= 15; n += 1) await member.publish('room', `lost ${n}`);
    await member.find((frame) => frame.type === 'message' && frame['seq'] === 15);
    const late = member.position('room');
    proxy.setTarget(replica.port);

    const writer = await TestClient.hello(node.url, 'writer');
    await writer.find((f) => f.type === 'welcome');
    await until(async () => (await writer.join('room')).type === 'joined');
    for (let n = 1; n <= 8; n += 1) expect((await writer.publish('room', `kept ${n}`)).type).toBe('ok');

    const reset = await member.next('reset');
    expect(reset).toMatchObject({ room: 'room', reason: 'diverged', seq: 10 });
    await member.find((frame) => frame.type === 'message' && frame['data'] === 'kept 8');
    expect(member.violations).toEqual([]);

    const fromBefore = await TestClient.hello(node.url);
    expect(await fromBefore.join('room', { since: early })).toMatchObject({ recovered: true, seq: 18 });
    expect(fromBefore.data('room')).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `kept ${n}`));
    const fromLost = await TestClient.hello(node.url);
    expect(await fromLost.join('room', { since: late })).toMatchObject({
      recovered: false,
      reason: 'diverged',
      seq: 18,
    });
  } finally {
    await proxy.close();
    await replica.stop();
    await primary.stop();
  }
});

async function logKey(client: { keys(pattern: string): Promise<string[]> }): Promise<string> {
  const [key] = await client.keys('rc:*:log:room');
  return key ?? 'none';
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await done())) if (performance.now() > end) throw new Error('it never became true');
}
