/** How a node's copy of a room comes to be, where the store is slow or the room is fast. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { PresenceStore } from '../../src/broker/presence.ts';
import { loadConfig } from '../../src/config.ts';
import { Hub } from '../../src/core/hub.ts';
import type { PresenceSnapshot } from '../../src/core/member.ts';
import { FanOut } from '../../src/node/fan-out.ts';
import { PresenceRelay } from '../../src/node/presence-relay.ts';
import { Turn } from '../../src/node/turn.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';

const { config } = loadConfig({ env: {}, hostname: 'node-1' });

let clock: FakeClock;
let relay: PresenceRelay;
/** Snapshots asked for and not answered. */
let asked: { answer(snapshot: PresenceSnapshot): void; fail(): void }[];
let version: number;

beforeEach(() => {
  clock = createFakeClock();
  asked = [];
  version = 1000;
  const hub = new Hub();
  const store = {
    snapshot: () =>
      new Promise<PresenceSnapshot>((resolve, reject) => {
        asked.push({ answer: resolve, fail: () => reject(new Error('away')) });
      }),
  } as unknown as PresenceStore;
  const fanOut = new FanOut(hub, new Turn(clock), clock, config);
  relay = new PresenceRelay(hub, fanOut, store, clock, createRecordingLogger(), config, () => undefined);
});

function changes(room: string, count: number): void {
  for (let n = 0; n < count; n += 1) {
    const previous = version;
    version += 1;
    relay.change(room, {
      kind: 'joined',
      previous,
      version,
      member: { user: `user-${version}`, since: 1, state: '{}' },
    });
  }
}

describe('the copy of a room', () => {
  it('is loaded by the first snapshot, however much was heard before that was asked for', async () => {
    // More than is held meanwhile: the snapshot was refused, the next one asked for later, when more had come, and so on.
    relay.follow('r');
    const viewed = relay.view('r', 0);
    await clock.advanceAsync(0);
    for (let attempt = 0; attempt < 4; attempt += 1) {
      asked.pop()?.fail();
      await clock.advanceAsync(0);
      changes('r', 1200);
      await clock.advanceAsync(2000);
      if (attempt === 0) await viewed.catch(() => undefined);
    }
    const again = relay.view('r', 0);
    changes('r', 10);
    expect(asked).toHaveLength(1);
    asked.pop()?.answer({ version: version - 3, count: 7, members: [] });
    expect(await again).toMatchObject({ version, count: 10 });
  });

  it('is read with few others at a time, and in its turn', async () => {
    const rooms = Array.from({ length: 50 }, (_, n) => `room-${n}`);
    for (const room of rooms) relay.follow(room);
    const views = rooms.map((room) => relay.view(room, 0));
    await clock.advanceAsync(0);
    let most = 0;
    while (asked.length > 0) {
      most = Math.max(most, asked.length);
      asked.shift()?.answer({ version, count: 0, members: [] });
      await clock.advanceAsync(0);
    }
    expect(most).toBe(16);
    expect(await Promise.all(views)).toHaveLength(50);
  });
});
