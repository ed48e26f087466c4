/** When a node beats, when it takes another name, and what it then asks to be written again. Time is a fake clock's. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { FORMER_MAX } from '../../../src/broker/redis/former-incarnations.ts';
import { createKeys, PARTITIONS } from '../../../src/broker/redis/keys.ts';
import { NodeLease, type RebuildCause, SWEEP_MS } from '../../../src/broker/redis/node-lease.ts';
import { PresenceScripts } from '../../../src/broker/redis/presence-scripts.ts';
import { createFakeClock, createSeededRandom, type FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { createScriptedCommands, type ScriptedCommands, type Sent } from '../../support/scripted-commands.ts';

const settings = { leaseMs: 10_000, heartbeatMs: 2_000, presenceHoldMs: 5_000, metaTtlS: 60, inboxTtlS: 600 };
/** The longest time between two beats. */
const BEAT_MS = 2_200;

let clock: FakeClock;
let commands: ScriptedCommands;
let lease: NodeLease;
let rebuilds: RebuildCause[];
let beaten: number;
const keys = createKeys('t:');
let logger = createRecordingLogger();

beforeEach(() => {
  clock = createFakeClock();
  commands = createScriptedCommands();
  logger = createRecordingLogger();
  rebuilds = [];
  beaten = 0;
  const parts = { commands, settings, clock, random: createSeededRandom(7), logger };
  lease = new NodeLease({ ...parts, scripts: new PresenceScripts({ ...parts, keys }), nodeName: 'n1' });
});

