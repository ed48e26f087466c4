/**
 * What became too old or void while nobody looked. Timers are late in a page in the background and while a
 * machine sleeps; what they guard must hold nevertheless.
 */
import { expect, onTestFinished, test, vi } from 'vitest';
import { scripted } from './scripted-client.ts';

const stored = (publish: Record<string, unknown>, epoch: string, seq: number) => ({
  type: 'ok',
  id: publish['id'],
  room: 'lobby',
  epoch,
  seq,
});

test('a publish that became too old while the timers slept is not sent again: it could be stored twice', async () => {
  const { server, client, first } = await scripted({ publishTimeoutMs: 90_000 });
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  await room.joined;
  const old = expect(room.publish('old')).rejects.toMatchObject({ code: 'unknown_outcome' });
  await first.next('publish');
  // The machine sleeps: no timer fires, and on waking the clock of the wall says how long it was.
  const clock = vi.spyOn(Date, 'now');
  onTestFinished(() => clock.mockRestore());
  const asleepMs = 130_000;
  const real = performance.timeOrigin;
  clock.mockImplementation(() => Math.floor(real + performance.now()) + asleepMs);
  client.reconnect();
  const second = await server.connection();
  await second.welcome();
  await second.joined({ recovered: true });
  await old;
  const young = room.publish('young');
  const publish = await second.next('publish');
  expect(publish).toMatchObject({ data: 'young' });
  second.send(stored(publish, 'e.1', 2));
  await young;
});

test.each(['expired', 'closed'])(
  'a message that was acknowledged, lost by Redis and then not stored again is told of when it %s',
  async (how) => {
    const { client, first } = await scripted({ publishTimeoutMs: 1000 });
    const room = client.join('lobby');
    const told: unknown[] = [];
    client.on('error', ({ code, message }) => told.push([code, message]));
    await first.welcome();
    await first.joined();
    const receipts = [room.publish('held', { key: 'held' }), room.publish('gone', { key: 'gone' })];
    const [held, gone] = [await first.next('publish'), await first.next('publish')];
    first.send(stored(held, 'e.2', 1), stored(gone, 'e.1', 1));
    await Promise.all(receipts);
    // The one is void, the other safe or not, which nobody knows yet.
    first.send({ type: 'epoch', room: 'lobby', epoch: 'e.2', seq: 0 });
    expect(await first.next('publish')).toMatchObject({ key: 'gone' });
    if (how === 'closed') client.close();
    const code = how === 'closed' ? 'closed' : 'unknown_outcome';
    await expect
      .poll(() => told, { timeout: 5000 })
      .toEqual([[code, expect.stringContaining('gone in lobby')]]);
  },
);
