import { beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { PresenceStore } from '../../src/broker/presence.ts';
import { PresenceWriter } from '../../src/node/presence-writer.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { type Gate, gate, settle } from '../support/gate.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';

interface Write {
  readonly what: string;
  readonly gate: Gate;
  fails: Error | undefined;
}

let clock: FakeClock;
let writer: PresenceWriter;
/** In the order of the calls; each waits until the test answers it, unless `answerAtOnce`. */
let writes: Write[];
let answerAtOnce: boolean;
let version: number;

async function write(what: string): Promise<number> {
  const own: Write = { what, gate: gate(), fails: undefined };
  writes.push(own);
  if (!answerAtOnce) await own.gate.opened;
  if (own.fails) throw own.fails;
  version += 1;
  return version;
}

function answer(place: number, fails?: Error): Promise<void> {
  const own = writes[place];
  if (!own) throw new Error(`no write ${place}`);
  own.fails = fails;
  own.gate.open();
  return settle();
}

function asked(): string[] {
  return writes.map((own) => own.what);
}

beforeEach(() => {
  clock = createFakeClock();
  writes = [];
  answerAtOnce = false;
  version = 0;
  const store: PresenceStore = {
    start: () => undefined,
    stop: async () => undefined,
    hold: (room, user, state, stated) => write(`hold ${room} ${user} ${state}${stated ? ' stated' : ''}`),
    drop: (room, user, reason) => write(`drop ${room} ${user} ${reason}`),
    reconcile: async (room, users) => void (await write(`reconcile ${room} ${[...users].sort().join()}`)),
    snapshot: async () => ({ version, count: 0, members: [] }),
    countConnections: async (_user, count) => count,
  };
  writer = new PresenceWriter(store, clock, createRecordingLogger(), {
    presenceHoldMs: 5_000,
  });
});

const unknown = new BrokerError('unknown_outcome', 'no answer in time');
const refused = new BrokerError('unavailable', 'Redis is away');

describe('the places of closed connections', () => {
  it('end one by one in their time, and those of thousands that closed together not in one turn', async () => {
    answerAtOnce = true;
    await Promise.all(Array.from({ length: 3000 }, (_, n) => writer.enter('r', `user-${n}`, undefined)));
    writes = [];
    for (let n = 0; n < 3000; n += 1) writer.close('r', `user-${n}`);
    // One of them comes back, and goes again a second later.
    clock.advance(1000);
    await writer.enter('r', 'user-7', undefined);
    writer.close('r', 'user-7');
    await clock.advanceAsync(3999);
    expect(asked()).toEqual([]);
    await clock.advanceAsync(1);
    expect(asked().length).toBeGreaterThan(0);
    expect(asked().length).toBeLessThanOrEqual(256);
    await clock.advanceAsync(500);
    expect(asked()).toHaveLength(2999);
    expect(asked()).not.toContain('drop r user-7 closed');
    await clock.advanceAsync(500);
    expect(asked()).toHaveLength(3000);
    expect(new Set(asked()).size).toBe(3000);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe('a rebuild', () => {
  it('lets who joins meanwhile wait for a few of those the node holds, not for all', async () => {
    // All were asked for at once, and a join on the node stood behind a hundred thousand of them.
    answerAtOnce = true;
    await Promise.all(Array.from({ length: 2000 }, (_, n) => writer.enter('r', `user-${n}`, undefined)));
    answerAtOnce = false;
    writes = [];
    const rebuilt = writer.rebuild();
    const late = writer.enter('r', 'late', undefined);
    await settle();
    const place = asked().indexOf('hold r late {}');
    expect(place).toBeGreaterThanOrEqual(0);
    expect(place).toBeLessThan(100);
    await answer(place);
    expect(await late).toBeGreaterThan(0);
    answerAtOnce = true;
    for (const { gate: own } of writes) own.open();
    await rebuilt;
    expect(new Set(asked().filter((what) => what.startsWith('hold'))).size).toBe(2001);
  });

  it('takes the place of one that is under way', async () => {
    answerAtOnce = true;
    await Promise.all(Array.from({ length: 300 }, (_, n) => writer.enter('r', `user-${n}`, undefined)));
    answerAtOnce = false;
    writes = [];
    const rebuilt = [writer.rebuild(), writer.rebuild()];
    await settle();
    expect(asked().length).toBeLessThanOrEqual(64);
    answerAtOnce = true;
    for (const { gate: own } of writes) own.open();
    await Promise.all(rebuilt);
    expect(new Set(asked().filter((what) => what.startsWith('hold'))).size).toBe(300);
    expect(asked().filter((what) => what.startsWith('reconcile'))).toHaveLength(1);
  });

  it('goes on past what fails, and ends with the node', async () => {
    answerAtOnce = true;
    for (const user of ['ann', 'bob']) await writer.enter('r', user, undefined);
    answerAtOnce = false;
    writes = [];
    const rebuilt = writer.rebuild();
    await answer(0, refused);
    writer.stop();
    await rebuilt;
    expect(asked().filter((what) => what.startsWith('reconcile'))).toEqual([]);
  });
});

describe('the presence writer', () => {
  it('writes the first connection of a user and not the next ones', async () => {
    const first = writer.enter('r', 'ann', undefined);
    expect(asked()).toEqual(['hold r ann {}']);
    await answer(0);
    expect(await first).toBe(1);
    expect(await writer.enter('r', 'ann', undefined)).toBe(1);
    expect(asked()).toHaveLength(1);
  });

  it('lets a second connection wait for the write of the first: both are told a version that has the user', async () => {
    const both = [writer.enter('r', 'ann', undefined), writer.enter('r', 'ann', undefined)];
    await answer(0);
    expect(await Promise.all(both)).toEqual([1, 1]);
  });

  it('writes one thing at a time per room and user, and of several wishes the last', async () => {
    const entered = writer.enter('r', 'ann', '{"a":1}');
    const states = [2, 3, 4].map((n) => writer.state('r', 'ann', `{"a":${n}}`));
    await settle();
    expect(asked()).toEqual(['hold r ann {"a":1} stated']);
    await answer(0);
    expect(asked()).toEqual(['hold r ann {"a":1} stated', 'hold r ann {"a":4} stated']);
    // Who asked before a write began has what it asked for with that one.
    expect(await entered).toBe(1);
    await answer(1);
    expect(await Promise.all(states)).toEqual([2, 2, 2]);
  });

  it('writes different users and rooms at the same time, but not without bound', async () => {
    for (let n = 0; n < 400; n += 1) void writer.enter(`r${n}`, 'ann', undefined);
    expect(writes).toHaveLength(256);
    await answer(0);
    expect(writes).toHaveLength(257);
    for (let place = 1; place < 400; place += 1) await answer(place);
    expect(writes).toHaveLength(400);
  });

  it('drops with the last leave, and not while another connection is there', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    await writer.enter('r', 'ann', undefined);
    writer.leave('r', 'ann', 'left');
    await settle();
    expect(asked()).toEqual(['hold r ann {}']);
    writer.leave('r', 'ann', 'left');
    await settle();
    expect(asked()).toEqual(['hold r ann {}', 'drop r ann left']);
    expect([...writer.ledger.rooms()]).toEqual([]);
  });

  it('ends with whoever came back while it was being dropped', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', '{"a":1}');
    answerAtOnce = false;
    writer.leave('r', 'ann', 'left');
    const again = writer.enter('r', 'ann', undefined);
    await answer(1);
    expect(asked().slice(1)).toEqual(['drop r ann left', 'hold r ann {}']);
    await answer(2);
    expect(await again).toBe(3);
  });

  it('holds a closed connection for 5 s, and drops it then', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    writer.close('r', 'ann');
    await clock.advanceAsync(4_999);
    expect(asked()).toEqual(['hold r ann {}']);
    await clock.advanceAsync(1);
    expect(asked()).toEqual(['hold r ann {}', 'drop r ann closed']);
  });

  it('counts the hold from the last close', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    writer.close('r', 'ann');
    await clock.advanceAsync(3_000);
    await writer.enter('r', 'ann', undefined);
    writer.close('r', 'ann');
    await clock.advanceAsync(4_999);
    expect(asked()).toEqual(['hold r ann {}']);
    await clock.advanceAsync(1);
    expect(asked()).toEqual(['hold r ann {}', 'drop r ann closed']);
  });

  it('closed and back within the same moment, is dropped once', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    writer.close('r', 'ann');
    await writer.enter('r', 'ann', undefined);
    writer.close('r', 'ann');
    await clock.advanceAsync(10_000);
    expect(asked()).toEqual(['hold r ann {}', 'drop r ann closed']);
  });
});

