import { afterEach, describe, expect, it } from 'vitest';
import type { Position } from '../../src/protocol/position.ts';
import {
  type Client,
  createNodeFixture,
  type FixtureOptions,
  type NodeFixture,
} from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

interface Scene extends NodeFixture {
  /** Somebody who sends. */
  readonly ann: Client;
  /** A connection of Bob that says hello with `inbox`. */
  bob(inbox?: true | Position): Promise<Client>;
  /** Sends the numbers from..to to Bob. */
  fill(from: number, to: number): Promise<void>;
}

async function begin(options: FixtureOptions = {}): Promise<Scene> {
  const settings = { limitPublishPerSecond: 0, limitUserPerSecond: 0, ...options.settings };
  fixture = createNodeFixture({ ...options, settings });
  const ann = await fixture.hello('ann');
  return { ...fixture, ann, bob: (inbox = true) => opened(inbox), fill };

  async function opened(inbox: true | Position): Promise<Client> {
    const client = (fixture as NodeFixture).connect();
    client.say({ type: 'hello', user: 'bob', inbox });
    await fixture?.settle();
    return client;
  }

  async function fill(from: number, to: number): Promise<void> {
    for (let n = from; n <= to; n += 1) {
      expect(await ann.request({ type: 'send', to: 'bob', data: n })).toMatchObject({ type: 'ok' });
    }
  }
}

afterEach(() => {
  expect(fixture?.violations() ?? []).toEqual([]);
  fixture = undefined;
});

const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, n) => from + n);
const joined = (client: Client) => client.connection.of('joined', '@bob')[0] ?? { type: 'none' };
const data = (client: Client) => client.connection.messages('@bob').map((message) => message.data);

function positionOf(client: Client): Position {
  const position = client.connection.position('@bob');
  if (!position) throw new Error('the inbox was never joined');
  return position;
}

describe('send', () => {
  it('is answered with the position, and delivered to every connection that opened the inbox', async () => {
    const { ann, bob } = await begin();
    const [desk, phone] = [await bob(), await bob()];
    const ok = await ann.request({ type: 'send', to: 'bob', data: { call: 'me' }, key: 'm1' });
    expect(ok).toMatchObject({ type: 'ok', seq: 1, epoch: joined(desk)['epoch'] });
    expect(ok).not.toHaveProperty('room');
    for (const { connection } of [desk, phone]) {
      expect(connection.of('message')).toMatchObject([
        {
          room: '@bob',
          seq: 1,
          key: 'm1',
          from: { user: 'ann', connection: ann.id },
          data: { call: 'me' },
        },
      ]);
    }
  });

  it('repeated with its key is stored and delivered once; the key is the sender’s own', async () => {
    const { ann, bob, hello } = await begin();
    const eve = await hello('eve');
    const device = await bob();
    const send = { type: 'send', to: 'bob', data: 1, key: 'k' };
    const first = await ann.request(send);
    expect(await ann.request(send)).toMatchObject({ seq: first['seq'], duplicate: true });
    const other = await eve.request({ ...send, data: 2 });
    expect(other).toMatchObject({ seq: 2 });
    expect(other).not.toHaveProperty('duplicate');
    const toCarol = await ann.request({ ...send, to: 'carol' });
    expect(toCarol).not.toHaveProperty('duplicate');
    expect(data(device)).toEqual([1, 2]);
  });

  it('counts for the rates of the connection, of the user and of the inbox', async () => {
    const rates = { limitPublishPerSecond: 3, limitPublishBurst: 3, limitUserPerSecond: 1000 };
    const { ann, hello } = await begin({ settings: rates });
    const send = { type: 'send', to: 'bob', data: 1 };
    for (let n = 0; n < 3; n += 1) expect((await ann.request(send)).type).toBe('ok');
    expect(await ann.request(send)).toMatchObject({ code: 'rate_limited', retryable: true });
    const eve = await hello('eve');
    expect((await eve.request(send)).type).toBe('ok');
  });

  it('counts for the rate of one inbox, whoever sends', async () => {
    const { ann, hello } = await begin({ settings: { limitRoomPerSecond: 2 } });
    const eve = await hello('eve');
    const send = { type: 'send', to: 'bob', data: 1 };
    for (const client of [ann, eve]) expect((await client.request(send)).type).toBe('ok');
    expect(await ann.request(send)).toMatchObject({ code: 'rate_limited' });
    expect((await ann.request({ ...send, to: 'carol' })).type).toBe('ok');
  });

  it('asks the access port', async () => {
    const access = {
      identify: (frame: { user?: string | undefined }) => ({ user: frame.user ?? 'nobody', named: true }),
      permits: (_: unknown, action: string, room: string) => action !== 'send' || room === '@bob',
    };
    const { ann } = await begin({ access });
    expect((await ann.request({ type: 'send', to: 'bob', data: 1 })).type).toBe('ok');
    expect(await ann.request({ type: 'send', to: 'carol', data: 1 })).toMatchObject({ code: 'forbidden' });
  });

  it('to oneself comes back through the inbox, in order with what was sent behind the hello', async () => {
    const { connect, settle } = await begin();
    const bob = connect();
    bob.say({ type: 'hello', user: 'bob', inbox: true }, { type: 'send', id: 's', to: 'bob', data: 'note' });
    bob.say({ type: 'read', id: 'r', seq: 1 });
    await settle();
    expect(bob.connection.reply('s')).toMatchObject({ type: 'ok', seq: 1 });
    expect(bob.connection.reply('r')).toMatchObject({ type: 'ok' });
    expect(bob.connection.of('joined')).toHaveLength(1);
    expect(data(bob)).toEqual(['note']);
  });
});

