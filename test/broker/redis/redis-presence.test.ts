/**
 * Presence over a real Redis when nodes die, freeze, stop and lose their link, and
 * when Redis loses its data, restarts or cannot be reached: who is there is listed,
 * who is gone leaves once, and nobody who stayed is seen to leave.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import {
  createPresenceNodes,
  type PresenceNodes,
  reapedUsers,
  SHORT,
  until,
} from '../../support/presence-nodes.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';

let server: RedisServer;
let nodes: PresenceNodes;

beforeAll(async () => {
  server = await startRedis({ aof: true });
});
afterAll(() => server?.stop());
beforeEach(async () => {
  nodes = await createPresenceNodes(server);
});
afterEach(() => nodes?.close());

/** Two more beats by the clock of Redis: whatever the living were about to do by themselves, they did. */
async function twoBeats(): Promise<void> {
  const newest = Math.max(...(await nodes.beats()).values());
  await until(async () => {
    return [...(await nodes.beats()).values()].some((beatMs) => beatMs > newest + 2 * SHORT.heartbeatMs);
  }, 'two more beats');
}

/** How long the newest beat of anybody is past. */
async function silenceMs(): Promise<number> {
  const newest = Math.max(...(await nodes.beats()).values());
  return (await nodes.redisMs()) - newest;
}

describe('a node that dies', () => {
  it('is reaped within its lease and a beat; each of its users leaves once, those held elsewhere stay', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const room = await nodes.room();
    await Promise.all(['ann', 'bob', 'cid'].map((user) => one.join(room, user)));
    await two.join(room, 'cid');
    await two.join(room, 'dan');
    const since = await nodes.since(room);
    one.die();
    const partition = nodes.keys.partitionOf(room);
    const [, lastBeatMs = 0] =
      [...(await nodes.beats(partition))].find(([name]) => name.startsWith('one.')) ?? [];

    await until(async () => (await nodes.observer.left(room)).length >= 2, 'the users leave');
    const [change] = (await nodes.observer.changes(room)).filter(({ kind }) => kind === 'left');
    expect(change).toMatchObject({ kind: 'left', reason: 'node_lost' });
    // Where this machine stood still for half a lease, Redis granted a grace of two more.
    const grace = await nodes.redis.hget(nodes.keys.grace(partition), 'until');
    const afterMs = nodes.observer.firstLeftMs(room) - lastBeatMs;
    expect(afterMs).toBeGreaterThanOrEqual(SHORT.leaseMs);
    if (grace === '0') expect(afterMs).toBeLessThan(SHORT.leaseMs + 2 * SHORT.heartbeatMs + 400);

    await twoBeats();
    expect((await nodes.observer.left(room)).toSorted()).toEqual(['ann', 'bob']);
    expect(await nodes.since(room)).toEqual(new Map([...since].filter(([user]) => /cid|dan/.test(user))));
    await until(() => reapedUsers(two) > 0, 'it is logged');
    expect(two.log.saying('reaped')).toMatchObject([{ level: 'info', fields: { rooms: 1, users: 3 } }]);
  });

  it('leaves no key behind, whatever rooms it was in', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const rooms = Array.from({ length: 150 }, (_, number) => `hall/${number}`);
    await Promise.all(rooms.map((room) => one.join(room, 'ann')));
    one.die();
    await until(async () => (await nodes.traces()).length === 0, 'no trace of the dead node');
    expect((await nodes.beats()).size).toBe(1);
    await until(() => reapedUsers(two) === 150, 'it is logged');
  });

  it('whose name is taken again 20 times within the lease is told apart each time', async () => {
    const other = await nodes.node('other');
    const room = await nodes.room();
    await other.join(room, 'everybody');
    for (let life = 1; life <= 20; life += 1) {
      const one = await nodes.node('one');
      await Promise.all([one.join(room, `life ${life}`), one.join(room, 'everybody')]);
      if (life < 20) one.die();
    }
    await until(async () => (await nodes.users(room)).length === 2, 'only the living are listed');
    await twoBeats();
    expect(await nodes.users(room)).toEqual(['everybody', 'life 20']);
    const former = Array.from({ length: 19 }, (_, index) => `life ${index + 1}`);
    expect((await nodes.observer.left(room)).toSorted()).toEqual(former.toSorted());
    expect(
      (await nodes.redis.zcard(nodes.keys.live(0))) + (await nodes.redis.scard(nodes.keys.dead(0))),
    ).toBe(2);
  });
});

