import { createServer, connect, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadScripts } from '../../../src/broker/redis/scripts.ts';
import type { Position } from '../../../src/protocol/position.ts';
import { bodyOf, nameIn, startBroker, watchRejections, type BrokerRig } from '../../support/broker-rig.ts';
import { isSubscriber, startFaultProxy, type FaultProxy } from '../../support/fault-proxy.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

let server: RedisServer;
let client: Redis;
let proxy: FaultProxy;
let rejections: ReturnType<typeof watchRejections>;
const printed = vi.spyOn(console, 'error');
beforeAll(async () => {
  server = await startRedis();
  client = await server.client();
  rejections = watchRejections();
});
afterAll(async () => {
  await server.stop();
  rejections.stop();
  expect(rejections.seen).toEqual([]);
  // ioredis prints what is emitted as `error` to nobody.
  expect(printed.mock.calls).toEqual([]);
});

const rigs: BrokerRig[] = [];
let prefixes = 0;
beforeEach(async () => {
  proxy = await startFaultProxy(server.port);
});
afterEach(async () => {
  proxy.setMode('pass');
  for (const { broker } of rigs.splice(0)) await broker.stop();
  await proxy.close();
});

async function started(
  settings: Parameters<typeof startBroker>[1] = {},
  port = proxy.port,
): Promise<BrokerRig> {
  prefixes += 1;
  const rig = startBroker(port, { redisPrefix: `broker${prefixes}:`, ...settings });
  rigs.push(rig);
  await rig.status('up');
  return rig;
}

function publish({ broker }: BrokerRig, room: string, name: string): Promise<Position> {
  return broker.publish({ room, lane: 'lane', user: 'ann', body: bodyOf(name).toString() });
}

async function subscribers(rig: BrokerRig, room: string): Promise<number> {
  const [, count] = (await client.pubsub('NUMSUB', rig.keys.channel(room))) as [string, number];
  return count;
}

function count(rig: BrokerRig, kind: string): number {
  return rig.heard.heard.filter((event) => event.kind === kind).length;
}

/** Names heard in a room since `from`, in order, with what was missed read from the store: what a node's relay does. */
async function mended(rig: BrokerRig, room: string, since: Position): Promise<string[]> {
  const read = await rig.broker.read(room, since, 20_000);
  if (read.verdict !== 'ok') throw new Error(`read says ${read.verdict}`);
  const bySeq = new Map(read.entries.map((entry) => [entry.seq, nameIn(entry.body)]));
  for (const { entry } of rig.heard.messages(room)) {
    // Heard and read must be the same message where both have it.
    const kept = bySeq.get(entry.seq);
    if (kept !== undefined) expect(nameIn(entry.body)).toBe(kept);
    else bySeq.set(entry.seq, nameIn(entry.body));
  }
  return [...bySeq.entries()].sort(([a], [b]) => a - b).map(([, name]) => name);
}