afterEach(async () => {
  commands.answer(() => undefined);
  await lease.stop();
  expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

async function start(): Promise<void> {
  lease.start({ rebuild: (cause) => rebuilds.push(cause), beaten: () => void (beaten += 1) });
  await settle();
}

/** Lets answers arrive without moving time. */
function settle(): Promise<void> {
  return clock.advanceAsync(0);
}

function beats(from = 0): Sent[] {
  return commands.sentOf('heartbeat', from);
}

/** `incarnation registers`, once for each beat. */
function beatKinds(from = 0): string[] {
  const told = beats(from).map(({ args }) => `${String(args[0])} ${String(args[1])} ${String(args[3])}`);
  return told.filter((one, index) => one !== told[index - 1]);
}

function refuse(partition: number): (sent: Sent) => unknown {
  return ({ name, keys: [live] }) =>
    name === 'heartbeat' && live === keys.live(partition) ? [0, 1, 'aaaaaaaaaaaa'] : undefined;
}

describe('the first lease', () => {
  it('is registered in every partition in one turn, under the node name and a token', async () => {
    lease.start({ rebuild: (cause) => rebuilds.push(cause), beaten: () => void (beaten += 1) });
    expect(new Set(beats().map(({ keys: [live] }) => live)).size).toBe(PARTITIONS);
    expect(beats()).toHaveLength(PARTITIONS);
    expect(lease.writable()).toBeUndefined();
    await settle();
    expect(lease.incarnation).toMatch(/^n1\.[0-9a-f]{20}$/);
    expect(lease.writable()).toBe(lease.incarnation);
    expect(beatKinds()).toEqual([`${lease.incarnation} 1 0`]);
    expect(beaten).toBe(1);
  });

  it('waits until Redis can be used, then beats at once', async () => {
    commands.setUsable(false);
    await start();
    await clock.advanceAsync(60_000);
    expect(commands.sent).toEqual([]);
    commands.setUsable(true);
    expect(beats()).toHaveLength(PARTITIONS);
  });

  it('asks for a rebuild only where writes were refused before it', async () => {
    commands.setUsable(false);
    await start();
    expect(await lease.soonWritable()).toBeUndefined();
    commands.setUsable(true);
    await settle();
    expect(rebuilds).toEqual(['registered']);
  });

  it('is waited for by writes that come while it is registered', async () => {
    lease.start({ rebuild: (cause) => rebuilds.push(cause), beaten: () => undefined });
    expect(lease.writable()).toBeUndefined();
    expect(await lease.soonWritable()).toBe(lease.incarnation);
    const before = lease.incarnation;
    lease.fenced(before);
    expect(lease.writable()).toBeUndefined();
    expect(await lease.soonWritable()).toBe(lease.incarnation);
    expect(lease.incarnation).not.toBe(before);
    expect(rebuilds).toEqual(['fenced']);
  });

  it('is silent where nothing was refused', async () => {
    await start();
    await clock.advanceAsync(10 * BEAT_MS);
    expect(rebuilds).toEqual([]);
  });

  it('is not taken while one partition is missing, and is asked for again with the next beat', async () => {
    let failing = true;
    commands.answer(({ name, keys: [live] }) => {
      if (failing && name === 'heartbeat' && live === keys.live(99))
        throw new BrokerError('unavailable', 'no');
    });
    await start();
    expect(lease.writable()).toBeUndefined();
    expect(lease.fresh).toBe(false);
    expect(beaten).toBe(0);
    failing = false;
    await clock.advanceAsync(BEAT_MS);
    expect(lease.writable()).toBe(lease.incarnation);
    expect(beatKinds()).toEqual([`${lease.incarnation} 1 0`]);
    expect(logger.saying('beats fail')).toHaveLength(1);
    expect(logger.saying('reach Redis again')).toHaveLength(1);
  });

  it('takes yet another name where peers ended it while it was still registering', async () => {
    let gone = false;
    commands.answer((sent) => {
      if (sent.name !== 'heartbeat') return undefined;
      if (sent.keys[0] === keys.live(5) && !gone) throw new BrokerError('unavailable', 'no');
      return gone && String(sent.args[0]) === first ? [0, 1, 'aaaaaaaaaaaa'] : undefined;
    });
    const first = lease.incarnation;
    await start();
    gone = true;
    await clock.advanceAsync(3 * BEAT_MS);
    expect(lease.incarnation).not.toBe(first);
    expect(lease.writable()).toBe(lease.incarnation);
    // It never held anybody: nothing to release.
    expect([...lease.former]).toEqual([]);
  });
});

describe('beats', () => {
  it('renew every partition every two seconds, a tenth earlier or later', async () => {
    await start();
    const from = commands.sent.length;
    const times: number[] = [];
    for (let turn = 0; turn < 400; turn += 1) {
      const before = beats(from).length;
      await clock.advanceAsync(50);
      if (beats(from).length > before) times.push(clock.now());
    }
    expect(beatKinds(from)).toEqual([`${lease.incarnation} 0 0`]);
    expect(beats(from)).toHaveLength(times.length * PARTITIONS);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_750);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2_250);
    expect(new Set(gaps).size, 'jitter').toBeGreaterThan(1);
  });

  it('do not pile up behind a Redis that does not answer', async () => {
    await start();
    let answer: (() => void) | undefined;
    const silence = new Promise<void>((resolve) => {
      answer = resolve;
    });
    commands.answer(() => silence);
    await clock.advanceAsync(BEAT_MS);
    expect(beats()).toHaveLength(2 * PARTITIONS);
    await clock.advanceAsync(20 * BEAT_MS);
    for (let again = 0; again < 10; again += 1) lease.writable();
    expect(beats()).toHaveLength(2 * PARTITIONS);
    commands.answer(() => undefined);
    answer?.();
    await settle();
    await clock.advanceAsync(1);
    expect(beats()).toHaveLength(3 * PARTITIONS);
  });

  it('pause while Redis is away, and come at once when it is back', async () => {
    await start();
    commands.setUsable(false);
    const from = commands.sent.length;
    await clock.advanceAsync(10 * BEAT_MS);
    expect(commands.sent).toHaveLength(from);
    expect(lease.fresh).toBe(false);
    commands.setUsable(true);
    expect(beats(from)).toHaveLength(PARTITIONS);
    await settle();
    expect(lease.fresh).toBe(true);
    expect(rebuilds).toEqual([]);
  });

  it('leave ahead of a write where the last one is older than half a lease', async () => {
    await start();
    const scripts = new PresenceScripts({ commands, keys, settings });
    const from = commands.sent.length;
    // A process that stood still: time went by and no timer ran.
    const moving = clock.now.bind(clock);
    clock.now = () => moving() + 6_000;
    expect(lease.fresh).toBe(false);
    await scripts.hold(lease.writable() ?? '', 'room', 'ann', '{}', false);
    clock.now = moving;
    expect(commands.sent.slice(from).map(({ name }) => name)).toEqual([
      ...Array.from({ length: PARTITIONS }, () => 'heartbeat'),
      'hold',
    ]);
  });

  it('say so where this process stood still', async () => {
    await start();
    const moving = clock.now.bind(clock);
    let standingMs = 0;
    clock.now = () => moving() + standingMs;
    await clock.advanceAsync(1_000);
    standingMs = 4_000;
    await clock.advanceAsync(BEAT_MS);
    expect(logger.saying('stood still')).toEqual([]);
    standingMs = 12_000;
    await clock.advanceAsync(BEAT_MS);
    expect(logger.saying('stood still')).toHaveLength(1);
    clock.now = moving;
  });

  it('ask for a sweep every five minutes, under the same name', async () => {
    await start();
    const before = lease.incarnation;
    await clock.advanceAsync(SWEEP_MS * 0.89);
    expect(rebuilds).toEqual([]);
    await clock.advanceAsync(SWEEP_MS * 0.22);
    expect(rebuilds).toEqual(['sweep']);
    await clock.advanceAsync(SWEEP_MS * 1.1 + BEAT_MS);
    expect(rebuilds).toEqual(['sweep', 'sweep']);
    expect(lease.incarnation).toBe(before);
  });
});

