/**
 * The presence scripts against a model, with nodes that freeze, die and reap each other on
 * a real Redis that loses keys, tails and everything. The long run is test/full/lua-model.
 */
import { expect, test } from 'vitest';
import { startRedis } from '../../support/redis-server.ts';
import { sourcesWith } from '../../support/script-caller.ts';
import { runPresenceModel } from '../../support/lua-model/presence-run.ts';
import { PresenceStore } from '../../support/lua-model/presence-store.ts';
import { addTally, type Tally } from '../../support/lua-model/run-log.ts';

const CASES = [
  ...['joined', 'updated', 'left', 'ok', 'expired', 'fenced', 'time passed', 'outage', 'rest'],
  ...[
    'freeze',
    'wake',
    'kill',
    'drain',
    'fenced node',
    'expired node',
    'reaped',
    'reap refused',
    'audited away',
  ],
  ...['restart', 'cut', 'empty', 'tail lost', 'chain mended'],
  ...['members', 'presence', 'rooms', 'meta', 'live', 'dead', 'grace', 'flush'].map(
    (kind) => `damage ${kind}`,
  ),
];

test('members are whom living nodes hold, whatever happens to nodes and Redis', {
  timeout: 60_000,
}, async () => {
  const met: Tally = {};
  for (const seed of [3, 8]) addTally(met, await runPresenceModel({ seed, operations: 2500 }));
  // A run that never met a case proves nothing about it.
  expect(CASES.filter((name) => !met[name])).toEqual([]);
});

test('a storm of joins does not carry the version past the clock, so that a loss could repeat it', async () => {
  // In milliseconds 10,000 joins within a second went 9.5 s ahead; versions issued after a loss were lower.
  const redis = await startRedis();
  try {
    const store = new PresenceStore(redis, sourcesWith());
    await store.connect();
    await store.beat('node.1', true, 0);
    const room = store.rooms[0] ?? '';
    const join = (i: number) => store.hold('node.1', room, `user${i}`, '{}', false, false);
    const storm = await Promise.all(Array.from({ length: 5000 }, (_, i) => join(i)));
    const highest = Number(storm.at(-1)?.[1]);
    await store.client.del(store.keys.meta(room));
    expect(Number((await join(5000))[1])).toBeGreaterThan(highest);
  } finally {
    await redis.stop();
  }
});
