import { afterEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { Config } from '../../src/config.ts';
import type { Call } from '../support/fake-broker.ts';
import { gate } from '../support/gate.ts';
import { createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

function begin(settings?: Partial<Config>): NodeFixture {
  fixture = createNodeFixture({ settings });
  return fixture;
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

const body = (data: unknown) => `"data":${JSON.stringify(data)}}`;

/** Messages as another node publishes them. */
async function published(
  store: NodeFixture['store'],
  room: string,
  count: number,
  data: unknown = 1,
): Promise<string> {
  let epoch = '';
  for (let n = 0; n < count; n += 1) {
    ({ epoch } = await store.broker.publish({ room, lane: 'elsewhere', user: 'eve', body: body(data) }));
  }
  return epoch;
}

function reads(store: NodeFixture['store']): string[] {
  return store.calls.filter((call) => call.startsWith('read') || call.startsWith('history'));
}

describe('a first join', () => {
  it('hears the room, is present in it, and gets no message of before', async () => {
    const { hello, store } = begin();
    await published(store, 'r', 3);
    const ann = await hello('ann');
    const joined = await ann.join('r', { state: { mood: 'good' } });
    expect(joined).toMatchObject({
      type: 'joined',
      room: 'r',
      seq: 3,
      messages: [],
      count: 1,
      members: [{ user: 'ann', state: { mood: 'good' } }],
    });
    expect(joined).not.toHaveProperty('recovered');
    expect(joined).not.toHaveProperty('reason');
    expect(store.heard).toEqual(new Set(['r']));
    await published(store, 'r', 2);
    await fixture?.settle();
    expect(ann.connection.seqs('r')).toEqual([4, 5]);
  });

  it('reads only after the channel was acknowledged: what is published before the read is in it, after it is heard', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    const [acknowledged, answered] = [gate(), gate()];
    store.before('subscribe', () => acknowledged.opened);
    store.after('read', () => answered.opened);
    ann.say({ type: 'join', id: 'j', room: 'r' });
    await settle();
    expect(reads(store)).toEqual([]);
    acknowledged.open();
    await settle();
    expect(reads(store)).toEqual(['read r']);
    await published(store, 'r', 2);
    answered.open();
    await settle();
    // The read found nothing; what was heard while its answer was on the way comes behind it.
    expect(ann.connection.reply('j')).toMatchObject({ type: 'joined', seq: 2 });
  });

  it('asks to be heard and to be present at once, and who is there when both are answered', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    const [heard, present] = [gate(), gate()];
    store.before('subscribe', () => heard.opened);
    store.after('hold', (room) => (room === 'r' ? present.opened : undefined));
    const asked = () =>
      store.calls.filter((call) => call.split(' ')[1] === 'r').map((call) => call.split(' ')[0]);
    ann.say({ type: 'join', id: 'j', room: 'r' });
    await settle();
    expect(new Set(asked())).toEqual(new Set(['subscribe', 'hold']));
    heard.open();
    await settle();
    expect(asked()).not.toContain('snapshot');
    present.open();
    await settle();
    expect(asked()).toContain('snapshot');
    expect(ann.connection.reply('j')).toMatchObject({ type: 'joined', members: [{ user: 'ann' }] });
  });

  it('shares its subscription and its read with all who join meanwhile', async () => {
    const { hello, store, settle } = begin();
    const clients = [await hello('a'), await hello('b'), await hello('c')];
    const held = gate();
    store.before('subscribe', () => held.opened);
    for (const client of clients) client.say({ type: 'join', id: 'j', room: 'r' });
    await settle();
    held.open();
    await settle();
    for (const client of clients) expect(client.connection.reply('j')).toMatchObject({ type: 'joined' });
    expect(store.calls.filter((call) => call === 'subscribe r')).toHaveLength(1);
    expect(reads(store)).toEqual(['read r']);
  });

  it('with presence "none" or "count" is listed, but given no list', async () => {
    const { hello } = begin();
    const [none, count, full] = [await hello('none'), await hello('count'), await hello('full')];
    expect(await none.join('r', { presence: 'none' })).not.toHaveProperty('members');
    expect(await count.join('r', { presence: 'count' })).toMatchObject({ count: 2 });
    expect(await full.join('r')).toMatchObject({
      count: 3,
      members: [{ user: 'none' }, { user: 'count' }, { user: 'full' }],
    });
  });
});

describe('a join with a position', () => {
  it('gets what came after it from memory, without asking the store', async () => {
    const { hello, store } = begin();
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 5);
    const before = reads(store).length;
    const bob = await hello('bob');
    expect(await bob.join('r', { since: { epoch, seq: 2 } })).toMatchObject({
      recovered: true,
      seq: 5,
      messages: [{ seq: 3 }, { seq: 4 }, { seq: 5 }],
    });
    expect(reads(store)).toHaveLength(before);
  });

  it('at the top gets nothing and misses nothing', async () => {
    const { hello, store } = begin();
    const epoch = await published(store, 'r', 4);
    const ann = await hello('ann');
    expect(await ann.join('r', { since: { epoch, seq: 4 } })).toMatchObject({
      recovered: true,
      seq: 4,
      messages: [],
    });
    await published(store, 'r', 1);
    await fixture?.settle();
    expect(ann.connection.seqs('r')).toEqual([5]);
  });

  it('before what memory holds gets the rest from the store, joined with what was heard meanwhile', async () => {
    const { hello, store, settle } = begin({ ringMessages: 2 });
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 6);
    const bob = await hello('bob');
    const held = gate();
    store.after('read', () => held.opened);
    bob.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 1 } });
    await settle();
    await published(store, 'r', 2);
    held.open();
    await settle();
    expect(bob.connection.reply('j')).toMatchObject({ recovered: true, seq: 8 });
    expect(bob.connection.seqs('r')).toEqual([2, 3, 4, 5, 6, 7, 8]);
  });

  it('shares one read of the store with all who ask from the same position', async () => {
    const { hello, store, settle } = begin({ ringMessages: 0 });
    const epoch = await published(store, 'r', 6);
    const clients = [await hello('a'), await hello('b'), await hello('c')];
    await clients[0]?.join('r');
    store.calls.length = 0;
    const held = gate();
    store.after('read', () => held.opened);
    for (const client of clients.slice(1))
      client.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 1 } });
    await settle();
    held.open();
    await settle();
    for (const client of clients.slice(1))
      expect(client.connection.reply('j')).toMatchObject({ recovered: true });
    expect(reads(store)).toEqual(['read r']);
  });

  it('reads a handful of times when a hundred rejoin a room this node has not followed, each from where it was', async () => {
    const { hello, store, settle } = begin();
    const epoch = await published(store, 'r', 200);
    const clients = await Promise.all(Array.from({ length: 100 }, (_, n) => hello(`u${n}`)));
    clients.forEach((client, n) => {
      client.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 199 - n } });
    });
    while (!clients.every((client) => client.connection.reply('j'))) await settle();
    for (const [n, client] of clients.entries()) {
      expect(client.connection.reply('j')).toMatchObject({ recovered: true, seq: 200 });
      expect(client.connection.seqs('r')).toHaveLength(n + 1);
    }
    // The node's own first one, that of the first client, and all the rest at once.
    expect(reads(store)).toEqual(['read r', 'read r', 'history r']);
    await published(store, 'r', 1);
    const late = await hello('late');
    await late.join('r', { since: { epoch, seq: 100 } });
    expect(late.connection.seqs('r')).toHaveLength(101);
    expect(reads(store)).toHaveLength(3);
  });

  it('keeps what was read for "the last n" as well', async () => {
    const { hello, store } = begin();
    await published(store, 'r', 9);
    for (const name of ['ann', 'bob', 'cid']) {
      const client = await hello(name);
      await client.join('r', { history: 3 });
      expect(client.connection.seqs('r')).toEqual([7, 8, 9]);
    }
    expect(reads(store)).toEqual(['read r', 'history r']);
  });

  it('gives as many of the last as are asked for, also where fewer were read before', async () => {
    const { hello, store } = begin();
    await published(store, 'r', 9);
    for (const [name, history] of [
      ['ann', 3],
      ['bob', 6],
      ['cid', 4],
    ] as const) {
      const client = await hello(name);
      await client.join('r', { history });
      expect(client.connection.seqs('r')).toHaveLength(history);
    }
    expect(reads(store)).toEqual(['read r', 'history r', 'history r']);
  });

  it('asks for "the last n" once also where fewer than n are kept', async () => {
    // Of a room whose history has expired every joiner asked the store, until n new messages had come.
    const { hello, store, clock } = begin({ historyTtlS: 300 });
    await published(store, 'r', 9);
    clock.advance(301_000);
    for (const name of ['ann', 'bob']) {
      const client = await hello(name);
      expect(await client.join('r', { history: 3 })).toMatchObject({ seq: 9, messages: [] });
    }
    await published(store, 'r', 1);
    for (const name of ['cid', 'dan']) {
      const client = await hello(name);
      await client.join('r', { history: 3 });
      expect(client.connection.seqs('r')).toEqual([10]);
    }
    expect(reads(store)).toEqual(['read r', 'history r']);
  });

  it('reads again where more was heard meanwhile than memory holds', async () => {
    const { hello, store, settle } = begin({ ringMessages: 2 });
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 4);
    const bob = await hello('bob');
    const held = [gate(), gate()];
    let asked = 0;
    store.after('read', () => held[asked++]?.opened);
    bob.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 0 } });
    await settle();
    await published(store, 'r', 5);
    held[0]?.open();
    await settle();
    expect(bob.connection.reply('j')).toBeUndefined();
    held[1]?.open();
    await settle();
    expect(asked).toBe(2);
    expect(bob.connection.reply('j')).toMatchObject({ recovered: true, seq: 9 });
    expect(bob.connection.seqs('r')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('ahead of this node waits for the node, and gets nothing twice', async () => {
    // The client was on a node that heard more than this one has yet.
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    store.delayEvents();
    await published(store, 'r', 5);
    const bob = await hello('bob');
    bob.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 3 } });
    await settle();
    expect(bob.connection.reply('j')).toBeUndefined();
    // Bob's own presence change travels behind the messages.
    store.deliver(2);
    await settle();
    expect(bob.connection.reply('j')).toBeUndefined();
    store.deliver();
    await settle();
    expect(bob.connection.reply('j')).toMatchObject({ recovered: true, seq: 5 });
    expect(bob.connection.seqs('r')).toEqual([4, 5]);
    expect(ann.connection.seqs('r')).toEqual([1, 2, 3, 4, 5]);
  });

  it('ahead of a node that does not catch up is told to come back', async () => {
    const { hello, store, advance, settle } = begin();
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 1);
    const bob = await hello('bob');
    await bob.join('other');
    store.before('read', async () => undefined);
    store.broker.read = async (_room, since) => ({
      verdict: 'ok',
      epoch: since?.epoch ?? '',
      top: 3,
      entries: [],
      terms: [],
      presenceVersion: 0,
    });
    bob.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 3 } });
    await advance(1_999);
    expect(bob.connection.reply('j')).toBeUndefined();
    await advance(2_000);
    await settle();
    expect(bob.connection.reply('j')).toMatchObject({ type: 'error', code: 'unavailable', retryable: true });
    expect((await ann.request({ type: 'presence', room: 'r' }))['count']).toBe(1);
  });

  it('behind a store that is ahead of this node gets what this node was at, and the rest as messages', async () => {
    const { hello, store, settle } = begin({ ringMessages: 0 });
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 3);
    const bob = await hello('bob');
    await bob.join('r', { presence: 'none' });
    store.delayEvents();
    await published(store, 'r', 2);
    expect(await bob.join('r', { since: { epoch, seq: 1 } })).toMatchObject({
      recovered: true,
      seq: 3,
      messages: [{ seq: 2 }, { seq: 3 }],
    });
    bob.connection.take();
    store.deliver();
    await settle();
    expect(bob.connection.seqs('r')).toEqual([4, 5]);
  });

  it('is not given messages of a term that this node does not know under the name of one that it does', async () => {
    // The store lost 4 and 5 of the old term and gave the numbers again; this node has not heard of it yet.
    const { hello, store, advance } = begin({ ringMessages: 0 });
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 5);
    const bob = await hello('bob');
    store.broker.read = async () => ({
      verdict: 'ok',
      epoch: 'e.new',
      top: 5,
      entries: [4, 5].map((seq) => ({ seq, ts: 0, body: Buffer.from(body(`new ${seq}`)) })),
      terms: [{ epoch: 'e.new', start: 4 }],
      presenceVersion: 0,
    });
    bob.say({ type: 'join', id: 'j', room: 'r', since: { epoch, seq: 3 } });
    await advance(5_000);
    expect(bob.connection.reply('j')).toMatchObject({ type: 'error', code: 'unavailable' });
  });

  it('crossing a term of the store gets the messages of both, under the newest epoch', async () => {
    const { hello, store } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    const entries = [1, 2, 3].map((seq) => ({ seq, ts: 0, body: Buffer.from(body(seq)) }));
    store.broker.read = async () => ({
      verdict: 'ok',
      epoch: 'e.t2',
      top: 3,
      entries,
      terms: [{ epoch: 'e.t2', start: 3 }],
      presenceVersion: 0,
    });
    for (const entry of entries) store.events.message('r', 'e.t2', entry);
    await fixture?.settle();
    const bob = await hello('bob');
    expect(await bob.join('r', { since: { epoch: 'e.t1', seq: 0 } })).toMatchObject({
      epoch: 'e.t2',
      seq: 3,
      recovered: true,
      messages: [{ seq: 1 }, { seq: 2 }, { seq: 3 }],
    });
  });
});

