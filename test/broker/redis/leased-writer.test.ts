/** What the answer to a write means to who asked for it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { createKeys } from '../../../src/broker/redis/keys.ts';
import { LeasedWriter } from '../../../src/broker/redis/leased-writer.ts';
import { PresenceScripts } from '../../../src/broker/redis/presence-scripts.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createScriptedCommands, type ScriptedCommands } from '../../support/scripted-commands.ts';

const UNAVAILABLE = { name: 'BrokerError', code: 'unavailable' };
const settings = { leaseMs: 10_000, metaTtlS: 60, inboxTtlS: 600, redisDeadlineMs: 2_000 };

let clock: FakeClock;
let commands: ScriptedCommands;
let writer: LeasedWriter;
let fenced: string[];
let lease: {
  incarnation: string;
  registered: boolean;
  writable: () => string | undefined;
  soonWritable: () => Promise<string | undefined>;
  fenced: (name: string) => void;
};

beforeEach(() => {
  clock = createFakeClock();
  commands = createScriptedCommands();
  fenced = [];
  lease = {
    incarnation: 'me.00',
    registered: true,
    writable: () => (lease.registered ? lease.incarnation : undefined),
    soonWritable: async () => lease.writable(),
    fenced: (name) => void fenced.push(name),
  };
  const scripts = new PresenceScripts({ commands, keys: createKeys('t:'), settings });
  writer = new LeasedWriter({ scripts, lease, settings, clock });
});

describe('a write', () => {
  it('resolves to the version, and leaves in the turn of the call', async () => {
    const held = writer.hold('room', 'ann', '{}', true);
    expect(commands.sentOf('hold')).toHaveLength(1);
    expect(await held).toBe(7);
    expect(await writer.drop('room', 'ann', 'kicked')).toBe(7);
  });

  it('that came too late is certainly not applied', async () => {
    commands.answer(() => ['expired']);
    await expect(writer.hold('room', 'ann', '{}', true)).rejects.toMatchObject(UNAVAILABLE);
    expect(fenced).toEqual([]);
  });

  it('that was fenced tells the lease under which name it went', async () => {
    commands.answer(() => ['fenced']);
    await expect(writer.drop('room', 'ann', 'left')).rejects.toMatchObject(UNAVAILABLE);
    expect(fenced).toEqual(['me.00']);
  });

  it('applied under a name this node gave up meanwhile is written again: the state stays, the holder counts for nothing', async () => {
    commands.answer(() => {
      lease.incarnation = 'me.01';
      return ['ok', '7'];
    });
    await expect(writer.hold('room', 'ann', '{}', true)).rejects.toMatchObject({ code: 'unknown_outcome' });
  });

  it('waits for a registration under way, and is refused where there is none', async () => {
    lease.registered = false;
    lease.soonWritable = async () => {
      lease.registered = true;
      return lease.incarnation;
    };
    expect(await writer.hold('room', 'ann', '{}', true)).toBe(7);
    lease.registered = false;
    lease.soonWritable = async () => undefined;
    await expect(writer.hold('room', 'ann', '{}', true)).rejects.toMatchObject(UNAVAILABLE);
    expect(commands.sent).toHaveLength(1);
  });

  it('of unknown outcome rejects when its deadline is over, a certain refusal at once', async () => {
    for (const [code, waitMs] of [
      ['unavailable', 0],
      ['unknown_outcome', settings.redisDeadlineMs],
    ] as const) {
      commands.answer(() => {
        throw new BrokerError(code, 'the link broke');
      });
      let settled = false;
      const held = writer.hold('room', 'ann', '{}', true).catch((error: unknown) => {
        settled = true;
        return error;
      });
      if (waitMs > 0) await clock.advanceAsync(waitMs);
      expect(settled).toBe(false);
      await clock.advanceAsync(5);
      expect(settled).toBe(true);
      expect(await held).toMatchObject({ code });
    }
  });

  it('whose answer cannot be read may have been applied', async () => {
    commands.answer(() => ['ok', 'a version of another release']);
    const held = expect(writer.hold('room', 'ann', '{}', true)).rejects.toMatchObject({
      code: 'unknown_outcome',
    });
    await clock.advanceAsync(settings.redisDeadlineMs + 5);
    await held;
  });
});