describe('a write that fails', () => {
  it('is told to who waits, and is written again until it succeeds', async () => {
    const entered = writer.enter('r', 'ann', '{"a":1}');
    entered.catch(() => undefined);
    await answer(0, unknown);
    await expect(entered).rejects.toBe(unknown);
    for (let place = 1; place < 4; place += 1) {
      await clock.advanceAsync(100 * 2 ** place);
      await answer(place, unknown);
    }
    await clock.advanceAsync(1_600);
    await answer(4);
    await clock.advanceAsync(10_000);
    expect(asked()).toEqual(Array.from({ length: 5 }, () => 'hold r ann {"a":1} stated'));
  });

  it('is still waited for by who comes meanwhile: nobody is told of a user whom the store does not have', async () => {
    writer.enter('r', 'ann', undefined).catch(() => undefined);
    await answer(0, unknown);
    let told = false;
    void writer.enter('r', 'ann', undefined).then(() => {
      told = true;
    });
    await settle();
    expect([told, writes.length]).toEqual([false, 2]);
    await answer(1);
    expect(told).toBe(true);
  });

  it('is written again as it is wished then, not as it was', async () => {
    writer.enter('r', 'ann', undefined).catch(() => undefined);
    await answer(0, unknown);
    writer.leave('r', 'ann', 'left');
    await answer(1);
    await clock.advanceAsync(10_000);
    // Whether the hold landed is not known, so the drop is written.
    expect(asked()).toEqual(['hold r ann {}', 'drop r ann left']);
  });

  it('of a state is still a stated one when it is written again', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    answerAtOnce = false;
    writer.state('r', 'ann', '{"a":1}').catch(() => undefined);
    await answer(1, unknown);
    await clock.advanceAsync(200);
    expect(asked()[2]).toBe('hold r ann {"a":1} stated');
  });

  it('is tried less often while nothing is written: 20,000 of them at a full Redis are no five rounds a second', async () => {
    writer.enter('r', 'ann', undefined).catch(() => undefined);
    const tries: number[] = [];
    for (let ms = 0; ms < 20_000; ms += 100) {
      while (tries.length < writes.length) {
        await answer(tries.length, unknown);
        tries.push(ms);
      }
      await clock.advanceAsync(100);
    }
    const pauses = tries.slice(1).map((ms, place) => ms - (tries[place] ?? 0));
    expect(pauses.slice(0, 7)).toEqual([200, 400, 800, 1600, 3200, 3200, 3200]);
    await clock.advanceAsync(3_200);
    await answer(tries.length);
    // Written: from here on as soon as at first.
    writer.enter('r', 'bob', undefined).catch(() => undefined);
    const before = writes.length;
    await answer(before - 1, unknown);
    await clock.advanceAsync(200);
    expect(writes).toHaveLength(before + 1);
  });

  it('waits for the retry, or for Redis to be back', async () => {
    for (const user of ['a', 'b']) writer.enter('r', user, undefined).catch(() => undefined);
    await answer(0, unknown);
    await answer(1, unknown);
    await clock.advanceAsync(199);
    expect(writes).toHaveLength(2);
    writer.retryNow();
    expect(asked().slice(2).sort()).toEqual(['hold r a {}', 'hold r b {}']);
    await answer(2);
    await answer(3);
    await clock.advanceAsync(1_000);
    expect(writes).toHaveLength(4);
  });
});