describe('a join whose position cannot be continued', () => {
  it('is told "lost" where the stream is another one', async () => {
    const { hello, store } = begin();
    await published(store, 'r', 3);
    const ann = await hello('ann');
    expect(await ann.join('r', { since: { epoch: 'of.old', seq: 2 } })).toMatchObject({
      recovered: false,
      reason: 'lost',
      messages: [],
      seq: 3,
    });
    await published(store, 'r', 1);
    await fixture?.settle();
    expect(ann.connection.seqs('r')).toEqual([4]);
  });

  it('is told "diverged" where the client saw more than the store has', async () => {
    const { hello, store } = begin();
    const epoch = await published(store, 'r', 3);
    const ann = await hello('ann');
    expect(await ann.join('r', { since: { epoch, seq: 9 } })).toMatchObject({
      recovered: false,
      reason: 'diverged',
      messages: [],
      seq: 3,
    });
  });

  it('is told "trimmed" where it is older than what is kept', async () => {
    const { hello, store } = begin({ historyMessages: 5 });
    const epoch = await published(store, 'r', 9);
    const ann = await hello('ann');
    expect(await ann.join('r', { since: { epoch, seq: 3 } })).toMatchObject({
      recovered: false,
      reason: 'trimmed',
      seq: 9,
    });
    const bob = await hello('bob');
    expect(await bob.join('r', { since: { epoch, seq: 4 } })).toMatchObject({ recovered: true });
  });

  it.each([
    ['messages', { joinMessages: 3 }, 'x'],
    ['bytes', { joinBytes: 500 }, 'x'.repeat(150)],
  ])('is told "too_far" where it is more %s than one reply may carry', async (_, limits, data) => {
    const { hello, store } = begin({ ringMessages: 0, ...limits });
    const epoch = await published(store, 'r', 5, data);
    const ann = await hello('ann');
    expect(await ann.join('r', { since: { epoch, seq: 1 } })).toMatchObject({
      recovered: false,
      reason: 'too_far',
      messages: [],
      seq: 5,
    });
    const bob = await hello('bob');
    expect(await bob.join('r', { since: { epoch, seq: 2 } })).toMatchObject({
      recovered: true,
      messages: [{}, {}, {}],
    });
  });
});

