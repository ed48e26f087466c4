/** What only the embedded presence store promises; the rest is in the presence contract. */
import { expect, it } from 'vitest';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { createBrokerRecorder } from '../../contract/broker-recorder.ts';
import { createFakeClock, createSeededRandom } from '../../support/fake-clock.ts';

const settings = {
  historyMessages: 10,
  historyTtlS: 300,
  metaTtlS: 60,
  onceTtlMs: 120_000,
  inboxMessages: 10,
  inboxTtlS: 600,
};

function started() {
  const clock = createFakeClock();
  const heard = createBrokerRecorder();
  const { broker, presence } = createMemoryBroker({ settings, clock, random: createSeededRandom(1) });
  broker.start(heard);
  return { clock, heard, broker, presence };
}

it('gives versions and `since` the wall time, also for a user who comes back', async () => {
  const { clock, presence } = started();
  const first = await presence.hold('r', 'ann', '{}', false);
  expect(first).toBe(clock.wallMs());
  clock.advance(50);
  await presence.drop('r', 'ann', 'left');
  clock.advance(50);
  const back = await presence.hold('r', 'ann', '{}', false);
  expect(back).toBe(first + 100);
  expect((await presence.snapshot('r', 1)).members).toEqual([
    { user: 'ann', state: '{}', since: first + 100 },
  ]);
});

it('keeps a silent room with members, and its version, for as long as they stay', async () => {
  const { clock, presence } = started();
  const version = await presence.hold('r', 'ann', '{}', false);
  clock.advance(3_600_000);
  expect(await presence.snapshot('r', 1)).toMatchObject({ version, count: 1 });
  expect(await presence.hold('r', 'ann', '{}', false)).toBe(version);
});

it('tells one change for all whom a reconcile drops', async () => {
  const { broker, heard, presence } = started();
  await broker.subscribe('r');
  for (const user of ['ann', 'bob', 'cid']) await presence.hold('r', user, '{}', false);
  await presence.reconcile('r', new Set(['bob']));
  expect(heard.changes('r').at(-1)).toMatchObject({
    kind: 'left',
    users: ['ann', 'cid'],
    reason: 'node_lost',
  });
});

it('creates no room by asking for it or dropping from it', async () => {
  const { presence } = started();
  expect(await presence.drop('r', 'ann', 'left')).toBe(0);
  await presence.reconcile('r', new Set());
  expect(await presence.snapshot('r', 1)).toEqual({ version: 0, count: 0, members: [] });
});

it('forgets the version of a room only metaTtlS after its last member left', async () => {
  const { broker, clock, presence } = started();
  await presence.hold('r', 'ann', '{}', false);
  clock.advance(100_000);
  const version = await presence.drop('r', 'ann', 'left');
  clock.advance(50_000);
  expect(await presence.snapshot('r', 1)).toMatchObject({ version, count: 0 });
  clock.advance(11_000);
  expect(await broker.read('r', null, 1)).toMatchObject({ presenceVersion: 0 });
});