describe('a lost subscriber link', () => {
  it('is told, every room comes back, and a read mends what was missed', async () => {
    const rig = await started();
    await rig.broker.subscribe('busy');
    await rig.broker.subscribe('calm');
    const begin = await rig.broker.read('busy', null, 1);
    const names = Array.from({ length: 600 }, (_, index) => `m${index}`);
    let kills = 0;
    for (const [index, name] of names.entries()) {
      if (index % 150 === 75) {
        await rig.heard.until(() => count(rig, 'subscribed') === 2 * kills, 'both rooms again');
        await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
        kills += 1;
      }
      await Promise.all([publish(rig, 'busy', name), delay(1)]);
    }
    await rig.heard.until(() => count(rig, 'subscribed') >= 8, 'both rooms again after each of four losses');

    expect(count(rig, 'linkLost')).toBe(4);
    const kinds = rig.heard.heard.map(({ kind }) => kind).filter((kind) => kind !== 'message');
    expect(kinds).toEqual(['status', ...Array(4).fill(['linkLost', 'subscribed', 'subscribed']).flat()]);
    expect(rig.heard.messages('busy').length).toBeLessThan(600);
    expect(await mended(rig, 'busy', { epoch: begin.epoch, seq: begin.top })).toEqual(names);
    expect(rig.heard.statuses()).toEqual(['up']);
  });

  it('is found by the canary when it is half-open', async () => {
    // The PING would find it too, but not within the three seconds this test allows.
    const rig = await started({ canaryMs: 200, canaryDeadMs: 600, redisDeadlineMs: 5_000 });
    await rig.broker.subscribe('room');
    await delay(300);
    proxy.setMode('blackhole', isSubscriber);
    const from = performance.now();
    await rig.heard.until(() => count(rig, 'linkLost') === 1, 'the loss');
    expect(performance.now() - from).toBeGreaterThan(350);
    expect(performance.now() - from).toBeLessThan(3_000);
    proxy.setMode('pass');
    await rig.heard.until(() => count(rig, 'subscribed') === 1, 'the room again');
    await publish(rig, 'room', 'one');
    await rig.heard.until(() => rig.heard.messages('room').length === 1, 'the message');
    expect(rig.logger.saying('Redis link lost').map(({ fields }) => fields.reason)).toEqual([
      expect.stringMatching(/^no canary was heard for \d+ ms$/),
    ]);
  });

  it('is found by its PING when no canary is sent', async () => {
    const rig = await started({ canaryMs: 600_000, redisDeadlineMs: 300 });
    proxy.setMode('blackhole', isSubscriber);
    await rig.heard.until(() => count(rig, 'linkLost') === 1, 'the loss');
    expect(rig.logger.saying('Redis link lost').map(({ fields }) => [fields.link, fields.reason])).toEqual([
      ['subscriber', 'no answer for 300 ms'],
    ]);
  });

  it('comes back although a SUBSCRIBE was never answered and Redis stayed away for a while', async () => {
    const rig = await started({ redisDeadlineMs: 300 });
    const rooms = Array.from({ length: 700 }, (_, index) => `room${index}`);
    await Promise.all(rooms.map((room) => rig.broker.subscribe(room)));
    // The next connection opens, sends its SUBSCRIBE, and hears nothing.
    proxy.setMode('swallow-replies', isSubscriber);
    proxy.cutOpen(isSubscriber);
    await rig.heard.until(() => count(rig, 'linkLost') === 2, 'the second loss');
    proxy.setMode('cut', isSubscriber);
    await delay(400);
    proxy.setMode('pass');
    await rig.heard.until(() => count(rig, 'subscribed') === rooms.length, 'all rooms again');
    for (const room of ['room0', 'room511', 'room512', 'room699'])
      expect(await subscribers(rig, room)).toBe(1);
    const again = rig.heard.heard.filter((event) => event.kind === 'subscribed').map(({ room }) => room);
    expect(new Set(again)).toEqual(new Set(rooms));
  });
});

describe('subscribing', () => {
  it('creates the room meanwhile, once, so that its first read is answered at once', async () => {
    const rig = await started();
    const nameOf = new Map([...loadScripts().values()].map(({ sha1, name }) => [sha1, name]));
    const asked: (string | undefined)[] = [];
    const monitor = await client.monitor();
    monitor.on('monitor', (_time: string, [command, sha1 = '', , key]: string[]) => {
      if (command === 'EVALSHA' && key === rig.keys.meta('fresh')) asked.push(nameOf.get(sha1));
    });
    await rig.broker.subscribe('fresh');
    await rig.broker.subscribe('fresh');
    const { verdict } = await rig.broker.read('fresh', null, 1);
    expect(verdict).toBe('fresh');
    await vi.waitFor(() => expect(asked).toContain('read'));
    monitor.disconnect();
    expect(asked).toEqual(['init', 'read']);
  });

  it('resolves on the next link when the present one is lost meanwhile', async () => {
    const rig = await started();
    proxy.setMode('swallow-replies', isSubscriber);
    const subscribed = rig.broker.subscribe('room');
    await delay(50);
    expect(await subscribers(rig, 'room')).toBe(1);
    proxy.cutOpen(isSubscriber);
    proxy.setMode('pass');
    await subscribed;
    expect(await subscribers(rig, 'room')).toBe(1);
    // It was never promised before, so its return is the promise itself and no event.
    expect(count(rig, 'subscribed')).toBe(0);
    await publish(rig, 'room', 'one');
    await rig.heard.until(() => rig.heard.messages('room').length === 1, 'the message');
  });

  it('rejects when nothing answers in time, and then the room is not heard', async () => {
    const rig = await started({ redisDeadlineMs: 5_000, canaryDeadMs: 60_000 });
    proxy.setMode({ delayMs: 2_300 }, isSubscriber);
    await expect(rig.broker.subscribe('room')).rejects.toMatchObject({ code: 'unavailable' });
    proxy.setMode('pass');
    await vi.waitFor(async () => expect(await subscribers(rig, 'room')).toBe(0), 2_000);
    await publish(rig, 'room', 'one');
    await rig.broker.subscribe('barrier');
    await publish(rig, 'barrier', 'two');
    await rig.heard.until(() => rig.heard.messages('barrier').length === 1, 'the barrier');
    expect(rig.heard.messages('room')).toEqual([]);
  });

  it('is refused at once while Redis is away', async () => {
    const rig = await started();
    proxy.setMode('cut');
    await rig.status('down');
    const from = performance.now();
    await expect(rig.broker.subscribe('room')).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - from).toBeLessThan(300);
    proxy.setMode('pass');
    await rig.status('up');
    expect(await subscribers(rig, 'room')).toBe(0);
  });

  it('ends where the last call of a turn says, however often rooms are joined and left', async () => {
    const rig = await started();
    const wanted = new Set<string>();
    for (let round = 0; round < 300; round += 1) {
      const room = `room${Math.floor(Math.random() * 5)}`;
      if (Math.random() < 0.5) {
        wanted.add(room);
        rig.broker.subscribe(room).catch(() => undefined);
      } else {
        wanted.delete(room);
        void rig.broker.unsubscribe(room);
      }
      if (Math.random() < 0.3) await delay(0);
    }
    await rig.broker.subscribe('barrier');
    for (let index = 0; index < 5; index += 1) {
      expect(await subscribers(rig, `room${index}`), `room${index}`).toBe(wanted.has(`room${index}`) ? 1 : 0);
    }
  });
});