describe('a join with history', () => {
  it('gets the newest n, from memory where that reaches back', async () => {
    const { hello, store } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await published(store, 'r', 6);
    const before = reads(store).length;
    const bob = await hello('bob');
    const joined = await bob.join('r', { history: 3 });
    expect(joined).toMatchObject({ seq: 6, messages: [{ seq: 4 }, { seq: 5 }, { seq: 6 }] });
    expect(joined).not.toHaveProperty('recovered');
    expect(reads(store)).toHaveLength(before);
  });

  it('gets them from the store where memory does not', async () => {
    const { hello, store } = begin();
    await published(store, 'r', 6);
    const ann = await hello('ann');
    expect(await ann.join('r', { history: 4 })).toMatchObject({
      seq: 6,
      messages: [{ seq: 3 }, {}, {}, { seq: 6 }],
    });
  });

  it('gets all there is where there is less, and none from an empty room', async () => {
    const { hello, store } = begin();
    const ann = await hello('ann');
    expect(await ann.join('empty', { history: 10 })).toMatchObject({ seq: 0, messages: [] });
    await published(store, 'r', 2);
    expect(await ann.join('r', { history: 10 })).toMatchObject({ messages: [{ seq: 1 }, { seq: 2 }] });
    expect(await ann.join('r', { history: 0 })).toMatchObject({ messages: [] });
  });

  it('gets the newest n up to its seq also where the store is ahead of this node', async () => {
    const { hello, store, settle, advance } = begin({ ringMessages: 0 });
    const ann = await hello('ann');
    await ann.join('r');
    await published(store, 'r', 5);
    const bob = await hello('bob');
    store.delayEvents();
    await published(store, 'r', 3);
    bob.say({ type: 'join', id: 'j', room: 'r', history: 4 });
    await settle();
    await advance(300);
    expect(bob.connection.reply('j')).toMatchObject({ seq: 5, messages: [{ seq: 2 }, {}, {}, { seq: 5 }] });
    store.deliver();
    await settle();
    expect(bob.connection.seqs('r')).toEqual([2, 3, 4, 5, 6, 7, 8]);
  });

  it('gets fewer where they are too big for one reply', async () => {
    const { hello, store } = begin({ joinBytes: 500 });
    await published(store, 'r', 6, 'x'.repeat(150));
    const ann = await hello('ann');
    expect(await ann.join('r', { history: 5 })).toMatchObject({
      messages: [{ seq: 4 }, { seq: 5 }, { seq: 6 }],
    });
  });

  it('may ask for any number where the limit is 0', async () => {
    const { hello, store } = begin({ limitHistoryMessages: 0, ringMessages: 0 });
    await published(store, 'r', 150);
    const ann = await hello('ann');
    expect((await ann.join('r', { history: 1_000_000 }))['messages']).toHaveLength(150);
  });
});

