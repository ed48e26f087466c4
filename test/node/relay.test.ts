import { afterEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { Config } from '../../src/config.ts';
import type { ReadResult } from '../../src/core/entry.ts';
import { gate } from '../support/gate.ts';
import { type Client, createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

function begin(settings?: Partial<Config>): NodeFixture {
  fixture = createNodeFixture({ settings });
  return fixture;
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

const body = (data: unknown) => `"data":${JSON.stringify(data)}}`;

async function publish(
  store: NodeFixture['store'],
  room: string,
  count: number,
  data: unknown = 1,
): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await store.broker.publish({ room, lane: 'elsewhere', user: 'eve', body: body(data) });
  }
}

function reads(store: NodeFixture['store'], room: string): number {
  return store.calls.filter((call) => call === `read ${room}`).length;
}

/** A message that is lost on the way, without the link being lost. */
async function vanish(store: NodeFixture['store'], room: string, count = 1): Promise<void> {
  store.delayEvents();
  await publish(store, room, count);
  store.discard(count);
  store.deliver();
}

function tellings(client: Client): unknown[] {
  return client.connection.frames.flatMap((frame) => {
    if (frame.type === 'message') return [frame['seq']];
    if (frame.type === 'reset') return [`reset ${String(frame['reason'])} ${String(frame['seq'])}`];
    return frame.type === 'epoch' ? [`epoch ${String(frame['epoch'])} ${String(frame['seq'])}`] : [];
  });
}

describe('a gap', () => {
  it('is healed by one read for all members, who notice nothing', async () => {
    const { hello, store, settle } = begin();
    const clients = [await hello('a'), await hello('b'), await hello('c')];
    for (const client of clients) await client.join('r');
    const before = reads(store, 'r');
    await vanish(store, 'r');
    await publish(store, 'r', 2);
    await settle();
    for (const client of clients) expect(tellings(client)).toEqual([1, 2, 3]);
    expect(reads(store, 'r') - before).toBe(1);
  });

  it('is healed where an envelope cannot be read', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.delayEvents();
    await publish(store, 'r', 1);
    store.discard(1);
    store.deliver();
    store.events.gap('r');
    await settle();
    expect(tellings(ann)).toEqual([1]);
  });

  it('longer than one read is healed in several', async () => {
    const { hello, store, settle } = begin({ joinMessages: 3, historyMessages: 3 });
    const ann = await hello('ann');
    await ann.join('r');
    store.broker.read = async (_room, since): Promise<ReadResult> => {
      const from = (since?.seq ?? 0) + 1;
      const to = Math.min(8, from + 2);
      const entries = Array.from({ length: to - from + 1 }, (_, n) => ({
        seq: from + n,
        ts: 0,
        body: Buffer.from(body(1)),
      }));
      return {
        verdict: to < 8 ? 'more' : 'ok',
        epoch: since?.epoch ?? '',
        top: 8,
        entries,
        terms: [],
        presenceVersion: 0,
      };
    };
    store.events.gap('r');
    await settle();
    expect(tellings(ann)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('of the last message of a room is found after a minute of silence', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await vanish(store, 'r');
    await advance(59_000);
    expect(tellings(ann)).toEqual([]);
    await advance(10_000);
    expect(tellings(ann)).toEqual([1]);
  });

  it('that nobody is sure of costs a silent room one read a minute, and nothing where nothing was missed', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    const before = reads(store, 'r');
    await advance(300_000);
    expect(reads(store, 'r') - before).toBeLessThanOrEqual(5);
    expect(tellings(ann)).toEqual([]);
  });
});

describe('the end of a silent room', () => {
  it('that went back in the store under the same epoch is told: what is sent next would be taken for repetitions', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await publish(store, 'r', 5);
    const seen: (number | null)[] = [];
    const rolledBack = { epoch: String(epoch), top: 3, presenceVersion: 0 };
    store.broker.read = async (_room, since): Promise<ReadResult> => {
      seen.push(since && since.seq);
      return since
        ? { ...rolledBack, verdict: 'diverged', entries: [] }
        : { ...rolledBack, verdict: 'fresh' };
    };
    await advance(70_000);
    expect(seen).toEqual([null, 5]);
    expect(tellings(ann)).toEqual([1, 2, 3, 4, 5, 'reset diverged 3']);
  });

  it('that was overtaken by what was heard while it was asked for is no difference', async () => {
    const { hello, store, advance, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await publish(store, 'r', 5);
    const held = gate();
    store.after('read', () => held.opened);
    await advance(70_000);
    const before = reads(store, 'r');
    await publish(store, 'r', 3);
    held.open();
    await settle();
    expect(reads(store, 'r')).toBe(before);
    expect(tellings(ann)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('is looked at a few rooms at a time, so that joins find room in the queue of reads', async () => {
    const rooms = Array.from({ length: 1_000 }, (_, n) => `r${n}`);
    const { hello, store, advance, settle } = begin({
      limitRoomsPerConnection: 0,
      limitJoinsPerSecond: 0,
      limitInFlight: 0,
    });
    const ann = await hello('ann');
    for (const room of rooms) ann.say({ type: 'join', id: room, room });
    while (!ann.connection.reply('r999')) await settle();
    expect(ann.connection.of('joined')).toHaveLength(1_000);
    let [asked, underWay, most] = [0, 0, 0];
    store.before('read', async () => {
      asked += 1;
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
    });
    store.after('read', () => {
      underWay -= 1;
    });
    await advance(60_000);
    expect(most).toBeLessThanOrEqual(8);
    // A page, and not all of a node's rooms in one moment.
    expect(asked).toBe(84);
    await advance(60_000);
    expect(asked).toBeGreaterThanOrEqual(1_000);
    expect(asked).toBeLessThan(1_100);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('is not looked at again while the store has not answered', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    for (const room of ['a', 'b']) await ann.join(room);
    const held = gate();
    store.before('read', () => held.opened);
    const before = store.calls.length;
    await advance(300_000);
    expect(store.calls.slice(before).filter((call) => call.startsWith('read'))).toEqual(['read b', 'read a']);
    held.open();
  });
});

describe('a long gap', () => {
  const limits = async (bytes: number, count: number): Promise<{ asked: number[]; told: unknown[] }> => {
    const { hello, store, settle } = begin({ ringMessages: 16, limitOutboxBytes: 0 });
    const ann = await hello('ann');
    await ann.join('r');
    await publish(store, 'r', 16, 'x'.repeat(bytes));
    const asked: number[] = [];
    store.before('read', (_room, _since, limit) => void asked.push(limit as number));
    store.loseLink();
    await publish(store, 'r', count, 'x'.repeat(bytes));
    store.relink();
    for (let n = 0; n < count; n += 1) await settle();
    return { asked, told: tellings(ann) };
  };

  it('is read in chunks of about a megabyte, and nothing is missing between them', async () => {
    const { asked, told } = await limits(30_000, 100);
    expect(told).toEqual(Array.from({ length: 116 }, (_, n) => n + 1));
    expect(asked).toHaveLength(3);
    expect(Math.max(...asked)).toBeLessThan(40);
  });

  it('of small messages is read in few', async () => {
    const { asked, told } = await limits(10, 300);
    expect(told).toEqual(Array.from({ length: 316 }, (_, n) => n + 1));
    expect(asked).toEqual([128, 128, 128]);
  });
});

describe('a read that fails', () => {
  it('is repeated for as long as it takes, with growing pauses; members stay and are told nothing wrong', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.before('read', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    const before = reads(store, 'r');
    await vanish(store, 'r');
    await publish(store, 'r', 1);
    await advance(10_000);
    const tries = reads(store, 'r') - before;
    // 0, 100, 300, 700, 1500, 3100 and from then on every 2 s.
    expect(tries).toBeGreaterThanOrEqual(8);
    expect(tries).toBeLessThanOrEqual(11);
    expect(tellings(ann)).toEqual([]);
    expect(ann.connection.closedWith).toBeUndefined();
    store.before('read', undefined);
    await advance(2_000);
    expect(tellings(ann)).toEqual([1, 2]);
  });

  it('is not repeated once the room is healed otherwise, or not followed any more', async () => {
    const { hello, store, advance, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.before('read', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    store.loseLink();
    store.relink();
    await settle();
    store.before('read', undefined);
    store.loseLink();
    store.relink();
    await settle();
    const before = reads(store, 'r');
    await advance(5_000);
    expect(reads(store, 'r')).toBe(before);

    store.before('read', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    store.events.gap('r');
    ann.say({ type: 'leave', room: 'r' });
    await advance(20_000);
    const after = reads(store, 'r');
    await advance(20_000);
    expect(reads(store, 'r')).toBe(after);
  });
});

describe('a lost link', () => {
  it('holds back what is heard until the room was read, and then skips and repeats nothing', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await publish(store, 'r', 1);
    store.loseLink();
    await publish(store, 'r', 2);
    const held = gate();
    store.after('read', () => held.opened);
    store.relink();
    await publish(store, 'r', 2);
    await settle();
    expect(tellings(ann)).toEqual([1]);
    held.open();
    await settle();
    expect(tellings(ann)).toEqual([1, 2, 3, 4, 5]);
  });

  it('voids the answers to reads of before', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    const held = gate();
    store.after('read', () => held.opened);
    await vanish(store, 'r');
    await publish(store, 'r', 1);
    store.loseLink();
    held.open();
    await settle();
    // The answer is right, but the room is not heard: who is told now would be told nothing after it.
    expect(tellings(ann)).toEqual([]);
    store.after('read', undefined);
    store.relink();
    await settle();
    expect(tellings(ann)).toEqual([1, 2]);
  });

  it('lets joiners wait for the room, and refuses them after the deadline', async () => {
    const { hello, store, advance, settle } = begin();
    const [ann, bob, cid] = [await hello('ann'), await hello('bob'), await hello('cid')];
    await ann.join('r');
    store.loseLink();
    bob.say({ type: 'join', id: 'j', room: 'r' });
    await advance(3_000);
    expect(bob.connection.reply('j')).toMatchObject({ code: 'unavailable', retryable: true });
    cid.say({ type: 'join', id: 'j', room: 'r' });
    await advance(500);
    store.relink();
    await settle();
    expect(cid.connection.reply('j')).toMatchObject({ type: 'joined' });
  });
});

describe('what the store lost', () => {
  it('is told to members by a reset, followed by everything it still has', async () => {
    const { hello, store, settle, logger } = begin({ historyMessages: 5 });
    const ann = await hello('ann');
    await ann.join('r');
    await publish(store, 'r', 2);
    store.loseLink();
    await publish(store, 'r', 10);
    store.relink();
    await settle();
    expect(tellings(ann)).toEqual([1, 2, 'reset trimmed 7', 8, 9, 10, 11, 12]);
    expect(logger.saying('room reset')).toMatchObject([
      { fields: { room: 'r', reason: 'trimmed', members: 1 } },
    ]);
  });

  it('is told by a reset followed by everything it still has, also where that is more than one page', async () => {
    // "Whatever Redis still has after the break is delivered, none of it is skipped": a reset whose read was
    // cut to a page would skip the older part of what is kept.
    const { hello, store, settle } = begin({ historyMessages: 40, joinMessages: 10, ringMessages: 5 });
    const ann = await hello('ann');
    await ann.join('r');
    store.loseLink();
    await publish(store, 'r', 50);
    store.relink();
    await settle();
    expect(tellings(ann)[0]).toBe('reset trimmed 10');
    expect(ann.connection.seqs('r')).toEqual(Array.from({ length: 40 }, (_, n) => n + 11));
  });

  it('altogether is told once, and the room goes on', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await publish(store, 'r', 3);
    store.loseLink();
    store.empty();
    await publish(store, 'r', 1);
    store.relink();
    await settle();
    await publish(store, 'r', 1);
    await settle();
    expect(tellings(ann)).toEqual([1, 2, 3, 'reset lost 0', 1, 2]);
  });

  it('nothing, in a new term, is told by an epoch frame between the messages', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await publish(store, 'r', 1);
    store.broker.read = async () => ({
      verdict: 'ok',
      epoch: 'e.new',
      top: 3,
      entries: [2, 3].map((seq) => ({ seq, ts: 0, body: Buffer.from(body(seq)) })),
      terms: [{ epoch: 'e.new', start: 3 }],
      presenceVersion: 0,
    });
    store.events.message('r', 'e.new', { seq: 3, ts: 0, body: Buffer.from(body(3)) });
    await settle();
    expect(tellings(ann)).toEqual([1, 2, 'epoch e.new 2', 3]);
    store.events.message('r', 'e.new', { seq: 4, ts: 0, body: Buffer.from(body(4)) });
    await settle();
    expect(ann.connection.position('r')).toEqual({ epoch: 'e.new', seq: 4 });
  });
});

describe('the memory of the relay', () => {
  it('for rings is bounded over all rooms: the room written to longest ago is read from the store again', async () => {
    const { hello, store } = begin({ ringBytesTotal: 3_200 });
    const ann = await hello('ann');
    for (const room of ['a', 'b']) await ann.join(room);
    await publish(store, 'a', 3, 'x'.repeat(300));
    await publish(store, 'b', 3, 'x'.repeat(300));
    await publish(store, 'a', 1, 'x'.repeat(300));
    const bob = await hello('bob');
    const before = [reads(store, 'a'), reads(store, 'b')];
    for (const room of ['a', 'b']) {
      const { epoch } = ann.connection.position(room) ?? { epoch: '' };
      expect(await bob.join(room, { since: { epoch, seq: 1 } })).toMatchObject({ recovered: true });
    }
    expect([reads(store, 'a'), reads(store, 'b')]).toEqual([before[0], (before[1] ?? 0) + 1]);
  });

  it('for what syncing rooms hold back is bounded over all rooms, and nothing is lost by it', async () => {
    const { hello, store, settle } = begin({
      syncBytesTotal: 1_000_000,
      syncBytes: 10_000_000,
      syncMessages: 100_000,
    });
    const ann = await hello('ann');
    const rooms = ['a', 'b', 'c'];
    for (const room of rooms) await ann.join(room);
    const held = gate();
    store.after('read', () => held.opened);
    store.loseLink();
    store.relink();
    await settle();
    for (const room of rooms) await publish(store, room, 50, 'x'.repeat(30_000));
    held.open();
    await settle();
    for (const room of rooms)
      expect(ann.connection.seqs(room)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });

  it('for a room nobody is in any more ends with the linger', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    ann.say({ type: 'leave', room: 'r' });
    await publish(store, 'r', 2);
    await advance(10_000);
    const bob = await hello('bob');
    const before = reads(store, 'r');
    await bob.join('r', { since: { epoch: String(ann.connection.position('r')?.epoch), seq: 0 } });
    expect(bob.connection.seqs('r')).toEqual([1, 2]);
    expect(reads(store, 'r')).toBeGreaterThan(before);
    expect(ann.connection.seqs('r')).toEqual([]);
  });
});