describe('a node that stands still for longer than its lease', () => {
  it('wakes under a new incarnation, and all of its users come back', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const [room, other] = [await nodes.room(), await nodes.room()];
    await Promise.all(['ann', 'bob'].map((user) => one.join(room, user)));
    await one.join(other, 'ann');
    await two.join(room, 'bob');
    one.stand();
    await until(async () => (await nodes.observer.left(room)).length > 0, 'it is reaped');
    one.goOn();
    await until(() => one.rebuilds > 0, 'it notices');
    await one.rebuilt();
    expect(await nodes.users(room)).toEqual(['ann', 'bob']);
    expect(await nodes.users(other)).toEqual(['ann']);
    expect((await nodes.observer.changes(room)).map(({ kind }) => kind)).toEqual([
      'joined',
      'joined',
      'left',
      'joined',
    ]);
    expect(await nodes.observer.left(room)).toEqual(['ann']);
    expect(one.log.saying('fenced')).toHaveLength(1);
    expect(one.log.saying('stood still')).toHaveLength(1);
    // The second look a lease later changes nothing, and nothing of the former name is left.
    await until(() => one.rebuilds > 1, 'the second look');
    await one.rebuilt();
    expect(await nodes.observer.left(room)).toEqual(['ann']);
    const names = new Set((await nodes.traces()).flatMap((key) => /one\.\w+/.exec(key) ?? []));
    expect(names.size).toBe(1);
  });

  it('and writes before it beats is refused, fenced once, and writes again', async () => {
    const one = await nodes.node('one');
    await nodes.node('two');
    const room = await nodes.room();
    await one.join(room, 'ann');
    one.stand();
    await until(async () => (await nodes.observer.left(room)).includes('ann'), 'it is reaped');
    const users = Array.from({ length: 50 }, (_, number) => `user ${number}`);
    // Its timers do not run yet: these writes are the first thing it does.
    const refused = await Promise.allSettled(users.map((user) => one.presence.hold(room, user, '{}', false)));
    expect(refused.map(({ status }) => status)).toEqual(users.map(() => 'rejected'));
    expect(refused[0]).toMatchObject({ reason: { name: 'BrokerError', code: 'unavailable' } });
    expect(await nodes.users(room)).toEqual([]);
    one.goOn();
    await Promise.all(users.map((user) => one.join(room, user)));
    await one.rebuilt();
    expect(await nodes.users(room)).toEqual(['ann', ...users].toSorted());
    expect(one.log.saying('fenced')).toHaveLength(1);
  });

  it('alone: nobody could judge it, and nobody leaves', async () => {
    const one = await nodes.node('one');
    const room = await nodes.room();
    await one.join(room, 'ann');
    const since = await nodes.since(room);
    one.stand();
    await until(async () => (await silenceMs()) > 2 * SHORT.leaseMs, 'two leases pass');
    one.goOn();
    await twoBeats();
    await one.join(room, 'bob');
    expect(await nodes.observer.left(room)).toEqual([]);
    expect((await nodes.since(room)).get('ann')).toBe(since.get('ann'));
    expect(one.rebuilds).toBe(0);
  });
});

