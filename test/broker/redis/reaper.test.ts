/** Who cleans up behind the dead, when it may, and that each user leaves once however many do it at a time. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { createKeys, PARTITIONS } from '../../../src/broker/redis/keys.ts';
import { PresenceScripts, REAP_USERS } from '../../../src/broker/redis/presence-scripts.ts';
import { JOBS_AT_ONCE_MAX, Reaper } from '../../../src/broker/redis/reaper.ts';
import { createFakeClock, createSeededRandom, type FakeClock } from '../../support/fake-clock.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { createPresenceNodes, type PresenceNodes, reapedUsers, until } from '../../support/presence-nodes.ts';
import { createRecordingLogger, type RecordingLogger } from '../../support/recording-logger.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { createScriptedCommands, type ScriptedCommands, type Sent } from '../../support/scripted-commands.ts';

describe('a run of the reaper', () => {
  const keys = createKeys('t:');
  let clock: FakeClock;
  let commands: ScriptedCommands;
  let logger: RecordingLogger;
  let lease: { fresh: boolean; incarnation: string; former: Set<string> };
  let reaper: Reaper;

  beforeEach(() => {
    clock = createFakeClock();
    commands = createScriptedCommands();
    logger = createRecordingLogger();
    lease = { fresh: true, incarnation: 'me.00', former: new Set() };
    const settings = { leaseMs: 10_000, heartbeatMs: 2_000, metaTtlS: 60, inboxTtlS: 600 };
    const scripts = new PresenceScripts({ commands, keys, settings });
    reaper = new Reaper({ scripts, lease, settings, clock, random: createSeededRandom(5), logger });
  });

  /** `dead` in one partition, holding somebody in these rooms until each is reaped. */
  function died(dead: string, partition: number, rooms: string[], reap?: (sent: Sent) => unknown): void {
    const left = new Set(rooms);
    commands.answer(async (sent) => {
      if (sent.name === 'expire') return sent.keys[0] === keys.live(partition) ? [dead] : [];
      if (sent.name === 'SSCAN') {
        return ['0', sent.keys[0] === keys.rooms(partition, dead) ? [...left] : []];
      }
      if (sent.name !== 'reap') return undefined;
      const answer = await reap?.(sent);
      if (answer !== undefined) return answer;
      left.delete(String(sent.args[1]));
      return ['done', 3];
    });
  }

  /** A room of the partition. */
  function roomOf(partition: number, number: number): string {
    for (let name = number * 1_000; ; name += 1) {
      if (keys.partitionOf(`r${name}`) === partition) return `r${name}`;
    }
  }

  async function run(): Promise<void> {
    reaper.afterBeat();
    await clock.advanceAsync(500);
  }

  it('asks every partition once, within a quarter of a beat after it', async () => {
    reaper.afterBeat();
    reaper.afterBeat();
    expect(commands.sent).toEqual([]);
    await clock.advanceAsync(500);
    expect(commands.sentOf('expire')).toHaveLength(PARTITIONS);
    expect(commands.sent.every(({ args }) => args[0] === 'me.00' && args[1] === '10000')).toBe(true);
    await run();
    expect(commands.sentOf('expire')).toHaveLength(2 * PARTITIONS);
  });

  it('does nothing while its own lease is not fresh', async () => {
    lease.fresh = false;
    await run();
    expect(commands.sent).toEqual([]);
  });

  it('goes no further once its own lease is not fresh', async () => {
    const rooms = [roomOf(9, 1), roomOf(9, 2), roomOf(9, 3)];
    died('one.11', 9, rooms, () => {
      lease.fresh = false;
      return undefined;
    });
    await run();
    expect(commands.sentOf('reap')).toHaveLength(1);
    expect(commands.sentOf('SREM')).toEqual([]);
    lease.fresh = true;
    await run();
    expect(commands.sentOf('reap')).toHaveLength(2);
  });

  it('reaps room by room, page by page, and ends the dead one when nothing is left', async () => {
    const rooms = [roomOf(9, 1), roomOf(9, 2)];
    let pages = 0;
    died('one.11', 9, rooms, ({ args }) => {
      if (args[1] !== rooms[0] || pages === 2) return undefined;
      pages += 1;
      return ['more', REAP_USERS];
    });
    await run();
    expect(commands.sentOf('reap')).toHaveLength(4);
    expect(commands.sentOf('reap').every(({ args }) => args[4] === '500' && args[5] === 'node_lost')).toBe(
      true,
    );
    expect(commands.sentOf('SREM')).toMatchObject([{ keys: [keys.dead(9)], args: ['one.11'] }]);
    const fields = { incarnation: 'one.11', rooms: 2, users: 2 * REAP_USERS + 6 };
    expect(logger.lines).toEqual([{ level: 'info', message: 'reaped a dead node', fields }]);
  });

  it('ends one that held nobody', async () => {
    died('one.11', 9, []);
    await run();
    expect(commands.sentOf('SREM')).toHaveLength(1);
    expect(logger.saying('reaped')).toMatchObject([{ fields: { rooms: 0, users: 0 } }]);
  });

  it('is silent about one that others finished', async () => {
    died('one.11', 9, [roomOf(9, 1)], () => ['done', 0]);
    await run();
    expect(logger.saying('reaped')).toEqual([]);
  });

  it('leaves one alone whose lease runs after all, and does not look at it for ever', async () => {
    died('one.11', 9, [roomOf(9, 1), roomOf(9, 2)], () => ['alive', 0]);
    await run();
    expect(commands.sentOf('reap')).toHaveLength(1);
    expect(commands.sentOf('SREM')).toEqual([]);
    commands.answer(({ name, keys: [key] }) => {
      if (name === 'expire') return key === keys.live(9) ? ['one.11'] : [];
      return name === 'SSCAN' ? ['0', [roomOf(9, 1)]] : undefined;
    });
    const from = commands.sent.length;
    await run();
    expect(commands.sentOf('reap', from).length).toBeLessThan(10);
  });

  it('leaves its own former incarnations to the rebuild', async () => {
    lease.former.add('me.99');
    died('me.99', 9, [roomOf(9, 1)]);
    await run();
    expect(commands.sentOf('reap')).toEqual([]);
    lease.former.clear();
    await run();
    expect(commands.sentOf('reap')).toHaveLength(1);
  });

  it('does a limited number of things at a time', async () => {
    let underWay = 0;
    let most = 0;
    const gates: (() => void)[] = [];
    commands.answer(async ({ name, keys: [key] }) => {
      if (name === 'expire') return ['one.11'];
      if (name === 'SSCAN') return ['0', [`room of ${String(key)}`]];
      if (name !== 'reap') return undefined;
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise<void>((resolve) => gates.push(resolve));
      underWay -= 1;
      return ['alive', 0];
    });
    await run();
    expect(most).toBe(JOBS_AT_ONCE_MAX);
    // A beat meanwhile begins no second run.
    await run();
    expect(commands.sentOf('expire')).toHaveLength(PARTITIONS);
    while (gates.length > 0) {
      gates.shift()?.();
      await clock.advanceAsync(0);
    }
    expect(most).toBe(JOBS_AT_ONCE_MAX);
    expect(commands.sentOf('reap')).toHaveLength(PARTITIONS);
  });

  it('that is interrupted leaves the rest to the next', async () => {
    died('one.11', 9, [roomOf(9, 1)], () => {
      throw new BrokerError('unknown_outcome', 'the link broke');
    });
    await run();
    expect(logger.saying('interrupted')).toHaveLength(1);
    died('one.11', 9, [roomOf(9, 1)]);
    await run();
    expect(commands.sentOf('SREM')).toHaveLength(1);
  });

  it('ends with the step under way when the node stops', async () => {
    let release: (() => void) | undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    died('one.11', 9, [roomOf(9, 1), roomOf(9, 2)], () => gate);
    await run();
    const stopped = reaper.stop();
    release?.();
    await stopped;
    expect(commands.sentOf('reap')).toHaveLength(1);
    await run();
    expect(commands.sentOf('expire')).toHaveLength(PARTITIONS);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe('several reapers', () => {
  let server: RedisServer;
  let nodes: PresenceNodes;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    nodes = await createPresenceNodes(server);
  });
  afterEach(() => nodes?.close());

  it('take a room of 1,700 users in pages, each user once, and leave those held elsewhere', async () => {
    const one = await nodes.node('one');
    const two = await nodes.node('two');
    const others = [two, await nodes.node('three'), await nodes.node('four')];
    const room = await nodes.room();
    const users = Array.from({ length: 1_700 }, (_, number) => `user ${number}`);
    await Promise.all(users.map((user) => one.join(room, user)));
    const kept = users.filter((_, number) => number % 17 === 0);
    await Promise.all(kept.map((user) => two.join(room, user)));
    one.die();
    await until(async () => (await nodes.traces()).length === 3, 'only the living hold somebody');
    await until(async () => (await nodes.observer.left(room)).length >= 1_600, 'everybody else leaves');
    const pages = (await nodes.observer.changes(room)).filter(({ kind }) => kind === 'left');
    expect(pages.length).toBeGreaterThanOrEqual(4);
    expect((await nodes.observer.left(room)).toSorted()).toEqual(
      users.filter((_, number) => number % 17 !== 0).toSorted(),
    );
    expect(await nodes.users(room)).toEqual(kept.toSorted());
    const counted = () => others.reduce((sum, node) => sum + reapedUsers(node), 0);
    await until(() => counted() === 1_700, 'their logs count each user once');
  });

  it('finish what one of them left half done when it died', async () => {
    const proxy = await startFaultProxy(server.port);
    try {
      const one = await nodes.node('one');
      const halfway = await nodes.node('halfway', { port: proxy.port });
      const rooms = await Promise.all(Array.from({ length: 60 }, () => nodes.room()));
      await Promise.all(rooms.flatMap((room) => ['ann', 'bob'].map((user) => one.join(room, user))));
      const left = async (): Promise<string[]> => {
        const told = await Promise.all(rooms.map((room) => nodes.observer.left(room)));
        return told.flatMap((users, index) => users.map((user) => `${user} from ${rooms[index]}`));
      };
      // Slow enough to die in the middle.
      proxy.setMode({ delayMs: 15 });
      one.die();
      await until(async () => (await left()).length > 0, 'the first users leave');
      halfway.die();
      const everybody = rooms.flatMap((room) => [`ann from ${room}`, `bob from ${room}`]);
      expect((await left()).length).toBeLessThan(everybody.length);
      await nodes.node('three');
      await until(async () => (await nodes.traces()).length === 0, 'nothing is left of either');
      expect((await left()).toSorted()).toEqual(everybody.toSorted());
    } finally {
      await proxy.close();
    }
  });
});