describe('an outage', () => {
  it('of Redis itself is told as down, then up, with every room subscribed again', async () => {
    const own = await startRedis({ aof: true });
    try {
      const rig = await started({}, own.port);
      await rig.broker.subscribe('room');
      const before = await publish(rig, 'room', 'before');
      await own.kill();
      await rig.status('down');
      expect(rig.broker.health()).toMatchObject({ status: 'down' });
      await expect(rig.broker.read('room', null, 1)).rejects.toMatchObject({ code: 'unavailable' });
      await own.restart();
      await rig.status('up');
      await rig.heard.until(() => count(rig, 'subscribed') >= 1, 'the room again');
      expect(rig.broker.health()).toMatchObject({ status: 'connected' });
      await publish(rig, 'room', 'after');
      const read = await rig.broker.read('room', before, 10);
      expect(read).toMatchObject({ verdict: 'ok', terms: [{ start: before.seq + 1 }] });
      expect(rig.heard.statuses()).toEqual(['up', 'down', 'up']);
      const told = rig.logger.lines.filter(({ level }) => level === 'info' || level === 'warn');
      expect(told.map(({ message }) => message)).toEqual([
        'Redis is up',
        'Redis link lost',
        'Redis link lost',
        'Redis is down: publishes, reads and joins are refused',
        'Redis link works again',
        'Redis link works again',
        'Redis is up',
      ]);
    } finally {
      await own.stop();
    }
  });

  it('of a frozen Redis is an outage too', async () => {
    const own = await startRedis();
    try {
      const rig = await started({ redisDeadlineMs: 300 }, own.port);
      own.pause();
      await rig.status('down');
      own.resume();
      await rig.status('up');
    } finally {
      await own.stop();
    }
  });

  it('before the first connection ends with `up`', async () => {
    proxy.setMode('cut');
    prefixes += 1;
    const rig = startBroker(proxy.port, { redisPrefix: `broker${prefixes}:` });
    rigs.push(rig);
    await expect(publish(rig, 'room', 'one')).rejects.toMatchObject({ code: 'unavailable' });
    await delay(300);
    expect(rig.heard.heard).toEqual([]);
    proxy.setMode('pass');
    await rig.status('up');
    await publish(rig, 'room', 'one');
  });

  it('lets signals reach this node and no other', async () => {
    const one = await started({ redisPrefix: 'signals:' });
    const two = await started({ redisPrefix: 'signals:' }, server.port);
    await Promise.all([one.broker.subscribe('room'), two.broker.subscribe('room')]);
    const names = (rig: BrokerRig) => rig.heard.signals('room').map(({ body }) => nameIn(body));
    one.broker.signal('room', { sender: 'c1', body: bodyOf('both') });
    await one.heard.until(() => names(one).length === 1, 'the signal here');
    await two.heard.until(() => names(two).length === 1, 'the signal there');
    proxy.setMode('cut');
    await one.status('down');
    one.broker.signal('room', { sender: 'c1', body: bodyOf('wave') });
    one.broker.signal('elsewhere', { sender: 'c1', body: bodyOf('wave') });
    expect(names(one)).toEqual(['both', 'wave']);
    expect(one.heard.signals('elsewhere')).toEqual([]);
    proxy.setMode('pass');
    await one.status('up');
    await publish(one, 'room', 'barrier');
    await two.heard.until(() => two.heard.messages('room').length === 1, 'the barrier');
    expect(names(two)).toEqual(['both']);
  });
});