describe('a clean stop', () => {
  it('shows nobody leaving until the hold is over, and then only who is nowhere else', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const room = await nodes.room();
    await Promise.all(['ann', 'bob'].map((user) => one.join(room, user)));
    const since = await nodes.since(room);
    await one.stop();
    const stoppedMs = await nodes.redisMs();
    await two.join(room, 'bob');
    await until(async () => (await nodes.observer.left(room)).length > 0, 'the hold is over');
    await twoBeats();
    expect(await nodes.observer.left(room)).toEqual(['ann']);
    expect((await nodes.since(room)).get('bob')).toBe(since.get('bob'));
    const afterMs = nodes.observer.firstLeftMs(room) - stoppedMs;
    expect(afterMs).toBeGreaterThan(SHORT.presenceHoldMs - 100);
    // Sooner than a lease: the last beat was back-dated.
    const grace = await nodes.redis.hget(nodes.keys.grace(nodes.keys.partitionOf(room)), 'until');
    if (grace === '0') expect(afterMs).toBeLessThan(SHORT.leaseMs);
  });

  it('refuses writes afterwards', async () => {
    const one = await nodes.node('one');
    await one.presence.stop();
    const unavailable = { name: 'BrokerError', code: 'unavailable' };
    await expect(one.presence.hold('room', 'ann', '{}', false)).rejects.toMatchObject(unavailable);
    await expect(one.presence.drop('room', 'ann', 'left')).rejects.toMatchObject(unavailable);
    await expect(one.presence.reconcile('room', new Set())).rejects.toMatchObject(unavailable);
    expect(await one.presence.countConnections('ann', 3)).toBe(3);
  });
});

