/** A node whose Redis stays away keeps its connections, unless its operator prefers that they look elsewhere. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config.ts';
import { type Client, createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

const SETTINGS = { isolateCloseMs: 30_000, drainSpreadMinMs: 5000, drainSpreadMaxMs: 30_000 };

let fixture: NodeFixture;

async function begin(count: number, settings: Partial<Config> = SETTINGS): Promise<Client[]> {
  fixture = createNodeFixture({ settings });
  const clients: Client[] = [];
  for (let n = 0; n < count; n += 1) clients.push(await fixture.hello(`user-${n}`));
  return clients;
}

afterEach(() => expect(fixture.violations()).toEqual([]));

const closed = (clients: readonly Client[]) =>
  clients.filter(({ connection }) => connection.closedWith !== undefined).length;

describe('a node whose Redis stays away for ISOLATE_CLOSE_MS', () => {
  it('closes its connections with 1012, spread in random order, each told to come back at once', async () => {
    const clients = await begin(20);
    fixture.store.goDown();
    await fixture.advance(29_999);
    expect(closed(clients)).toBe(0);
    for (let slot = 1; slot <= 20; slot += 1) {
      await fixture.advance(slot === 1 ? 251 : 250);
      expect(closed(clients)).toBe(slot);
    }
    for (const { connection } of clients) {
      expect(connection.of('closing')).toMatchObject([{ code: 1012, reconnect: 'now' }]);
      expect(connection.closedWith).toMatchObject({ code: 1012 });
    }
    expect(fixture.logger.saying('Redis stays away: closing connections')).toHaveLength(1);
  });

  it('closes nobody where Redis is back in time, and waits as long at the next outage', async () => {
    const clients = await begin(5);
    fixture.store.goDown();
    await fixture.advance(29_000);
    fixture.store.comeUp();
    await fixture.advance(600_000);
    fixture.store.goDown();
    await fixture.advance(29_000);
    expect(closed(clients)).toBe(0);
  });

  it('keeps whoever is still there when Redis is back', async () => {
    const clients = await begin(20);
    fixture.store.goDown();
    await fixture.advance(32_500);
    expect(closed(clients)).toBe(10);
    fixture.store.comeUp();
    await fixture.advance(600_000);
    expect(closed(clients)).toBe(10);
  });

  it('gives as long again to who comes meanwhile', async () => {
    const [first] = await begin(1);
    fixture.store.goDown();
    await fixture.advance(35_000);
    expect(first?.connection.closedWith).toBeDefined();
    first?.drop();
    const late = await fixture.hello('late');
    await fixture.advance(20_000);
    expect(late.connection.closedWith).toBeUndefined();
    await fixture.advance(10_000);
    expect(late.connection.closedWith).toMatchObject({ code: 1012 });
  });

  it('leaves a drain alone, which has told everybody a moment already', async () => {
    const clients = await begin(20, { ...SETTINGS, drainSpreadMinMs: 60_000, drainSpreadMaxMs: 60_000 });
    fixture.store.goDown();
    await fixture.advance(25_000);
    const drained = fixture.node.drain();
    await fixture.advance(60_000);
    await drained;
    for (const { connection } of clients) expect(connection.of('closing')).toHaveLength(1);
  });

  it('forgets its timers with the node', async () => {
    await begin(3);
    const before = fixture.clock.pendingTimers();
    fixture.store.goDown();
    await fixture.advance(31_000);
    expect(fixture.clock.pendingTimers()).toBeGreaterThan(before);
    await fixture.node.stop();
    expect(fixture.clock.pendingTimers()).toBeLessThan(before);
  });
});

it('by default nobody is closed, however long it lasts', async () => {
  const clients = await begin(3, {});
  fixture.store.goDown();
  await fixture.advance(86_400_000);
  expect(closed(clients)).toBe(0);
});