describe('a join of a room already joined', () => {
  it('is answered like a first one, and frames after the reply belong to it', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 3);
    await settle();
    expect(await ann.join('r', { since: { epoch, seq: 1 } })).toMatchObject({
      recovered: true,
      messages: [{ seq: 2 }, { seq: 3 }],
    });
    await published(store, 'r', 1);
    await settle();
    expect(ann.connection.of('message', 'r').map((message) => message['seq'])).toEqual([1, 2, 3, 4]);
  });

  it('replaces the presence mode and the state, and counts the user once', async () => {
    const { hello, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r', { state: { a: 1 } });
    expect(await ann.join('r', { presence: 'none' })).toMatchObject({ count: 1 });
    ann.connection.take();
    const bob = await hello('bob');
    expect(await bob.join('r')).toMatchObject({
      members: [{ user: 'ann', state: { a: 1 } }, { user: 'bob' }],
    });
    await advance(200);
    expect(ann.connection.take()).toEqual([]);
    await ann.join('r', { state: { a: 2 } });
    expect((await bob.request({ type: 'presence', room: 'r' }))['members']).toMatchObject([
      { state: { a: 2 } },
      {},
    ]);
    ann.say({ type: 'leave', room: 'r' });
    await advance(200);
    expect((await bob.request({ type: 'presence', room: 'r' }))['count']).toBe(1);
  });

  it('gives back the interest of the one it replaced: the room is unsubscribed after the last leave', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    for (let n = 0; n < 3; n += 1) await ann.join('r');
    ann.say({ type: 'leave', room: 'r' });
    await advance(10_000);
    expect(store.heard.size).toBe(0);
  });

  it('keeps the first where the second fails', async () => {
    const { hello, store, settle, advance } = begin({ ringMessages: 0 });
    const ann = await hello('ann');
    const { epoch } = await ann.join('r');
    await published(store, 'r', 3);
    store.before('read', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    expect(await ann.join('r', { since: { epoch, seq: 1 } })).toMatchObject({ code: 'unavailable' });
    await published(store, 'r', 1);
    await settle();
    expect(ann.connection.seqs('r')).toEqual([1, 2, 3, 4]);
    await advance(60_000);
    expect(store.heard.size).toBe(1);
    expect((await store.presence.snapshot('r', 10)).count).toBe(1);
  });
});