describe('a Redis that loses what it knew', () => {
  it('emptied: every node holds everything again within two beats, and nobody leaves', async () => {
    const three = await Promise.all(['one', 'two', 'three'].map((name) => nodes.node(name)));
    const rooms = [await nodes.room(), await nodes.room()];
    for (const [index, node] of three.entries()) {
      for (const room of rooms)
        await Promise.all([node.join(room, `of ${index}`), node.join(room, 'of all')]);
    }
    // Only this server's own data: it belongs to this file.
    await nodes.redis.flushall();
    const emptiedMs = performance.now();
    await until(() => three.every((node) => node.rebuilds > 0), 'every node notices');
    expect(performance.now() - emptiedMs).toBeLessThan(2 * 1.1 * SHORT.heartbeatMs + 400);
    await Promise.all(three.map((node) => node.rebuilt()));
    for (const room of rooms) {
      expect(await nodes.users(room)).toEqual(['of 0', 'of 1', 'of 2', 'of all']);
      expect(await nodes.observer.left(room)).toEqual([]);
    }
    await until(() => three.every((node) => node.rebuilds > 1), 'the second look of every node');
    await Promise.all(three.map((node) => node.rebuilt()));
    for (const room of rooms) {
      expect(await nodes.users(room)).toEqual(['of 0', 'of 1', 'of 2', 'of all']);
      expect(await nodes.observer.left(room)).toEqual([]);
    }
  });

  it('emptied: the first write that is refused tells it, however far the next beat is', async () => {
    const rare = { leaseMs: 120_000, heartbeatMs: 60_000 };
    const one = await nodes.node('one', { settings: rare });
    const room = await nodes.room();
    await one.join(room, 'ann');
    await nodes.redis.flushall();
    const users = Array.from({ length: 50 }, (_, number) => `user ${number}`);
    await Promise.all(users.map((user) => one.join(room, user)));
    await one.rebuilt();
    expect(one.rebuilds).toBe(1);
    expect(one.log.saying('fenced')).toHaveLength(1);
    expect(await nodes.users(room)).toEqual(['ann', ...users].toSorted());
  });

  it('restarted with its data: everything is written again under the same names, and nobody leaves', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const room = await nodes.room();
    await one.join(room, 'ann');
    await two.join(room, 'bob');
    const dead = await nodes.node('dead');
    await dead.join(room, 'cid');
    const since = await nodes.since(room);
    dead.die();
    await server.restart();
    await nodes.observer.hearAgain();
    await until(() => one.rebuilds > 0 && two.rebuilds > 0, 'the new term is noticed');
    await Promise.all([one.rebuilt(), two.rebuilt()]);
    expect(await nodes.since(room)).toEqual(since);
    expect(one.log.saying('fenced')).toEqual([]);
    // The dead get their grace too, and are reaped after it.
    await until(async () => (await nodes.observer.left(room)).length > 0, 'the dead node is reaped');
    const grace = await nodes.redis.hget(nodes.keys.grace(nodes.keys.partitionOf(room)), 'until');
    expect(nodes.observer.firstLeftMs(room)).toBeGreaterThanOrEqual(Number(grace));
    expect(await nodes.observer.left(room)).toEqual(['cid']);
    expect(await nodes.since(room)).toEqual(new Map([...since].filter(([user]) => user !== 'cid')));
  });

  it('and forgot that somebody left, also from a room its node is no longer in', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const [room, empty] = [await nodes.room(), await nodes.room()];
    for (const where of [room, empty]) {
      await one.join(where, 'ann');
      await two.join(where, 'bob');
    }
    await one.join(room, 'cid');
    const entry = await nodes.redis.hget(nodes.keys.members(empty), 'ann');
    const incarnation = [...(await nodes.beats()).keys()].find((name) => name.startsWith('one.')) ?? '';
    await one.leave(room, 'ann');
    await one.leave(empty, 'ann');
    // What a failover that lost these two drops would bring back.
    for (const where of [room, empty]) {
      await nodes.redis.hset(nodes.keys.members(where), 'ann', String(entry).replace(/ .*\n/, '\n'));
      await nodes.redis.hset(nodes.keys.presence(where, incarnation), 'ann', '1');
      await nodes.redis.sadd(nodes.keys.rooms(nodes.keys.partitionOf(where), incarnation), where);
      expect(await nodes.users(where)).toContain('ann');
    }
    await server.restart();
    await nodes.observer.hearAgain();
    await until(async () => !(await nodes.users(empty)).includes('ann'), 'the ghost leaves the empty room');
    await until(async () => !(await nodes.users(room)).includes('ann'), 'the ghost leaves the other room');
    expect(await nodes.users(room)).toEqual(['bob', 'cid']);
    expect(await nodes.users(empty)).toEqual(['bob']);
    expect(await nodes.redis.exists(nodes.keys.presence(empty, incarnation))).toBe(0);
  });

  it('of leases alone: every node takes a new name, and nobody leaves', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const room = await nodes.room();
    await Promise.all(['ann', 'bob'].map((user) => one.join(room, user)));
    await Promise.all(['bob', 'cid'].map((user) => two.join(room, user)));
    const since = await nodes.since(room);
    for (let partition = 0; partition < nodes.keys.partitions; partition += 1) {
      await nodes.redis.del(nodes.keys.live(partition));
    }
    await until(() => one.rebuilds > 1 && two.rebuilds > 1, 'the rebuild and the second look');
    await Promise.all([one.rebuilt(), two.rebuilt()]);
    expect(await nodes.observer.left(room)).toEqual([]);
    expect(await nodes.since(room)).toEqual(since);
    await until(
      async () => (await nodes.traces()).filter((key) => key.includes(':presence:')).length === 2,
      'the former names are gone',
    );
    expect(await nodes.observer.left(room)).toEqual([]);
  });
});