describe('a rebuild', () => {
  it('holds everything again, those in their hold included, then drops what the store has beyond it', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', '{"a":1}');
    await writer.enter('r', 'bob', undefined);
    await writer.enter('s', 'ann', undefined);
    writer.close('r', 'bob');
    writes.length = 0;
    await writer.rebuild();
    expect(asked()).toEqual([
      'hold r ann {"a":1}',
      'hold r bob {}',
      'hold s ann {}',
      'reconcile r ann,bob',
      'reconcile s ann',
    ]);
  });

  it('does not hold who is leaving', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    answerAtOnce = false;
    writer.leave('r', 'ann', 'left');
    const rebuilt = writer.rebuild();
    await answer(1);
    await answer(2);
    expect(asked().slice(1, 3)).toEqual(['drop r ann left', 'drop r ann left']);
    await rebuilt;
    expect(asked()).toHaveLength(3);
  });

  it('that cannot reconcile goes on with the next room', async () => {
    answerAtOnce = true;
    await writer.enter('a', 'ann', undefined);
    await writer.enter('b', 'ann', undefined);
    answerAtOnce = false;
    const rebuilt = writer.rebuild();
    await answer(2);
    await answer(3);
    await answer(4, unknown);
    await answer(5);
    await rebuilt;
    expect(asked().slice(4)).toEqual(['reconcile a ann', 'reconcile b ann']);
  });

  it('writes a state that another node set meanwhile, not an old one', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', '{"a":1}');
    writer.ledger.heardState('r', 'ann', '{"a":2}');
    await writer.rebuild();
    expect(asked()).toContain('hold r ann {"a":2}');
  });
});