describe('signals while only the subscriber link is gone', () => {
  const names = (rig: BrokerRig) => rig.heard.signals('room').map(({ body }) => nameIn(body));

  // They were published, and the node that sent them could not hear them: members beside the sender missed what
  // members of other nodes were told.
  it('reach the members here as well, whether or not the loss was told yet', async () => {
    const one = await started({ redisPrefix: 'deaf:' });
    const two = await started({ redisPrefix: 'deaf:' }, server.port);
    await Promise.all([one.broker.subscribe('room'), two.broker.subscribe('room')]);
    proxy.setMode('cut', isSubscriber);
    await one.heard.until(() => count(one, 'linkLost') === 1, 'the loss');
    one.broker.signal('room', { sender: 'c1', body: bodyOf('blip') });
    one.broker.signal('elsewhere', { sender: 'c1', body: bodyOf('nobody') });
    await one.heard.until(() => names(one).length === 1, 'the signal here');
    await two.heard.until(() => names(two).length === 1, 'the signal there');
    expect(one.heard.statuses()).toEqual(['up']);

    await one.status('down');
    expect(one.commands.usable).toBe(true);
    one.broker.signal('room', { sender: 'c1', body: bodyOf('down') });
    one.broker.signal('elsewhere', { sender: 'c1', body: bodyOf('nobody') });
    expect(names(one)).toEqual(['blip', 'down']);

    proxy.setMode('pass');
    await one.status('up');
    one.broker.signal('room', { sender: 'c1', body: bodyOf('again') });
    for (const rig of [one, two])
      await rig.heard.until(() => names(rig).includes('again'), 'the last signal');
    expect(names(one)).toEqual(['blip', 'down', 'again']);
    expect(names(two)).toEqual(['blip', 'again']);
    expect(one.heard.signals('elsewhere')).toEqual([]);
  });

  it('never come twice, however often the link is lost and found', async () => {
    const one = await started({ redisPrefix: 'flap:' });
    const two = await started({ redisPrefix: 'flap:' }, server.port);
    await Promise.all([one.broker.subscribe('room'), two.broker.subscribe('room')]);
    const sent = Array.from({ length: 800 }, (_, index) => `s${index}`);
    let cuts = 0;
    for (const [index, name] of sent.entries()) {
      if (index % 100 === 50) {
        await one.heard.until(() => count(one, 'subscribed') === cuts, 'the room again');
        proxy.cutOpen(isSubscriber);
        cuts += 1;
      }
      one.broker.signal('room', { sender: 'c1', body: bodyOf(name) });
      if (index % 2 === 0) await publish(one, 'room', name);
    }
    await two.heard.until(() => names(two).length === sent.length, 'every signal there');
    await one.heard.until(() => count(one, 'subscribed') === cuts, 'the room again');
    one.broker.signal('room', { sender: 'c1', body: bodyOf('end') });
    await one.heard.until(() => names(one).at(-1) === 'end', 'the last signal');
    expect(one.heard.statuses()).toEqual(['up']);
    expect(new Set(names(one)).size).toBe(names(one).length);
    expect(names(one).length).toBeGreaterThan(sent.length / 2);
  });
});