describe('a Redis that cannot be reached', () => {
  let proxy: FaultProxy;
  beforeEach(async () => {
    proxy = await startFaultProxy(server.port);
  });
  afterEach(() => proxy?.close());

  it('for longer than the lease, by any node: nobody leaves when it can be reached again', async () => {
    const three = await Promise.all(
      ['one', 'two', 'three'].map((name) => nodes.node(name, { port: proxy.port })),
    );
    const room = await nodes.room();
    for (const [index, node] of three.entries()) await node.join(room, `of ${index}`);
    const since = await nodes.since(room);
    proxy.setMode('cut');
    await until(async () => (await silenceMs()) > 1.5 * SHORT.leaseMs, 'a lease and a half pass');
    proxy.setMode('pass');
    await Promise.all(three.map((node, index) => node.join(room, `of ${index} after`)));
    const graceMs = Number(await nodes.redis.hget(nodes.keys.grace(nodes.keys.partitionOf(room)), 'until'));
    await until(async () => (await nodes.redisMs()) > graceMs, 'the grace is over');
    await twoBeats();
    expect(await nodes.observer.left(room)).toEqual([]);
    const now = await nodes.since(room);
    for (const [user, came] of since) expect(now.get(user)).toBe(came);
  });

  it('answers `unavailable` at once, and counts only the own connections', async () => {
    const one = await nodes.node('one', { port: proxy.port });
    expect(await one.presence.countConnections('ann', 2)).toBe(2);
    proxy.setMode('cut');
    await until(() => one.log.saying('Redis link lost').length > 0, 'the link is lost');
    const askedMs = performance.now();
    const unavailable = { name: 'BrokerError', code: 'unavailable' };
    await expect(one.presence.hold('room', 'ann', '{}', false)).rejects.toMatchObject(unavailable);
    await expect(one.presence.drop('room', 'ann', 'left')).rejects.toMatchObject(unavailable);
    await expect(one.presence.snapshot('room', 10)).rejects.toMatchObject(unavailable);
    expect(await one.presence.countConnections('ann', 5)).toBe(5);
    expect(performance.now() - askedMs).toBeLessThan(SHORT.redisDeadlineMs / 2);
  });

  it('tells an unknown outcome only when the write can no longer land', async () => {
    const one = await nodes.node('one', { port: proxy.port });
    const room = await nodes.room();
    await one.join(room, 'bob');
    proxy.setMode('swallow-replies');
    const sentMs = performance.now();
    const held = one.presence.hold(room, 'ann', '{}', false);
    await until(async () => (await nodes.observer.changes(room)).length > 1, 'it is applied, unheard');
    // The link breaks long before the deadline.
    proxy.cutOpen();
    await expect(held).rejects.toMatchObject({ name: 'BrokerError', code: 'unknown_outcome' });
    expect(performance.now() - sentMs).toBeGreaterThanOrEqual(SHORT.redisDeadlineMs);
    proxy.setMode('pass');
    await one.join(room, 'ann');
    await one.leave(room, 'ann');
    expect((await nodes.observer.changes(room)).map(({ kind }) => kind)).toEqual([
      'joined',
      'joined',
      'left',
    ]);
  });

  it('a write held up beyond its deadline is not applied', async () => {
    const one = await nodes.node('one', { port: proxy.port });
    const room = await nodes.room();
    proxy.setMode('blackhole');
    const held = one.presence.hold(room, 'ann', '{}', false);
    await expect(held).rejects.toMatchObject({ code: 'unknown_outcome' });
    proxy.setMode('pass');
    await until(() => one.log.saying('beats reach Redis again').length > 0, 'the link is back');
    await twoBeats();
    expect(await nodes.users(room)).toEqual([]);
  });
});