describe('a join that fails', () => {
  const refuse = () => {
    throw new BrokerError('unavailable', 'no answer');
  };

  it.each<Call>(['subscribe', 'hold', 'read'])('at %s leaves nothing behind', async (call) => {
    const { hello, store, advance, node } = begin();
    const ann = await hello('ann');
    store.before(call, (room) => (room === 'r' ? refuse() : undefined));
    ann.say({ type: 'join', id: 'j', room: 'r' });
    await advance(2_000);
    expect(ann.connection.reply('j')).toMatchObject({ type: 'error', code: 'unavailable', room: 'r' });
    store.before(call, undefined);
    await advance(12_000);
    expect(node.hub.members('r').size).toBe(0);
    expect(store.heard.size).toBe(0);
    expect((await store.presence.snapshot('r', 10)).count).toBe(0);
    expect(await ann.join('r')).toMatchObject({ type: 'joined', count: 1 });
  });

  it('at the snapshot of who is there does not wait for ever', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    store.before('snapshot', refuse);
    ann.say({ type: 'join', id: 'j', room: 'r' });
    await advance(2_500);
    expect(ann.connection.reply('j')).toMatchObject({ type: 'error', code: 'unavailable' });
    await advance(12_000);
    expect(store.heard.size).toBe(0);
  });

  it('does not take the room away from those who are in it', async () => {
    const { hello, store, advance, settle } = begin({ ringMessages: 0 });
    const ann = await hello('ann');
    await ann.join('r');
    const epoch = await published(store, 'r', 2);
    const bob = await hello('bob');
    store.before('read', refuse);
    expect(await bob.join('r', { since: { epoch, seq: 1 } })).toMatchObject({ code: 'unavailable' });
    store.before('read', undefined);
    await advance(60_000);
    await published(store, 'r', 1);
    await settle();
    expect(ann.connection.seqs('r')).toEqual([1, 2, 3]);
    expect((await ann.request({ type: 'presence', room: 'r' }))['count']).toBe(1);
  });

  it.each<Call>(['subscribe', 'hold', 'snapshot', 'read'])(
    'because its connection closed at %s leaves nothing behind',
    async (call) => {
      const { hello, store, advance, settle, node } = begin();
      const ann = await hello('ann');
      const held = gate();
      store.before(call, (room) => (room === 'r' ? held.opened : undefined));
      ann.say({ type: 'join', id: 'j', room: 'r' });
      await settle();
      ann.drop();
      held.open();
      await advance(20_000);
      expect(node.hub.members('r').size).toBe(0);
      expect(store.heard.size).toBe(0);
      expect((await store.presence.snapshot('r', 10)).count).toBe(0);
    },
  );

  it('because its connection closed does not end the hold of a reload before', async () => {
    // Only a leave, a kick or an expired token end membership at once. The tab closed, came back and was
    // reloaded again in the middle of its join: nobody should see it go.
    const { hello, store, advance, settle } = begin();
    const watcher = await hello('bob');
    await watcher.join('r');
    const first = await hello('ann');
    await first.join('r');
    first.drop();
    const second = await hello('ann');
    const held = gate();
    store.before('read', () => held.opened);
    second.say({ type: 'join', id: 'j', room: 'r', since: { epoch: 'x', seq: 1 } });
    await settle();
    second.drop();
    held.open();
    await advance(3_000);
    const third = await hello('ann');
    await third.join('r');
    await advance(10_000);
    const left = watcher.connection.of('presence', 'r').filter((frame) => 'left' in frame);
    expect(left).toEqual([]);
  });

  it('keeps that hold too where it is refused, and with it the state', async () => {
    // The link broke just after the reload: bob saw ann leave, and come back without her state.
    const { hello, store, advance } = begin();
    const watcher = await hello('bob');
    await watcher.join('r');
    const first = await hello('ann');
    await first.join('r', { state: { mood: 'good' } });
    first.drop();
    await advance(1_000);
    const second = await hello('ann');
    store.before('read', () => {
      throw new BrokerError('unavailable', 'is catching up');
    });
    const since = { epoch: 'x', seq: 1 };
    expect(await second.join('r', { since })).toMatchObject({ code: 'unavailable' });
    store.before('read', undefined);
    await advance(4_000);
    const { members } = await second.join('r', { since });
    expect(members).toContainEqual(expect.objectContaining({ user: 'ann', state: { mood: 'good' } }));
    await advance(10_000);
    expect(watcher.connection.of('presence', 'r').filter((frame) => 'left' in frame)).toEqual([]);
  });

  it('while the store is away fails at once, also in a room that this connection or the node is in', async () => {
    const { hello, store, settle } = begin();
    const [ann, annToo] = [await hello('ann'), await hello('ann')];
    await ann.join('r');
    store.goDown();
    // None of these has to ask the store anything new, and so each would wait for the room to be healed.
    expect(await ann.join('new')).toMatchObject({ code: 'unavailable', retryable: true });
    expect(await ann.join('r')).toMatchObject({ code: 'unavailable' });
    expect(await annToo.join('r')).toMatchObject({ code: 'unavailable' });
    expect(await ann.request({ type: 'presence', room: 'r' })).toMatchObject({ code: 'unavailable' });
    expect(await annToo.request({ type: 'presence', room: '@ann' })).toMatchObject({ code: 'unavailable' });
    store.comeUp();
    store.relink();
    await settle();
    // The subscription of before stands.
    await published(store, 'r', 1);
    await settle();
    expect(ann.connection.seqs('r')).toEqual([1]);
    expect((await annToo.join('r'))['count']).toBe(1);
  });

  it.each<Call>(['subscribe', 'hold', 'snapshot', 'read'])(
    'that waits at %s when the store goes away is refused in that moment, and undone',
    async (call) => {
      const { hello, store, advance, settle, node } = begin();
      const [ann, bob] = [await hello('ann'), await hello('bob')];
      const held = gate();
      store.before(call, (room) => (room === 'r' ? held.opened : undefined));
      ann.say({ type: 'join', id: 'j', room: 'r' });
      await settle();
      expect(ann.connection.reply('j')).toBeUndefined();
      store.goDown();
      await settle();
      expect(ann.connection.reply('j')).toMatchObject({ code: 'unavailable' });
      // The answer that comes late is of no effect, and the room can be joined as ever.
      store.before(call, undefined);
      store.comeUp();
      store.relink();
      held.open();
      await advance(5_000);
      expect(ann.connection.of('joined')).toEqual([]);
      expect(node.hub.members('r').size).toBe(0);
      expect((await store.presence.snapshot('r', 10)).count).toBe(0);
      expect(await bob.join('r')).toMatchObject({ type: 'joined', count: 1 });
      expect(await ann.join('r')).toMatchObject({ type: 'joined', count: 2 });
    },
  );

  it('that waits again, in a room already joined, is refused in the moment in which the store goes away', async () => {
    const { hello, store, settle } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.loseLink();
    ann.say({ type: 'join', id: 'j', room: 'r' }, { type: 'presence', id: 'p', room: 'r' });
    await settle();
    expect(ann.connection.reply('j')).toBeUndefined();
    store.goDown();
    await settle();
    expect(ann.connection.reply('j')).toMatchObject({ code: 'unavailable' });
    expect(ann.connection.reply('p')).toMatchObject({ code: 'unavailable' });
  });

  it('that was answered stands, whatever goes away in the same moment', async () => {
    const { hello, store, settle, node } = begin();
    const ann = await hello('ann');
    const send = ann.connection.send.bind(ann.connection);
    ann.connection.send = (frame) => {
      send(frame);
      if (ann.connection.of('joined').length > 0) store.goDown();
    };
    ann.say({ type: 'join', id: 'j', room: 'r' });
    await settle();
    expect(ann.connection.frames.filter((frame) => frame['id'] === 'j')).toMatchObject([{ type: 'joined' }]);
    expect(node.hub.members('r').size).toBe(1);
  });
});