describe('the inbox of hello', () => {
  it('is joined right after welcome, without id, members, count or version', async () => {
    const { bob } = await begin();
    const { connection } = await bob();
    expect(connection.frames).toMatchObject([
      { type: 'welcome' },
      { type: 'joined', room: '@bob', seq: 0, messages: [] },
    ]);
    for (const field of ['id', 'members', 'count', 'version', 'recovered', 'reason'])
      expect(connection.frames[1]).not.toHaveProperty(field);
  });

  it('brings what was sent while nobody was there', async () => {
    const { bob, fill } = await begin();
    await fill(1, 3);
    const device = await bob();
    expect(joined(device)).toMatchObject({ seq: 3 });
    expect(data(device)).toEqual([1, 2, 3]);
  });

  it('with a position goes on from there, each device from its own', async () => {
    const { bob, fill } = await begin();
    const [desk, phone] = [await bob(), await bob()];
    await fill(1, 2);
    const atDesk = positionOf(desk);
    desk.drop();
    await fill(3, 4);
    const onPhone = positionOf(phone);
    phone.drop();
    await fill(5, 5);
    const [deskAgain, phoneAgain] = [await bob(atDesk), await bob(onPhone)];
    expect(joined(deskAgain)).toMatchObject({ recovered: true, seq: 5 });
    expect([data(deskAgain), data(phoneAgain)]).toEqual([[3, 4, 5], [5]]);
  });

  it('is no room of the connection: it takes no place among the rooms it may join', async () => {
    const { bob } = await begin({ settings: { limitRoomsPerConnection: 2 } });
    const device = await bob();
    expect((await device.join('one')).type).toBe('joined');
    expect((await device.join('two')).type).toBe('joined');
    expect(await device.join('three')).toMatchObject({ code: 'limit_exceeded' });
  });

  it('changes nothing of who is online, and tells nothing of it', async () => {
    const { ann, bob, advance } = await begin();
    const online = async () => (await ann.request({ type: 'presence', room: '@bob' }))['count'];
    expect(await online()).toBe(0);
    const [one, two] = [await bob(), await bob()];
    expect(await online()).toBe(1);
    one.drop();
    await advance(6000);
    expect(await online()).toBe(1);
    expect(two.connection.of('presence')).toEqual([]);
    two.drop();
    await advance(4000);
    expect(await online()).toBe(1);
    await advance(2000);
    expect(await online()).toBe(0);
  });

  it('may be paged through by its user', async () => {
    const { bob, fill } = await begin();
    await fill(1, 5);
    const device = await bob();
    const page = await device.request({ type: 'history', room: '@bob', limit: 2 });
    expect(page).toMatchObject({ type: 'ok', room: '@bob', seq: 5, more: true });
    expect((page['messages'] as { data: number }[]).map((message) => message.data)).toEqual([4, 5]);
  });

  it('lets go of everything when the connection is gone', async () => {
    const { bob, advance, store, node } = await begin();
    const device = await bob();
    expect(store.heard.has('@bob')).toBe(true);
    device.drop();
    await advance(11_000);
    expect(store.heard.has('@bob')).toBe(false);
    expect(node.hub.rooms).toBe(0);
  });
});