describe('reconcile', () => {
  it('does not drop a user who is held while it works', async () => {
    const one = await nodes.node('one');
    const room = await nodes.room();
    const users = Array.from({ length: 300 }, (_, number) => `user ${number}`);
    await Promise.all(users.map((user) => one.presence.hold(room, user, '{}', false)));
    // The node knew of nobody when it asked, and all come at once.
    const reconciled = one.presence.reconcile(room, new Set());
    await Promise.all(users.map((user) => one.presence.hold(room, user, '{}', false)));
    await reconciled;
    expect(await nodes.users(room)).toEqual(users.toSorted());
  });

  it('drops strangers by the hundred, page by page', async () => {
    const one = await nodes.node('one');
    const room = await nodes.room();
    const users = Array.from({ length: 900 }, (_, number) => `user ${number}`);
    await Promise.all(users.map((user) => one.presence.hold(room, user, '{}', false)));
    await one.presence.reconcile(room, new Set(['user 7']));
    expect(await nodes.users(room)).toEqual(['user 7']);
    expect((await nodes.observer.left(room)).toSorted()).toEqual(
      users.filter((user) => user !== 'user 7').toSorted(),
    );
  });

  it('lets a former incarnation go only where the present one holds everybody', async () => {
    const one = await nodes.node('one', { settings: { leaseMs: 20_000 } });
    const room = await nodes.room();
    for (const user of ['ann', 'bob']) await one.presence.hold(room, user, '{}', false);
    const [former = ''] = (await nodes.beats()).keys();
    for (const partition of [0, nodes.keys.partitionOf(room)])
      await nodes.redis.del(nodes.keys.live(partition));
    await until(() => one.rebuilds > 0, 'it is fenced');
    const both = new Set(['ann', 'bob']);
    await one.presence.hold(room, 'ann', '{}', false);
    await one.presence.reconcile(room, both);
    expect(await nodes.redis.hkeys(nodes.keys.presence(room, former))).toHaveLength(2);
    expect(await nodes.users(room)).toEqual(['ann', 'bob']);
    await one.presence.hold(room, 'bob', '{}', false);
    await one.presence.reconcile(room, both);
    expect(await nodes.redis.exists(nodes.keys.presence(room, former))).toBe(0);
    expect(await nodes.users(room)).toEqual(['ann', 'bob']);
    expect(await nodes.observer.left(room)).toEqual([]);
  });

  it('lets a former incarnation go also where its lease still runs in the partition of the room', async () => {
    const one = await nodes.node('one', { settings: { leaseMs: 20_000 } });
    const [room, elsewhere] = [await nodes.room('r1'), await nodes.room('r2')];
    expect(nodes.keys.partitionOf(room)).not.toBe(nodes.keys.partitionOf(elsewhere));
    for (const user of ['ann', 'bob']) await one.presence.hold(room, user, '{}', false);
    const [former = ''] = (await nodes.beats()).keys();
    await nodes.redis.del(nodes.keys.live(nodes.keys.partitionOf(elsewhere)));
    await until(() => one.rebuilds > 0, 'it is fenced');
    expect((await nodes.beats(nodes.keys.partitionOf(room))).has(former)).toBe(true);
    await one.presence.hold(room, 'ann', '{}', false);
    await one.presence.reconcile(room, new Set(['ann']));
    expect(await nodes.users(room)).toEqual(['ann']);
    await until(async () => (await nodes.observer.left(room)).length > 0, 'who is not here any more leaves');
    expect(await nodes.observer.left(room)).toEqual(['bob']);
    expect(await nodes.redis.exists(nodes.keys.presence(room, former))).toBe(0);
  });

  it('takes out holders that do not exist, page by page, and keeps those of others', async () => {
    const [one, two] = [await nodes.node('one'), await nodes.node('two')];
    const room = await nodes.room();
    await one.join(room, 'ann');
    await two.join(room, 'bob');
    const ghosts = Array.from({ length: 1_000 }, (_, number) => `ghost ${number}`);
    const entry = 'nobody.00\n1\n{}';
    await nodes.redis.hset(nodes.keys.members(room), ...ghosts.flatMap((ghost) => [ghost, entry]));
    await one.presence.reconcile(room, new Set(['ann']));
    await until(async () => (await nodes.observer.left(room)).length >= ghosts.length, 'the ghosts leave');
    expect((await nodes.observer.left(room)).toSorted()).toEqual(ghosts.toSorted());
    expect(await nodes.users(room)).toEqual(['ann', 'bob']);
  });
});

describe('countConnections', () => {
  it('sums over three nodes, and forgets one that died', async () => {
    const [one, two, three] = [await nodes.node('one'), await nodes.node('two'), await nodes.node('three')];
    expect(await one.presence.countConnections('ann', 1)).toBe(1);
    expect(await two.presence.countConnections('ann', 2)).toBe(3);
    expect(await three.presence.countConnections('ann', 4)).toBe(7);
    expect(await three.presence.countConnections('bob', 1)).toBe(1);
    expect(await two.presence.countConnections('ann', 0)).toBe(5);
    three.die();
    await until(async () => (await one.presence.countConnections('ann', 1)) === 1, 'the dead count no more');
    expect(await two.presence.countConnections('ann', 2)).toBe(3);
  });
});