describe('what does not fit together', () => {
  it('is told as a gap when an envelope is of an unknown format, and logged once a minute', async () => {
    const rig = await started();
    await rig.broker.subscribe('room');
    await publish(rig, 'room', 'one');
    for (let index = 0; index < 3; index += 1) await client.publish(rig.keys.channel('room'), '2Mfuture');
    await rig.heard.until(() => count(rig, 'gap') === 3, 'three gaps');
    expect(rig.logger.saying('unknown format')).toHaveLength(1);
    await client.xadd(rig.keys.log('room'), '2-1', 'd', '2future');
    await client.hset(rig.keys.meta('room'), 's', '2');
    const read = await rig.broker.read('room', null, 1);
    expect(await rig.broker.read('room', { epoch: read.epoch, seq: 0 }, 10)).toMatchObject({
      verdict: 'trimmed',
      top: 2,
      entries: [],
    });
  });

  it('is healed as a lost link when a canary was missed', async () => {
    const rig = await started();
    await rig.broker.subscribe('room');
    await vi.waitFor(() => expect(rig.broker.health().latencyMs).toBeGreaterThan(0));
    await publish(rig, 'room', 'one');
    // It came behind the first canary, so the next number is awaited by now.
    await rig.heard.until(() => rig.heard.messages('room').length === 1, 'the message');
    await client.incr(rig.keys.canary());
    await rig.heard.until(() => count(rig, 'subscribed') === 1, 'the room');
    expect(rig.heard.heard.map(({ kind }) => kind)).toEqual(['status', 'message', 'linkLost', 'subscribed']);
  });

  it('is cut when the two links end at different servers', async () => {
    const other = await startRedis();
    // A balancer that sends the second connection to another server, and the rest to the first.
    let connections = 0;
    const balancer = createServer((near) => {
      connections += 1;
      const far = connect(connections === 2 ? other.port : server.port, '127.0.0.1');
      near.on('error', () => far.destroy()).on('close', () => far.destroy());
      far.on('error', () => near.destroy()).on('close', () => near.destroy());
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve));
    try {
      const rig = await started({ canaryDeadMs: 60_000 }, (balancer.address() as AddressInfo).port);
      await rig.broker.subscribe('room');
      await rig.heard.until(() => count(rig, 'subscribed') === 1, 'the room on the right server');
      await publish(rig, 'room', 'one');
      await rig.heard.until(() => rig.heard.messages('room').length === 1, 'the message');
      const reasons = rig.logger.saying('Redis link lost').map(({ fields }) => fields.reason);
      expect(reasons).toEqual(Array(2).fill('the two links ended at different Redis servers'));
    } finally {
      balancer.close();
      await other.stop();
    }
  });
});

/** What a Redis user for roomcast's broker needs; operators copy it from the documentation. */
const LEAST_COMMANDS = [
  // Sent by the node.
  'hello info time ping script|load evalsha multi exec publish subscribe unsubscribe',
  // Called by the scripts.
  'hmget hset hexists xadd xrange xrevrange get set incr expire del',
];

describe('credentials', () => {
  it('need no more than the keys, channels and commands that are used', async () => {
    const commands = LEAST_COMMANDS.join(' ')
      .split(' ')
      .map((command) => `+${command}`);
    await client.call('ACL', 'SETUSER', 'least', 'on', '>pw', '~least:*', '&least:*', '-@all', ...commands);
    const target = { host: '127.0.0.1', port: server.port, username: 'least', password: 'pw' };
    const rig = startBroker(target, { redisPrefix: 'least:' });
    rigs.push(rig);
    await rig.status('up');
    await rig.broker.subscribe('room');
    await Promise.all([publish(rig, 'room', 'one'), publish(rig, 'room', 'two')]);
    rig.broker.signal('room', { sender: 'c1', body: bodyOf('wave') });
    expect(await rig.broker.read('new', null, 1)).toMatchObject({ verdict: 'fresh', top: 0 });
    expect(await rig.broker.history('room', { limit: 1 })).toMatchObject({ seq: 2, more: true });
    await rig.heard.until(() => rig.heard.signals('room').length === 1, 'the signal');
    await rig.broker.unsubscribe('room');
    expect(await subscribers(rig, 'room')).toBe(0);
    await vi.waitFor(() => expect(rig.broker.health().latencyMs).toBeGreaterThan(0));
    const denied = (await client.call('ACL', 'LOG')) as unknown[];
    expect(denied).toEqual([]);
  });

  it('open the door, and are never logged, right or wrong', async () => {
    const own = await startRedis();
    try {
      await (await own.client()).config('SET', 'requirepass', 'sesame-7');
      const target = { host: '127.0.0.1', port: own.port };
      const right = startBroker({ ...target, password: 'sesame-7' });
      const wrong = startBroker({ ...target, username: 'mallory', password: 'sesame-8' });
      rigs.push(right, wrong);
      await right.status('up');
      await right.broker.subscribe('room');
      await publish(right, 'room', 'one');
      await vi.waitFor(() => expect(wrong.logger.lines.length).toBeGreaterThan(10));
      expect(wrong.heard.heard).toEqual([]);
      const logged = JSON.stringify([right.logger.lines, wrong.logger.lines]);
      expect(logged).toContain('WRONGPASS');
      expect(logged).not.toMatch(/sesame|mallory/);
    } finally {
      for (const { broker } of rigs.splice(0)) await broker.stop();
      await own.stop();
    }
  });
});