describe('fencing', () => {
  it('takes a new name where one partition lost the lease, and registers it everywhere before anything is written', async () => {
    await start();
    const before = lease.incarnation;
    commands.answer((sent) => (sent.args[0] === before ? refuse(17)(sent) : undefined));
    const from = commands.sent.length;
    await clock.advanceAsync(BEAT_MS);
    expect(lease.incarnation).not.toBe(before);
    expect(beatKinds(from)).toEqual([`${before} 0 0`, `${lease.incarnation} 1 0`]);
    expect(rebuilds).toEqual(['fenced']);
    expect([...lease.former]).toEqual([before]);
    expect(logger.saying('fenced')).toMatchObject([{ level: 'warn' }]);
  });

  it('happens once for any number of writes that were refused', async () => {
    await start();
    const before = lease.incarnation;
    for (let refused = 0; refused < 100; refused += 1) lease.fenced(before);
    const after = lease.incarnation;
    expect(lease.writable()).toBeUndefined();
    await settle();
    for (let refused = 0; refused < 100; refused += 1) lease.fenced(before);
    await settle();
    expect(lease.incarnation).toBe(after);
    expect(lease.writable()).toBe(after);
    expect(rebuilds).toEqual(['fenced']);
    expect(beatKinds()).toEqual([`${before} 1 0`, `${after} 1 0`]);
  });

  it('refuses writes, and asks for no rebuild, until the new name is registered', async () => {
    await start();
    const before = lease.incarnation;
    commands.answer(({ name }) => {
      if (name === 'heartbeat') throw new BrokerError('unknown_outcome', 'the link broke');
    });
    lease.fenced(before);
    await clock.advanceAsync(3 * BEAT_MS);
    expect(lease.writable()).toBeUndefined();
    expect(rebuilds).toEqual([]);
    commands.answer(() => undefined);
    await clock.advanceAsync(BEAT_MS);
    expect(lease.writable()).toBe(lease.incarnation);
    expect(rebuilds).toEqual(['fenced']);
  });

  it('is overtaken by no answer about the former name', async () => {
    await start();
    const before = lease.incarnation;
    let release: (() => void) | undefined;
    const late = new Promise<void>((resolve) => {
      release = resolve;
    });
    commands.answer(async (sent) => {
      if (sent.name !== 'heartbeat' || sent.args[0] !== before) return undefined;
      await late;
      return [0, 1, 'aaaaaaaaaaaa'];
    });
    await clock.advanceAsync(BEAT_MS);
    lease.fenced(before);
    const after = lease.incarnation;
    release?.();
    await settle();
    expect(lease.incarnation).toBe(after);
    expect(rebuilds).toEqual(['fenced']);
  });

  it('a lease later gives the former name to the reapers and asks for everything once more', async () => {
    await start();
    const before = lease.incarnation;
    lease.fenced(before);
    await settle();
    expect(lease.settled).toBe(false);
    await clock.advanceAsync(settings.leaseMs - 1);
    expect(commands.sentOf('SADD')).toEqual([]);
    await clock.advanceAsync(BEAT_MS + 1);
    expect(commands.sentOf('SADD').map(({ keys: [key] }) => key)).toEqual(
      Array.from({ length: PARTITIONS }, (_, partition) => keys.dead(partition)),
    );
    expect(commands.sentOf('SADD').every(({ args }) => args[0] === before)).toBe(true);
    expect([...lease.former]).toEqual([]);
    expect(lease.settled).toBe(true);
    expect(rebuilds).toEqual(['fenced', 'sweep']);
  });

  it('keeps a former name that could not be given away, and tries again', async () => {
    await start();
    lease.fenced(lease.incarnation);
    await settle();
    commands.answer(({ name, keys: [dead] }) => {
      if (name === 'SADD' && dead === keys.dead(3))
        throw new BrokerError('unknown_outcome', 'the link broke');
    });
    await clock.advanceAsync(settings.leaseMs + BEAT_MS);
    expect(lease.former.size).toBe(1);
    expect(lease.settled).toBe(false);
    commands.answer(() => undefined);
    await clock.advanceAsync(settings.leaseMs + BEAT_MS);
    expect(lease.former.size).toBe(0);
    expect(lease.settled).toBe(true);
  });

  it('remembers a limited number of former names, the oldest going to the reapers', async () => {
    await start();
    const first = lease.incarnation;
    for (let fencing = 0; fencing <= FORMER_MAX; fencing += 1) {
      lease.fenced(lease.incarnation);
      await settle();
    }
    expect(lease.former.size).toBe(FORMER_MAX);
    expect(lease.former.has(first)).toBe(false);
    expect(commands.sentOf('SADD').filter(({ args }) => args[0] === first)).toHaveLength(PARTITIONS);
  });
});

