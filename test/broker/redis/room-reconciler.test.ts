/** What happens at the same time as a reconcile; what it does to a room is tested on a real Redis. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createKeys } from '../../../src/broker/redis/keys.ts';
import { LeasedWriter } from '../../../src/broker/redis/leased-writer.ts';
import { PresenceScripts } from '../../../src/broker/redis/presence-scripts.ts';
import { RoomReconciler } from '../../../src/broker/redis/room-reconciler.ts';
import { BrokerError } from '../../../src/broker/broker.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createScriptedCommands, type ScriptedCommands } from '../../support/scripted-commands.ts';

const keys = createKeys('t:');
let clock: FakeClock;
let commands: ScriptedCommands;
let reconciler: RoomReconciler;
let lease: {
  incarnation: string;
  former: Set<string>;
  settled: boolean;
  fenced: (name: string) => void;
  writable: () => string | undefined;
  soonWritable: () => Promise<string | undefined>;
};
let fenced: string[];

beforeEach(() => {
  clock = createFakeClock();
  commands = createScriptedCommands();
  fenced = [];
  lease = {
    incarnation: 'me.00',
    former: new Set(),
    settled: true,
    fenced: (name) => void fenced.push(name),
    writable: () => 'me.00',
    soonWritable: async () => 'me.00',
  };
  const settings = { leaseMs: 10_000, metaTtlS: 60, inboxTtlS: 600, redisDeadlineMs: 2_000 };
  const scripts = new PresenceScripts({ commands, keys, settings });
  const writer = new LeasedWriter({ scripts, lease, settings, clock });
  reconciler = new RoomReconciler({ scripts, writer, lease });
});

/** What Redis believes this node holds in the room. */
function stored(room: string, ...users: string[]): void {
  commands.answer(({ name, keys: [key] }) =>
    name === 'HSCAN' && key === keys.presence(room, 'me.00')
      ? ['0', users.flatMap((user) => [user, '1'])]
      : undefined,
  );
}

function dropped(): string[] {
  return commands.sentOf('drop').map(({ args }) => String(args[1]));
}

describe('a user held while the room is reconciled', () => {
  it('before the drop is sent: is not dropped', async () => {
    stored('room', 'ann', 'bob');
    const done = reconciler.reconcile('room', new Set());
    expect(reconciler.beforeHold('room', 'ann')).toBeUndefined();
    await done;
    expect(dropped()).toEqual(['bob']);
  });

  it('in another room: changes nothing here', async () => {
    stored('room', 'ann');
    const done = reconciler.reconcile('room', new Set());
    void reconciler.beforeHold('other', 'ann');
    await done;
    expect(dropped()).toEqual(['ann']);
  });

  it('while the drop is under way: waits until that can no longer land', async () => {
    stored('room', 'ann');
    const before = commands;
    let held = false;
    const scan = before.sent.length;
    before.answer(({ name }) => {
      if (name === 'HSCAN') return ['0', ['ann', '1']];
      if (name === 'drop') throw new BrokerError('unknown_outcome', 'the link broke');
      return undefined;
    });
    const done = reconciler.reconcile('room', new Set());
    const refused = expect(done).rejects.toMatchObject({ code: 'unknown_outcome' });
    await clock.advanceAsync(0);
    expect(before.sentOf('drop', scan)).toHaveLength(1);
    void reconciler.beforeHold('room', 'ann')?.then(() => {
      held = true;
    });
    expect(reconciler.beforeHold('room', 'bob')).toBeUndefined();
    await clock.advanceAsync(2_000);
    expect(held).toBe(false);
    await clock.advanceAsync(10);
    expect(held).toBe(true);
    await refused;
    expect(reconciler.beforeHold('room', 'ann')).toBeUndefined();
  });

  it('while another look waits for the first: is known to both', async () => {
    stored('room', 'ann');
    const first = reconciler.reconcile('room', new Set(['ann']));
    const second = reconciler.reconcile('room', new Set());
    void reconciler.beforeHold('room', 'ann');
    await Promise.all([first, second]);
    expect(dropped()).toEqual([]);
  });
});

describe('a reconcile', () => {
  it('that is answered `fenced` tells the lease, and rejects', async () => {
    commands.answer(({ name }) => {
      if (name === 'HSCAN') return ['0', ['ann', '1']];
      return name === 'drop' ? ['fenced'] : undefined;
    });
    await expect(reconciler.reconcile('room', new Set())).rejects.toMatchObject({ code: 'unavailable' });
    expect(fenced).toEqual(['me.00']);
    expect(commands.sentOf('audit')).toEqual([]);
  });

  it('judges no other holder before the leases have settled', async () => {
    lease.settled = false;
    await reconciler.reconcile('room', new Set());
    expect(commands.sentOf('audit')).toEqual([]);
    lease.settled = true;
    await reconciler.reconcile('room', new Set());
    expect(commands.sentOf('audit')).toHaveLength(1);
  });

  it('without a lease is refused', async () => {
    lease.writable = () => undefined;
    await expect(reconciler.reconcile('room', new Set())).rejects.toMatchObject({ code: 'unavailable' });
    expect(commands.sent).toEqual([]);
  });
});

describe('a rebuild', () => {
  it('ends with the rooms in which the node held nobody meanwhile', async () => {
    commands.answer(({ name, keys: [key] }) => {
      if (name === 'SSCAN') {
        const partition = ['kept', 'stale', 'late'].filter(
          (room) => key === keys.rooms(keys.partitionOf(room), 'me.00'),
        );
        return ['0', partition];
      }
      return name === 'HSCAN' ? ['0', ['ann', '1']] : undefined;
    });
    await reconciler.rebuild(async () => {
      void reconciler.beforeHold('kept', 'ann');
      await Promise.resolve();
      void reconciler.beforeHold('late', 'ann');
    });
    expect(commands.sentOf('drop').map(({ args }) => args[3])).toEqual(['stale']);
  });

  it('leaves a room alone whose user was being held since before it began', async () => {
    // A hold lost with the link waits out its deadline, and the rebuild is told of its end: a leave and a join were shown.
    commands.answer(({ name, keys: [key] }) => {
      if (name === 'SSCAN') return ['0', key === keys.rooms(keys.partitionOf('r'), 'me.00') ? ['r'] : []];
      return name === 'HSCAN' ? ['0', ['ann', '1']] : undefined;
    });
    void reconciler.beforeHold('r', 'ann');
    await reconciler.rebuild(() => reconciler.reconcile('r', new Set(['ann'])));
    expect(commands.sentOf('drop')).toEqual([]);
  });

  it('that does not tell its end, or is overtaken by another, drops nobody', async () => {
    commands.answer(({ name, keys: [key] }) =>
      name === 'SSCAN' && key === keys.rooms(keys.partitionOf('stale'), 'me.00')
        ? ['0', ['stale']]
        : undefined,
    );
    await reconciler.rebuild(() => undefined);
    let end: (() => void) | undefined;
    const first = reconciler.rebuild(
      () =>
        new Promise((resolve) => {
          end = resolve;
        }),
    );
    const second = reconciler.rebuild(() => new Promise(() => undefined));
    end?.();
    await first;
    expect(commands.sentOf('HSCAN')).toEqual([]);
    void second;
  });
});