describe('more than one reply may carry', () => {
  it('comes in chunks behind the reply: nothing is too far to be given', async () => {
    const { bob, fill, settle } = await begin({ settings: { joinMessages: 10, ringMessages: 4 } });
    await fill(1, 200);
    const device = await bob();
    await settle();
    expect(joined(device)).toMatchObject({ seq: 0, messages: [] });
    expect(data(device)).toEqual(upTo(200));
    await fill(201, 202);
    expect(data(device)).toEqual(upTo(202));
  });

  it('comes in chunks also from a position, which was recovered', async () => {
    const { bob, fill, settle } = await begin({ settings: { joinMessages: 10, ringMessages: 4 } });
    await fill(1, 5);
    const device = await bob();
    const since = positionOf(device);
    device.drop();
    await fill(6, 100);
    const again = await bob(since);
    await settle();
    expect(joined(again)).toMatchObject({ recovered: true, seq: 5, messages: [] });
    expect(data(again)).toEqual(upTo(95, 6));
  });

  it('waits for a connection that takes nothing', async () => {
    const settings = { joinMessages: 10, limitOutboxBytes: 500 };
    const { connect, fill, settle, advance } = await begin({ settings });
    await fill(1, 100);
    const slow = connect();
    slow.connection.stuck = true;
    slow.say({ type: 'hello', user: 'bob', inbox: true });
    await settle();
    expect(data(slow).length).toBeLessThan(10);
    slow.connection.drain();
    await advance(100);
    expect(data(slow)).toEqual(upTo(100));
  });

  it('is told in chunks also where connections have no limit', async () => {
    const { bob, fill, settle } = await begin({ settings: { joinMessages: 10, limitOutboxBytes: 0 } });
    await fill(1, 60);
    const device = await bob();
    await settle();
    expect(data(device)).toEqual(upTo(60));
  });
});

describe('read', () => {
  it('moves the mark that a later hello of any device begins after', async () => {
    const { bob, fill } = await begin();
    await fill(1, 4);
    const desk = await bob();
    expect(await desk.request({ type: 'read', seq: 3 })).toEqual({ type: 'ok', id: expect.anything() });
    const phone = await bob();
    expect(data(phone)).toEqual([4]);
    expect(joined(phone)).not.toHaveProperty('recovered');
  });

  it('never moves it back', async () => {
    const { bob, fill } = await begin();
    await fill(1, 4);
    const desk = await bob();
    await desk.request({ type: 'read', seq: 3 });
    expect((await desk.request({ type: 'read', seq: 1 })).type).toBe('ok');
    expect(data(await bob())).toEqual([4]);
  });

  it('beyond what was told is refused, and marks nothing', async () => {
    const { bob, fill } = await begin();
    await fill(1, 2);
    const desk = await bob();
    expect(await desk.request({ type: 'read', seq: 3 })).toMatchObject({ code: 'bad_request' });
    expect(data(await bob())).toEqual([1, 2]);
  });

  it('with an epoch that is not the inbox’s is refused, however low its seq', async () => {
    const { bob, fill } = await begin();
    await fill(1, 3);
    const desk = await bob();
    const { epoch } = positionOf(desk);
    expect(await desk.request({ type: 'read', seq: 1, epoch: 'e.other' })).toMatchObject({
      code: 'bad_request',
    });
    expect(data(await bob())).toEqual([1, 2, 3]);
    expect((await desk.request({ type: 'read', seq: 1, epoch })).type).toBe('ok');
    expect(data(await bob())).toEqual([2, 3]);
  });

  it('of a slow consumer goes as far as it was told, not as far as the inbox is', async () => {
    const settings = { limitOutboxBytes: 500, joinMessages: 2 };
    const { connect, fill, settle, advance } = await begin({ settings });
    await fill(1, 100);
    const slow = connect();
    slow.connection.stuck = true;
    slow.say({ type: 'hello', user: 'bob', inbox: true });
    await settle();
    expect(await slow.request({ type: 'read', seq: 99 })).toMatchObject({ code: 'bad_request' });
    slow.connection.drain();
    await advance(100);
    expect((await slow.request({ type: 'read', seq: 99 })).type).toBe('ok');
  });

  it('counts for the rate of the connection', async () => {
    const { bob } = await begin({ settings: { limitPublishPerSecond: 1, limitPublishBurst: 1 } });
    const desk = await bob();
    expect((await desk.request({ type: 'read', seq: 0 })).type).toBe('ok');
    expect(await desk.request({ type: 'read', seq: 0 })).toMatchObject({ code: 'rate_limited' });
  });
});