describe('the rooms of a connection', () => {
  it('are limited, those being joined included; a room already joined does not count twice', async () => {
    const { hello, store, settle } = begin({ limitRoomsPerConnection: 2 });
    const ann = await hello('ann');
    const held = gate();
    store.before('subscribe', () => held.opened);
    ann.say(
      { type: 'join', id: 'a', room: 'a' },
      { type: 'join', id: 'b', room: 'b' },
      { type: 'join', id: 'c', room: 'c' },
    );
    expect(ann.connection.reply('c')).toMatchObject({ code: 'limit_exceeded', retryable: false });
    held.open();
    await settle();
    expect(await ann.join('a')).toMatchObject({ type: 'joined' });
    expect(await ann.join('c')).toMatchObject({ code: 'limit_exceeded' });
    ann.say({ type: 'leave', room: 'a' });
    expect(await ann.join('c')).toMatchObject({ type: 'joined' });
  });

  it('being joined again do not take the place of others', async () => {
    const { hello, store, settle } = begin({ limitRoomsPerConnection: 3, ringMessages: 0 });
    const epoch = await published(store, 'a', 3);
    const ann = await hello('ann');
    for (const room of ['a', 'b']) await ann.join(room);
    const held = gate();
    store.before('read', () => held.opened);
    ann.say(
      { type: 'join', id: 'again', room: 'a', since: { epoch, seq: 1 } },
      { type: 'join', id: 'c', room: 'c' },
    );
    held.open();
    await settle();
    expect(ann.connection.reply('again')).toMatchObject({ type: 'joined' });
    expect(ann.connection.reply('c')).toMatchObject({ type: 'joined' });
  });

  it('are not limited where the limit is 0', async () => {
    const { hello } = begin({ limitRoomsPerConnection: 0 });
    const ann = await hello('ann');
    for (let n = 0; n < 300; n += 1) ann.say({ type: 'join', id: n, room: `r${n}` });
    await fixture?.settle();
    expect(ann.connection.of('joined')).toHaveLength(300);
  });
});
