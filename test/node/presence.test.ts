import { afterEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { Config } from '../../src/config.ts';
import { gate } from '../support/gate.ts';
import {
  type Client,
  createNodeFixture,
  type FixtureOptions,
  type NodeFixture,
} from '../support/node-fixture.ts';

let fixtures: NodeFixture[] = [];

function begin(settings?: Partial<Config>, options?: FixtureOptions): NodeFixture {
  const fixture = createNodeFixture({ ...options, settings });
  fixtures.push(fixture);
  return fixture;
}

/** Two nodes at one store. */
function beginTwo(settings?: Partial<Config>): [NodeFixture, NodeFixture] {
  const first = begin(settings, { shareable: true });
  return [first, begin(settings, { beside: first })];
}

afterEach(() => {
  expect(fixtures.flatMap((fixture) => fixture.violations())).toEqual([]);
  fixtures = [];
});

interface Told {
  readonly count: number;
  readonly members?: string[];
  readonly joined?: string[];
  readonly left?: string[];
  readonly updated?: unknown[];
}

/** The presence frames since the last look, in short. */
function told(client: Client, room = 'r'): Told[] {
  const frames = client.connection.of('presence', room);
  client.connection.take();
  const names = (list: unknown) => (list as { user: string }[]).map((each) => each.user);
  return frames.map((frame) => ({
    count: frame['count'] as number,
    ...('members' in frame && { members: names(frame['members']) }),
    ...('joined' in frame && { joined: names(frame['joined']) }),
    ...('left' in frame && {
      left: (frame['left'] as { user: string; reason: string }[]).map(
        (each) => `${each.user} ${each.reason}`,
      ),
    }),
    ...('updated' in frame && { updated: frame['updated'] as unknown[] }),
  }));
}

async function present(client: Client, room = 'r'): Promise<unknown> {
  const reply = await client.request({ type: 'presence', room });
  return (reply['members'] as { user: string }[]).map((each) => each.user).sort();
}

describe('who joins and leaves', () => {
  it('is told to the others once per window, in one frame', async () => {
    const [one, two] = beginTwo();
    const ann = await one.hello('ann');
    await ann.join('r');
    await one.advance(200);
    told(ann);
    for (const user of ['b', 'c', 'd']) await (await two.hello(user)).join('r');
    expect(told(ann)).toEqual([]);
    await one.advance(100);
    expect(told(ann)).toEqual([{ count: 4, joined: ['b', 'c', 'd'] }]);
  });

  it('is told in one frame also where they join through the same node', async () => {
    // Each joiner is given a version within the window, and what comes after joins on to that.
    const { hello, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await advance(200);
    told(ann);
    const joiners = new Map<Client, unknown>();
    for (const user of ['b', 'c', 'd']) {
      const client = await hello(user);
      joiners.set(client, (await client.join('r'))['version']);
    }
    await advance(200);
    expect(told(ann)).toEqual([{ count: 4, joined: ['b', 'c', 'd'] }]);
    for (const [client, given] of joiners) {
      let version = given;
      for (const frame of client.connection.of('presence', 'r')) {
        if (frame['version'] === version) continue;
        expect(frame['previous']).toBe(version);
        version = frame['version'];
      }
      expect(version).toBe([...joiners.values()].at(-1));
    }
  });

  it('is one member, however many connections the user has on however many nodes', async () => {
    const [one, two] = beginTwo();
    const watcher = await one.hello('watcher');
    await watcher.join('r');
    const tabs = [await one.hello('ann'), await one.hello('ann'), await two.hello('ann')];
    for (const tab of tabs) await tab.join('r');
    await one.advance(200);
    expect(told(watcher).filter((frame) => frame.joined?.includes('ann'))).toEqual([
      { count: 2, joined: ['ann'] },
    ]);
    tabs[0]?.say({ type: 'leave', room: 'r' });
    tabs[2]?.drop();
    await one.advance(10_000);
    expect(told(watcher)).toEqual([]);
    expect(await present(watcher)).toEqual(['ann', 'watcher']);
    tabs[1]?.say({ type: 'leave', room: 'r' });
    await one.advance(200);
    expect(told(watcher)).toEqual([{ count: 1, left: ['ann left'] }]);
  });

  it('by leave is gone at once; by a closed connection 5 s later', async () => {
    const { hello, advance } = begin();
    const [watcher, ann, bob] = [await hello('watcher'), await hello('ann'), await hello('bob')];
    for (const client of [watcher, ann, bob]) await client.join('r');
    await advance(200);
    told(watcher);
    ann.say({ type: 'leave', room: 'r' });
    bob.drop();
    await advance(100);
    expect(told(watcher)).toEqual([{ count: 2, left: ['ann left'] }]);
    await advance(4_800);
    expect(told(watcher)).toEqual([]);
    await advance(300);
    expect(told(watcher)).toEqual([{ count: 1, left: ['bob closed'] }]);
  });

  it('by a leave that waited for a publish is gone at once, although the connection closed meanwhile', async () => {
    const { hello, advance, store } = begin();
    const [watcher, ann, bob] = [await hello('watcher'), await hello('ann'), await hello('bob')];
    for (const client of [watcher, ann, bob]) await client.join('r');
    await advance(200);
    told(watcher);
    const held = gate();
    store.before('publish', () => held.opened);
    ann.say({ type: 'publish', room: 'r', data: 'bye' }, { type: 'leave', room: 'r' });
    bob.say({ type: 'leave', room: 'r' }, { type: 'join', room: 'r' });
    ann.drop();
    bob.drop();
    await advance(200);
    expect(told(watcher).flatMap(({ left = [] }) => left)).toContain('ann left');
    held.open();
  });

  it('by a reload is not seen at all, and keeps the state', async () => {
    const { hello, advance } = begin();
    const [watcher, ann] = [await hello('watcher'), await hello('ann')];
    await watcher.join('r');
    await ann.join('r', { state: { mood: 'good' } });
    await advance(200);
    told(watcher);
    ann.drop();
    await advance(4_000);
    const again = await hello('ann');
    const joined = await again.join('r');
    expect(joined['members']).toMatchObject([{ user: 'watcher' }, { user: 'ann', state: { mood: 'good' } }]);
    await advance(60_000);
    expect(told(watcher)).toEqual([]);
  });

  it('by a reload to another node is not seen either', async () => {
    const [one, two] = beginTwo();
    const watcher = await two.hello('watcher');
    const ann = await one.hello('ann');
    await watcher.join('r');
    await ann.join('r', { state: { mood: 'good' } });
    await one.advance(200);
    told(watcher);
    ann.drop();
    await one.advance(4_000);
    const again = await two.hello('ann');
    await again.join('r');
    await one.advance(60_000);
    expect(told(watcher)).toEqual([]);
    expect(await present(watcher)).toEqual(['ann', 'watcher']);
  });

  it('and back within a window is told as both, never as nothing', async () => {
    const { hello, advance } = begin();
    const [watcher, ann] = [await hello('watcher'), await hello('ann')];
    await watcher.join('r');
    await ann.join('r');
    await advance(200);
    told(watcher);
    ann.say({ type: 'leave', room: 'r' });
    await ann.join('r');
    await advance(200);
    expect(told(watcher)).toEqual([
      { count: 1, left: ['ann left'] },
      { count: 2, joined: ['ann'] },
    ]);
  });
});

describe('a joiner', () => {
  it('is in its own joined, and the frame that tells of it changes nothing for it', async () => {
    const { hello, advance } = begin();
    const ann = await hello('ann');
    const joined = await ann.join('r');
    await advance(200);
    for (const frame of ann.connection.of('presence', 'r')) expect(frame['version']).toBe(joined['version']);
  });

  it('gets frames that join on to its reply, though a window was open when it came', async () => {
    const { hello, advance } = begin();
    const [ann, bob] = [await hello('ann'), await hello('bob')];
    await ann.join('r');
    await advance(200);
    await bob.join('r');
    const late = await hello('late');
    const { version } = await late.join('r');
    const eve = await hello('eve');
    await eve.join('r');
    await advance(200);
    const frames = late.connection.of('presence', 'r').filter((frame) => frame['version'] !== version);
    expect(frames).toMatchObject([{ previous: version, joined: [{ user: 'eve' }], count: 4 }]);
  });

  it('whose own change is late tells nobody a snapshot while the others keep coming', async () => {
    // A good copy was thrown away for each of them, and all members were told everybody: more work, and later still.
    const [one] = beginTwo();
    const ann = await one.hello('ann');
    await ann.join('r');
    await one.advance(200);
    told(ann);
    one.store.delayEvents();
    const joiners: Client[] = [];
    for (const user of ['b', 'c', 'd', 'e']) {
      const client = await one.hello(user);
      client.say({ type: 'join', id: 'j', room: 'r' });
      joiners.push(client);
    }
    for (let n = 0; n < 4; n += 1) {
      await one.advance(200);
      one.store.deliver(1);
    }
    await one.advance(200);
    for (const client of joiners) expect(client.connection.reply('j')).toMatchObject({ type: 'joined' });
    expect(told(ann).every((frame) => frame.members === undefined)).toBe(true);
  });

  it('is answered after its own write, also where the channel is slow', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    store.delayEvents();
    const bob = await hello('bob');
    bob.say({ type: 'join', id: 'j', room: 'r' });
    await advance(200);
    expect(bob.connection.reply('j')).toBeUndefined();
    await advance(100);
    // The store was asked; what comes through the channel later is old.
    expect(bob.connection.reply('j')).toMatchObject({
      count: 2,
      members: [{ user: 'ann' }, { user: 'bob' }],
    });
    store.deliver();
    await advance(200);
    expect(await present(ann)).toEqual(['ann', 'bob']);
  });
});

describe('the state of a user', () => {
  it('that was set elsewhere while nothing was heard here is what a rebuild writes', async () => {
    const [one, two] = beginTwo();
    const [here, there] = [await one.hello('ann'), await two.hello('ann')];
    for (const client of [here, there]) await client.join('r', { state: { n: 1 } });
    await one.advance(200);
    one.store.loseLink();
    expect(await there.request({ type: 'state', room: 'r', state: { n: 2 } })).toMatchObject({ type: 'ok' });
    one.store.relink();
    await one.advance(12_000);
    one.store.empty();
    one.store.rebuild();
    await one.advance(200);
    const reply = await one.store.presence.snapshot('r', 10);
    expect(reply.members).toMatchObject([{ user: 'ann', state: '{"n":2}' }]);
  });

  it('that was set elsewhere while a snapshot was under way is not undone by it', async () => {
    const [one, two] = beginTwo();
    const [here, there] = [await one.hello('ann'), await two.hello('ann')];
    for (const client of [here, there]) await client.join('r', { state: { n: 1 } });
    await one.advance(200);
    const held = gate();
    one.store.after('snapshot', () => held.opened);
    one.store.events.gap('r');
    await one.settle();
    expect(await there.request({ type: 'state', room: 'r', state: { n: 2 } })).toMatchObject({ type: 'ok' });
    one.store.after('snapshot', undefined);
    held.open();
    await one.advance(200);
    one.store.empty();
    one.store.rebuild();
    await one.advance(200);
    const { members } = await one.store.presence.snapshot('r', 10);
    expect(members).toMatchObject([{ user: 'ann', state: '{"n":2}' }]);
  });

  it('that was acknowledged is in what its own connection is told when it joins again', async () => {
    const { hello, store, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r', { state: { n: 1 } });
    await advance(200);
    store.delayEvents();
    expect(await ann.request({ type: 'state', room: 'r', state: { n: 2 } })).toMatchObject({ type: 'ok' });
    ann.say({ type: 'join', id: 'again', room: 'r' });
    await advance(300);
    expect(ann.connection.reply('again')).toMatchObject({ members: [{ user: 'ann', state: { n: 2 } }] });
  });

  it('is told as updated, the last one of a window, and belongs to the user', async () => {
    const { hello, advance } = begin();
    const [watcher, ann, annToo] = [await hello('watcher'), await hello('ann'), await hello('ann')];
    for (const client of [watcher, ann, annToo]) await client.join('r');
    await advance(200);
    told(watcher);
    expect(await ann.request({ type: 'state', room: 'r', state: { n: 1 } })).toMatchObject({
      type: 'ok',
      room: 'r',
    });
    await annToo.request({ type: 'state', room: 'r', state: { n: 2 } });
    await advance(200);
    expect(told(watcher)).toEqual([{ count: 2, updated: [{ user: 'ann', state: { n: 2 } }] }]);
    ann.say({ type: 'leave', room: 'r' });
    await advance(200);
    const reply = await watcher.request({ type: 'presence', room: 'r' });
    expect(reply['members']).toMatchObject([{ user: 'watcher' }, { user: 'ann', state: { n: 2 } }]);
  });

  it('that was acknowledged is in what is asked for next, by any tab and also where the channel is slow', async () => {
    // Seen with a state of 100 KB: `ok` came, the change was still on its way, and `presence` showed the old state.
    const { hello, store, advance } = begin();
    const [ann, annToo] = [await hello('ann'), await hello('ann')];
    await ann.join('r');
    store.delayEvents();
    expect(await ann.request({ type: 'state', room: 'r', state: { n: 1 } })).toMatchObject({ type: 'ok' });
    ann.say({ type: 'presence', id: 'p', room: 'r' });
    annToo.say({ type: 'join', id: 'j', room: 'r' });
    await advance(300);
    for (const reply of [ann.connection.reply('p'), annToo.connection.reply('j')])
      expect(reply).toMatchObject({ members: [{ user: 'ann', state: { n: 1 } }] });
  });

  it('is not waited for in a store that came back empty', async () => {
    const { hello, store, settle, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    for (let n = 1; n <= 9; n += 1) await ann.request({ type: 'state', room: 'r', state: { n } });
    store.loseLink();
    store.empty();
    store.relink(false);
    store.rebuild();
    await advance(30_000);
    ann.say({ type: 'presence', id: 'p', room: 'r' });
    await settle();
    expect(ann.connection.reply('p')).toMatchObject({ members: [{ user: 'ann', state: { n: 9 } }] });
  });

  it('is left as it is by a join without one, and ends with the membership', async () => {
    const { hello, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r', { state: { n: 1 } });
    expect((await ann.join('r'))['members']).toMatchObject([{ state: { n: 1 } }]);
    ann.say({ type: 'leave', room: 'r' });
    await advance(200);
    expect((await ann.join('r'))['members']).toMatchObject([{ state: {} }]);
  });

  it('that another node set outlives the loss of the store', async () => {
    const [one, two] = beginTwo();
    const [ann, annToo] = [await one.hello('ann'), await two.hello('ann')];
    await ann.join('r');
    await annToo.join('r', { state: { n: 1 } });
    await one.advance(200);
    one.store.empty();
    one.store.rebuild();
    two.store.rebuild();
    await one.advance(10_000);
    const reply = await ann.request({ type: 'presence', room: 'r' });
    expect(reply['members']).toMatchObject([{ user: 'ann', state: { n: 1 } }]);
  });

  it('that was there before a node had the user outlives it too', async () => {
    // Without this, the node that does not know the state writes an empty one, and comes first.
    const [one, two] = beginTwo();
    const [ann, annToo] = [await one.hello('ann'), await two.hello('ann')];
    await ann.join('r', { state: { n: 1 } });
    await annToo.join('r');
    await one.advance(200);
    one.store.empty();
    two.store.rebuild();
    await one.settle();
    one.store.rebuild();
    await one.advance(10_000);
    const reply = await ann.request({ type: 'presence', room: 'r' });
    expect(reply['members']).toMatchObject([{ user: 'ann', state: { n: 1 } }]);
  });
});

describe('a state that was answered with an error', () => {
  async function pair(): Promise<{ one: NodeFixture; ann: Client; shown: () => Promise<unknown> }> {
    const [one, two] = beginTwo();
    const [ann, bob] = [await one.hello('ann'), await two.hello('bob')];
    await ann.join('r', { state: { at: 1 } });
    await bob.join('r');
    const shown = async () => {
      await one.advance(1_000);
      const { members } = await bob.request({ type: 'presence', room: 'r' });
      return (members as { user: string; state: object }[]).find(({ user }) => user === 'ann')?.state;
    };
    return { one, ann, shown };
  }

  const refuse = () => {
    throw new BrokerError('unavailable', 'no lease');
  };

  it('"unavailable" because Redis is away is not there when Redis is back', async () => {
    const { one, ann, shown } = await pair();
    one.store.goDown();
    expect(await ann.request({ type: 'state', room: 'r', state: { at: 2 } })).toMatchObject({
      code: 'unavailable',
    });
    expect(await ann.join('r', { state: { at: 3 } })).toMatchObject({ code: 'unavailable' });
    one.store.comeUp();
    one.store.relink();
    expect(await shown()).toEqual({ at: 1 });
  });

  it('"unavailable" because the write was refused, as by a lease that ran out, is not written later', async () => {
    const { one, ann, shown } = await pair();
    one.store.before('hold', refuse);
    expect(await ann.request({ type: 'state', room: 'r', state: { at: 2 } })).toMatchObject({
      code: 'unavailable',
    });
    expect(await ann.join('r', { state: { at: 3 } })).toMatchObject({ code: 'unavailable' });
    one.store.before('hold', undefined);
    expect(await shown()).toEqual({ at: 1 });
  });

  it('"unavailable" because a join failed behind its write is taken back with the join', async () => {
    const { one, ann, shown } = await pair();
    const annToo = await one.hello('ann');
    one.store.before('read', refuse);
    const since = { epoch: 'of.old', seq: 1 };
    expect(await ann.join('r', { state: { at: 2 }, since })).toMatchObject({ code: 'unavailable' });
    expect(await annToo.join('r', { state: { at: 3 }, since })).toMatchObject({ code: 'unavailable' });
    expect(await shown()).toEqual({ at: 1 });
  });

  it('"unknown_outcome" because a join failed behind its write may be there, where the user is through another node', async () => {
    // That node cannot take back what it does not know. It said `unavailable`, and everybody saw the state.
    const [one, two] = beginTwo();
    const [ann, bob] = [await one.hello('ann'), await two.hello('bob')];
    await ann.join('r', { state: { at: 1 } });
    await bob.join('r');
    const annToo = await two.hello('ann');
    two.store.before('read', refuse);
    const since = { epoch: 'of.old', seq: 1 };
    const refused = await annToo.join('r', { state: { at: 2 }, since });
    expect(refused).toMatchObject({ code: 'unknown_outcome', retryable: true });
    two.store.before('hold', refuse);
    expect(await annToo.join('r', { state: { at: 3 }, since })).toMatchObject({ code: 'unavailable' });
    await one.advance(1_000);
    const { members } = await bob.request({ type: 'presence', room: 'r' });
    expect(members).toContainEqual(expect.objectContaining({ user: 'ann', state: { at: 2 } }));
  });

  it('"unknown_outcome" also where that node is just losing the user', async () => {
    const [one, two] = beginTwo();
    const [ann, annToo] = [await one.hello('ann'), await two.hello('ann')];
    for (const client of [ann, annToo]) await client.join('r');
    two.store.before('drop', refuse);
    two.store.before('read', refuse);
    annToo.say({ type: 'leave', room: 'r' });
    await two.settle();
    const since = { epoch: 'of.old', seq: 1 };
    const refused = await annToo.join('r', { state: { at: 2 }, since });
    expect(refused).toMatchObject({ code: 'unknown_outcome' });
  });

  it('"unknown_outcome" because it was under way when Redis went away may be there, and is', async () => {
    const { one, ann, shown } = await pair();
    const held = gate();
    one.store.before('hold', () => held.opened);
    ann.say({ type: 'state', id: 's', room: 'r', state: { at: 2 } });
    await one.settle();
    one.store.goDown();
    await one.settle();
    expect(ann.connection.reply('s')).toMatchObject({ code: 'unknown_outcome', retryable: true });
    one.store.before('hold', undefined);
    one.store.comeUp();
    one.store.relink();
    held.open();
    expect(await shown()).toEqual({ at: 2 });
  });
});

describe('what a member chose to receive', () => {
  it('"count" gets counts of joins and leaves alone, "none" gets nothing', async () => {
    const { hello, advance } = begin();
    const [none, count, ann] = [await hello('none'), await hello('count'), await hello('ann')];
    await none.join('r', { presence: 'none' });
    await count.join('r', { presence: 'count' });
    await advance(200);
    told(count);
    await ann.join('r');
    await advance(200);
    await ann.request({ type: 'state', room: 'r', state: { n: 1 } });
    await advance(200);
    expect(told(count)).toEqual([{ count: 3 }]);
    ann.say({ type: 'leave', room: 'r' });
    await advance(200);
    expect(told(count)).toEqual([{ count: 2 }]);
    expect(none.connection.of('presence')).toEqual([]);
  });

  it('does not keep anybody from asking', async () => {
    const { hello } = begin();
    const none = await hello('none');
    await none.join('r', { presence: 'none' });
    expect(await present(none)).toEqual(['none']);
  });
});

describe('who asked while a window was open', () => {
  it('is told from there on: the next diff joins on to the answer', async () => {
    const { hello, advance } = begin();
    const ann = await hello('ann');
    await ann.join('r');
    await advance(200);
    await (await hello('bob')).join('r', { presence: 'none' });
    const { version } = await ann.request({ type: 'presence', room: 'r' });
    ann.connection.take();
    await (await hello('cid')).join('r', { presence: 'none' });
    await advance(200);
    const frames = ann.connection.of('presence', 'r').filter((frame) => frame['version'] !== version);
    expect(frames).toMatchObject([{ previous: version, count: 3, joined: [{ user: 'cid' }] }]);
  });
});

describe('a storm of joins', () => {
  it('is one count for who wants counts, before and after its own join', async () => {
    const { hello, advance } = begin();
    const early = await hello('early');
    await early.join('r', { presence: 'count' });
    await advance(200);
    told(early);
    const late = await hello('late');
    await late.join('r', { presence: 'count' });
    for (const user of ['b', 'c', 'd']) await (await hello(user)).join('r');
    await advance(200);
    expect([told(early), told(late)]).toEqual([[{ count: 5 }], [{ count: 5 }]]);
  });

  it('joins on to what was told before, whatever those between two joiners asked for', async () => {
    // Only who is told diffs is a place where a step has to begin.
    const { hello, advance } = begin();
    const [ann, bob] = [await hello('ann'), await hello('bob')];
    await ann.join('r');
    await advance(200);
    told(ann);
    await (await hello('b')).join('r', { presence: 'none' });
    const { version } = await bob.join('r');
    await (await hello('c')).join('r', { presence: 'count' });
    await (await hello('d')).join('r', { presence: 'none' });
    await advance(200);
    expect(told(ann)).toEqual([{ count: 5, joined: ['b', 'bob', 'c', 'd'] }]);
    const frames = bob.connection.of('presence', 'r').filter((frame) => frame['version'] !== version);
    expect(frames).toMatchObject([{ previous: version, count: 5, joined: [{ user: 'c' }, { user: 'd' }] }]);
  });
});

describe('a big room', () => {
  const small = { limitPresenceMembers: 4, limitPresenceResume: 2 };

  it('is only counted above the limit, and listed again when few are left', async () => {
    const { hello, advance } = begin(small);
    const clients = new Map<string, Client>();
    for (const user of ['a', 'b', 'c', 'd']) clients.set(user, await hello(user));
    for (const client of clients.values()) await client.join('r');
    const [a] = clients.values();
    if (!a) throw new Error('nobody');
    await advance(200);
    told(a);
    const eve = await hello('eve');
    expect(await eve.join('r')).not.toHaveProperty('members');
    await advance(200);
    expect(told(a)).toEqual([{ count: 5 }]);
    expect(await a.request({ type: 'presence', room: 'r' })).toMatchObject({ count: 5 });
    for (const user of ['b', 'c']) clients.get(user)?.say({ type: 'leave', room: 'r' });
    await advance(200);
    expect(told(a)).toEqual([{ count: 3 }]);
    clients.get('d')?.say({ type: 'leave', room: 'r' });
    await advance(200);
    const frames = told(a);
    expect(frames.at(-1)).toEqual({ count: 2, members: ['a', 'eve'] });
    await clients.get('b')?.join('r');
    await advance(200);
    expect(told(a)).toEqual([{ count: 3, joined: ['b'] }]);
  });

  it('is listed whole where the limit is 0', async () => {
    const { hello } = begin({ limitPresenceMembers: 0, limitPresenceResume: 0 });
    for (const user of ['a', 'b']) await (await hello(user)).join('r');
    const eve = await hello('eve');
    expect((await eve.join('r'))['members']).toHaveLength(3);
    expect(await present(eve)).toEqual(['a', 'b', 'eve']);
  });
});

describe('changes that were missed', () => {
  /** Ann, alone in the room on the first of two nodes, who was told all there is. */
  async function watched(
    settings: Partial<Config> = {},
  ): Promise<{ one: NodeFixture; two: NodeFixture; ann: Client }> {
    const [one, two] = beginTwo(settings);
    const ann = await one.hello('ann');
    await ann.join('r');
    await one.advance(2 * (settings.presenceWindowMs ?? 100));
    told(ann);
    return { one, two, ann };
  }

  it('are told by one snapshot once the link is back', async () => {
    const [one, two] = beginTwo();
    const ann = await one.hello('ann');
    await ann.join('r');
    const bob = await two.hello('bob');
    await bob.join('r');
    await one.advance(200);
    told(ann);
    one.store.loseLink();
    bob.say({ type: 'leave', room: 'r' });
    await (await two.hello('cid')).join('r');
    await one.advance(1_000);
    expect(told(ann)).toEqual([]);
    one.store.relink();
    await one.advance(200);
    expect(told(ann)).toEqual([{ count: 2, members: ['ann', 'cid'] }]);
  });

  it('do not hide what was heard before: the open window is told first', async () => {
    const { one, two, ann } = await watched();
    const bob = await two.hello('bob');
    await bob.join('r');
    bob.say({ type: 'leave', room: 'r' });
    await one.settle();
    one.store.loseLink();
    await one.settle();
    expect(told(ann)).toEqual([
      { count: 2, joined: ['bob'] },
      { count: 1, left: ['bob left'] },
    ]);
  });

  it('are told where a snapshot was being read when the link was lost', async () => {
    // The snapshot was taken before the change, the change came while nothing was heard: an answer of before
    // the loss must not count as one of after it.
    const { one, two, ann } = await watched();
    const held = gate();
    one.store.after('snapshot', () => held.opened);
    one.store.events.gap('r');
    await one.settle();
    one.store.loseLink();
    await (await two.hello('bob')).join('r');
    one.store.relink();
    one.store.after('snapshot', undefined);
    held.open();
    await one.advance(3_000);
    expect(await present(ann)).toEqual(['ann', 'bob']);
  });

  it('are not lost where a joiner waits for its own change while a snapshot is read', async () => {
    // The snapshot was taken before bob came. What was heard of bob waits for it, and must not be thrown away
    // because somebody else asks for a newer copy.
    const { one, two, ann } = await watched();
    one.store.delayEvents();
    const cid = await one.hello('cid');
    cid.say({ type: 'join', id: 'j', room: 'r' });
    await one.advance(100);
    const held = gate();
    one.store.after('snapshot', () => held.opened);
    one.store.events.gap('r');
    await one.settle();
    await (await two.hello('bob')).join('r');
    one.store.deliver();
    await one.advance(300);
    one.store.after('snapshot', undefined);
    held.open();
    await one.advance(1_000);
    expect(cid.connection.reply('j')).toMatchObject({ type: 'joined' });
    expect(await present(ann)).toEqual(['ann', 'bob', 'cid']);
  });

  it('do not hide what was heard before where a joiner gave up waiting for its own', async () => {
    const { one, two, ann } = await watched({ presenceWindowMs: 1000 });
    one.store.delayEvents();
    const bob = await two.hello('bob');
    await bob.join('r');
    bob.say({ type: 'leave', room: 'r' });
    const cid = await one.hello('cid');
    cid.say({ type: 'join', id: 'j', room: 'r' });
    await one.advance(200);
    // Of bob's, not of cid's: their window is open when the store is asked.
    one.store.deliver(2);
    await one.advance(310);
    expect(cid.connection.reply('j')).toMatchObject({ count: 2 });
    expect(told(ann)).toEqual([
      { count: 2, joined: ['bob'] },
      { count: 1, left: ['bob left'] },
      { count: 2, members: ['ann', 'cid'] },
    ]);
    one.store.deliver();
  });

  it('are not hidden by a copy that was made while nothing was heard', async () => {
    const { one, two, ann } = await watched();
    one.store.loseLink();
    // Asking makes a copy, though nothing is heard.
    expect(await present(ann)).toEqual(['ann']);
    const held = gate();
    one.store.after('snapshot', () => held.opened);
    one.store.relink();
    await one.settle();
    const bob = await two.hello('bob');
    await bob.join('r');
    held.open();
    one.store.after('snapshot', undefined);
    await one.advance(3_000);
    expect(await present(ann)).toEqual(['ann', 'bob']);
  });

  it('at the end of a quiet room are found by the look at its head', async () => {
    const { one, two, ann } = await watched();
    one.store.delayEvents();
    await (await two.hello('bob')).join('r');
    one.store.discard(1);
    one.store.deliver();
    await one.advance(1_000);
    expect(told(ann)).toEqual([]);
    await one.advance(70_000);
    expect(told(ann)).toEqual([{ count: 2, members: ['ann', 'bob'] }]);
  });

  it('are told as soon as the store answers again', async () => {
    const { one, two, ann } = await watched();
    one.store.before('snapshot', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    one.store.loseLink();
    await (await two.hello('bob')).join('r');
    one.store.relink();
    await one.advance(10_000);
    expect(told(ann)).toEqual([]);
    one.store.before('snapshot', undefined);
    await one.advance(2_200);
    expect(told(ann)).toEqual([{ count: 2, members: ['ann', 'bob'] }]);
  });
});

describe('a store that came back empty', () => {
  async function outage(one: NodeFixture, two: NodeFixture): Promise<void> {
    for (const { store } of [one, two]) store.goDown();
    await one.advance(5_000);
    one.store.empty();
    for (const { store } of [one, two]) store.comeUp();
    for (const { store } of [one, two]) store.relink(false);
    // The other node's heartbeat finds out a little later.
    one.store.rebuild();
    await one.advance(1_500);
    two.store.rebuild();
  }

  it('shows no mass leave: the other nodes are given time to say whom they hold', async () => {
    const [one, two] = beginTwo();
    const [ann, bob] = [await one.hello('ann'), await two.hello('bob')];
    await ann.join('r');
    await bob.join('r');
    await one.advance(200);
    for (const client of [ann, bob]) told(client);
    await outage(one, two);
    await one.advance(10_000);
    for (const client of [ann, bob]) {
      const frames = told(client);
      expect(frames.length).toBeGreaterThan(0);
      for (const frame of frames) expect(frame.members?.sort()).toEqual(['ann', 'bob']);
    }
  });

  it('shows none either where a snapshot was being tried all along', async () => {
    const [one, two] = beginTwo();
    const [ann, bob] = [await one.hello('ann'), await two.hello('bob')];
    await ann.join('r');
    await bob.join('r');
    await one.advance(200);
    for (const client of [ann, bob]) told(client);
    one.store.before('snapshot', () => {
      throw new BrokerError('unavailable', 'no answer');
    });
    one.store.events.gap('r');
    await one.advance(300);
    one.store.before('snapshot', undefined);
    await outage(one, two);
    await one.advance(10_000);
    for (const frame of told(ann)) expect(frame.members?.sort()).toEqual(['ann', 'bob']);
  });
});