describe('what is no longer kept', () => {
  it('is told, and all that is kept follows, whether a mark or a position was behind it', async () => {
    const settings = { inboxMessages: 20, joinMessages: 5, ringMessages: 4 };
    const { bob, fill, settle } = await begin({ settings });
    await fill(1, 2);
    const desk = await bob();
    const since = positionOf(desk);
    await desk.request({ type: 'read', seq: 2 });
    desk.drop();
    await fill(3, 50);
    for (const device of [await bob(), await bob(since)]) {
      await settle();
      const told = { recovered: false, reason: 'trimmed', seq: 30, messages: [] };
      expect(joined(device)).toMatchObject(told);
      expect(data(device)).toEqual(upTo(20, 31));
      expect(device.connection.of('reset')).toEqual([]);
    }
  });

  it('of an inbox that began anew is `lost` to who gives a position back, and everything in it is new', async () => {
    const { ann, bob, fill, store, settle, advance } = await begin();
    await fill(1, 3);
    const desk = await bob();
    const since = positionOf(desk);
    desk.drop();
    await advance(11_000);
    store.empty();
    await ann.request({ type: 'send', to: 'bob', data: 'new' });
    const [again, fresh] = [await bob(since), await bob()];
    await settle();
    expect(joined(again)).toMatchObject({ recovered: false, reason: 'lost', seq: 0, messages: [] });
    expect(data(again)).toEqual(['new']);
    expect(data(fresh)).toEqual(['new']);
  });

  it('a mark of an epoch that is gone skips nothing in silence', async () => {
    const { ann, bob, store, settle } = await begin();
    await ann.request({ type: 'send', to: 'bob', data: 'new' });
    const front = store.broker.readMark;
    store.broker.readMark = async () => ({ epoch: 'gone.before', seq: 9 });
    const device = await bob();
    store.broker.readMark = front;
    await settle();
    expect(joined(device)).toMatchObject({ recovered: false, reason: 'lost', seq: 0, messages: [] });
    expect(data(device)).toEqual(['new']);
  });

  it('is told as reset to who is connected when the store comes back empty', async () => {
    const { ann, bob, fill, store, settle, advance } = await begin();
    await fill(1, 3);
    const device = await bob();
    store.goDown();
    store.empty();
    store.comeUp();
    store.relink();
    await advance(3000);
    await ann.request({ type: 'send', to: 'bob', data: 'after' });
    await settle();
    expect(device.connection.of('reset', '@bob')).toMatchObject([{ reason: 'lost', seq: 0 }]);
    expect(data(device)).toEqual([1, 2, 3, 'after']);
  });
});