describe('a state that was certainly not applied', () => {
  // It stayed what the node wanted to be true, and was written when Redis was back: a ghost of a request that
  // its sender was told had failed.
  beforeEach(async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', '{"a":1}');
    answerAtOnce = false;
    writes.length = 0;
  });

  it('is not written later: the state of before is', async () => {
    const changed = writer.state('r', 'ann', '{"a":2}');
    await answer(0, refused);
    await expect(changed).rejects.toThrow(refused);
    writer.retryNow();
    await answer(1);
    expect(asked()).toEqual(['hold r ann {"a":2} stated', 'hold r ann {"a":1}']);
    void writer.rebuild();
    expect(asked()[2]).toBe('hold r ann {"a":1}');
  });

  it('takes none with it that was set by another connection meanwhile and is refused with it', async () => {
    const changed = [writer.state('r', 'ann', '{"a":2}'), writer.state('r', 'ann', '{"a":3}')];
    const told = Promise.allSettled(changed);
    await answer(0, refused);
    expect(await told).toMatchObject([{ reason: refused }, { reason: refused }]);
    writer.retryNow();
    expect(asked()).toEqual(['hold r ann {"a":2} stated', 'hold r ann {"a":1}']);
  });

  it('leaves the one before it, which was applied, and whose sender is told so', async () => {
    const applied = writer.state('r', 'ann', '{"a":2}');
    const lost = writer.state('r', 'ann', '{"a":3}');
    await answer(0);
    expect(await applied).toBe(2);
    await answer(1, refused);
    await expect(lost).rejects.toThrow(refused);
    writer.retryNow();
    expect(asked().at(-1)).toBe('hold r ann {"a":2}');
  });

  it('is another matter where it may have been applied: then it is written again', async () => {
    const perhaps = writer.state('r', 'ann', '{"a":2}');
    await answer(0, unknown);
    await expect(perhaps).rejects.toThrow(unknown);
    const lost = writer.state('r', 'ann', '{"a":3}');
    await answer(1, refused);
    await expect(lost).rejects.toThrow(refused);
    writer.retryNow();
    expect(asked().at(-1)).toBe('hold r ann {"a":2} stated');
  });

  it('of a join is taken back only where nobody has changed it since', async () => {
    answerAtOnce = true;
    await writer.state('r', 'ann', '{"a":2}');
    writer.takeBack('r', 'ann', '{"a":2}', '{"a":1}');
    await settle();
    expect(asked().at(-1)).toBe('hold r ann {"a":1} stated');
    await writer.state('r', 'ann', '{"a":3}');
    const before = asked().length;
    writer.takeBack('r', 'ann', '{"a":2}', '{"a":1}');
    writer.takeBack('r', 'nobody', '{"a":2}', '{"a":1}');
    await settle();
    expect(asked()).toHaveLength(before);
  });
});

describe('a stop', () => {
  it('leaves the store as it is, and tells who waits', async () => {
    answerAtOnce = true;
    await writer.enter('r', 'ann', undefined);
    answerAtOnce = false;
    const waiting = writer.enter('r', 'bob', undefined);
    writer.stop();
    await expect(waiting).rejects.toThrow('stopping');
    writer.close('r', 'ann');
    writer.leave('r', 'ann', 'left');
    await answer(1, unknown);
    await clock.advanceAsync(60_000);
    expect(asked()).toEqual(['hold r ann {}', 'hold r bob {}']);
  });
});