describe('another life of Redis', () => {
  it('asks for a rebuild once, under the same name', async () => {
    await start();
    const before = lease.incarnation;
    commands.answer(({ name }) => (name === 'heartbeat' ? [1, 1, 'bbbbbbbbbbbb'] : undefined));
    await clock.advanceAsync(4 * BEAT_MS);
    expect(rebuilds).toEqual(['term']);
    expect(lease.incarnation).toBe(before);
    expect(lease.settled).toBe(true);
  });

  it('is noticed where it concerns one partition, even while another does not answer', async () => {
    await start();
    commands.answer(({ name, keys: [live] }) => {
      if (name !== 'heartbeat') return undefined;
      if (live === keys.live(4)) throw new BrokerError('unavailable', 'this shard is away');
      return live === keys.live(3) ? [1, 1, 'bbbbbbbbbbbb'] : undefined;
    });
    await clock.advanceAsync(4 * BEAT_MS);
    expect(rebuilds).toEqual(['term']);
  });
});

describe('stop', () => {
  it('ends with a beat that looks old, behind the one under way', async () => {
    await start();
    let release: (() => void) | undefined;
    const late = new Promise<void>((resolve) => {
      release = resolve;
    });
    commands.answer(() => late);
    await clock.advanceAsync(BEAT_MS);
    const stopped = lease.stop();
    await settle();
    expect(beatKinds().at(-1)).toBe(`${lease.incarnation} 0 0`);
    commands.answer(() => undefined);
    release?.();
    await stopped;
    expect(beatKinds().at(-1)).toBe(`${lease.incarnation} 0 5000`);
    expect(beats()).toHaveLength(3 * PARTITIONS);
    const from = commands.sent.length;
    expect(lease.writable()).toBeUndefined();
    await clock.advanceAsync(SWEEP_MS);
    await lease.stop();
    expect(commands.sent).toHaveLength(from);
    expect(clock.pendingTimers()).toBe(0);
  });

  it('sends nothing where Redis is away: the lease runs out', async () => {
    await start();
    commands.setUsable(false);
    const from = commands.sent.length;
    await lease.stop();
    commands.setUsable(true);
    expect(commands.sent).toHaveLength(from);
  });

  it('back-dates nothing where the hold is longer than the lease', async () => {
    const parts = { commands, clock, random: createSeededRandom(9), logger };
    const long = { ...settings, presenceHoldMs: 30_000 };
    const scripts = new PresenceScripts({ commands, keys, settings: long });
    const other = new NodeLease({ ...parts, settings: long, scripts, nodeName: 'n2' });
    other.start({ rebuild: () => undefined, beaten: () => undefined });
    await settle();
    await other.stop();
    expect(beatKinds().at(-1)).toBe(`${other.incarnation} 0 0`);
  });
});