describe('while the store is away', () => {
  it('hello is welcomed, told so, and the inbox is joined by itself once the store is back, before `up`', async () => {
    const { bob, fill, store, settle, advance } = await begin();
    await fill(1, 2);
    store.goDown();
    const device = await bob();
    expect(device.connection.frames.map((frame) => frame.type)).toEqual(['welcome', 'status']);
    expect(await device.request({ type: 'read', seq: 1 })).toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    expect(await device.request({ type: 'history', room: '@bob' })).toMatchObject({ code: 'unavailable' });
    expect(await device.request({ type: 'send', to: 'ann', data: 1 })).toMatchObject({ code: 'unavailable' });
    await advance(60_000);
    store.comeUp();
    store.relink();
    await settle();
    expect(joined(device)).toMatchObject({ seq: 2 });
    const types = device.connection.frames.map((frame) => frame.type).filter((type) => type !== 'error');
    expect(types).toEqual(['welcome', 'status', 'joined', 'status']);
    expect(data(device)).toEqual([1, 2]);
  });

  it('is joined also where the store is up before its link is', async () => {
    const { bob, store, advance } = await begin();
    store.goDown();
    const device = await bob();
    store.comeUp();
    await advance(500);
    expect(device.connection.of('joined')).toEqual([]);
    store.relink();
    await advance(2000);
    expect(device.connection.of('joined')).toHaveLength(1);
    expect(device.connection.of('status')).toMatchObject([{ redis: 'down' }, { redis: 'up' }]);
  });

  it.each(['subscribe', 'readMark', 'read'] as const)(
    'is joined once, after a %s that failed for a while',
    async (call) => {
      const { bob, fill, store, advance, ann } = await begin();
      await fill(1, 2);
      let failures = 3;
      const { BrokerError } = await import('../../src/broker/broker.ts');
      store.before(call, () => {
        failures -= 1;
        if (failures >= 0) throw new BrokerError('unavailable', 'not now');
      });
      const device = await bob();
      await advance(10_000);
      await ann.request({ type: 'send', to: 'bob', data: 3 });
      expect(device.connection.of('joined')).toHaveLength(1);
      expect(data(device)).toEqual([1, 2, 3]);
    },
  );

  it('forgets a connection that went away while it waited', async () => {
    const { bob, store, advance, node, clock } = await begin();
    await advance(6000);
    store.goDown();
    const timers = clock.pendingTimers();
    const device = await bob();
    device.drop();
    store.comeUp();
    store.relink();
    await advance(20_000);
    expect(node.hub.rooms).toBe(0);
    expect(store.heard.has('@bob')).toBe(false);
    expect(clock.pendingTimers()).toBeLessThanOrEqual(timers);
  });
});

describe('two nodes', () => {
  it('share the mark, the keys and the messages', async () => {
    const one = await begin({ shareable: true });
    const two = createNodeFixture({ beside: fixture });
    await one.fill(1, 3);
    const there = two.connect();
    there.say({ type: 'hello', user: 'bob', inbox: true });
    await two.settle();
    expect(there.connection.seqs('@bob')).toEqual([1, 2, 3]);
    await there.request({ type: 'read', seq: 2 });
    const here = await one.bob();
    expect(data(here)).toEqual([3]);
    await one.fill(4, 4);
    await two.settle();
    expect(there.connection.seqs('@bob')).toEqual([1, 2, 3, 4]);
    expect(two.violations()).toEqual([]);
  });
});

describe('an inbox that is resumed', () => {
  it('is not answered with what another user asked for in the same moment', async () => {
    // The user `u` could say an epoch that made its question, as one text, that of the user `u b`: the later of
    // the two was given the answer of the other, and told that it had lost messages it had not.
    const { connect, settle, ann } = await begin({ settings: { ringMessages: 0 } });
    const sent = await ann.request({ type: 'send', to: 'u b', data: 'for u b' });
    const { epoch } = sent as unknown as Position;
    const [other, owner] = [connect(), connect()];
    other.say({ type: 'hello', user: 'u', inbox: { epoch: `b ${epoch}`, seq: 0 } });
    owner.say({ type: 'hello', user: 'u b', inbox: { epoch, seq: 0 } });
    await settle();
    expect(other.connection.of('joined')).toMatchObject([{ recovered: false, reason: 'lost', messages: [] }]);
    expect(owner.connection.of('joined')).toMatchObject([
      { recovered: true, messages: [{ data: 'for u b' }] },
    ]);
  });
});
