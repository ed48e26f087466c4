import { afterEach, describe, expect, it } from 'vitest';
import type { ReadResult } from '../../src/broker/broker.ts';
import { loadConfig } from '../../src/config.ts';
import type { Entry } from '../../src/core/entry.ts';
import { textFrame } from '../../src/core/frame.ts';
import { Hub } from '../../src/core/hub.ts';
import type { Session } from '../../src/core/session.ts';
import { FanOut } from '../../src/node/fan-out.ts';
import { LargeReplies } from '../../src/node/large-replies.ts';
import { OutboxTotal } from '../../src/node/outbox-total.ts';
import { PresenceRelay } from '../../src/node/presence-relay.ts';
import { Relay } from '../../src/node/relay.ts';
import { SlowConsumers } from '../../src/node/slow-consumers.ts';
import { Turn, type Work } from '../../src/node/turn.ts';
import { messageFrame, signalFrame } from '../../src/protocol/encode.ts';
import type { Position } from '../../src/protocol/position.ts';
import { createFakeStore } from '../support/fake-broker.ts';
import { createFakeClock, createSeededRandom } from '../support/fake-clock.ts';
import { createSession, type FakeConnection, subscribe } from '../support/fake-connection.ts';
import {
  type Client,
  createNodeFixture,
  type FixtureOptions,
  type NodeFixture,
} from '../support/node-fixture.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';

const OUTBOX = 2000;
const TEXT = 'x'.repeat(300);
/** Enough of them fill the outbox, with room to spare. */
const FILLING = 20;

let fixture: NodeFixture | undefined;
afterEach(() => {
  expect(fixture?.violations() ?? []).toEqual([]);
  fixture = undefined;
});

interface Scene extends NodeFixture {
  /** The member that will not read. */
  readonly slow: Client;
  /** A member that reads, and publishes. */
  readonly bob: Client;
  /** Publishes that many messages to the room, numbered on from the last. */
  fill(count: number, room?: string): Promise<void>;
}

async function begin(settings: FixtureOptions['settings'] = {}, ...rooms: string[]): Promise<Scene> {
  fixture = createNodeFixture({
    settings: { limitOutboxBytes: OUTBOX, limitPublishPerSecond: 0, presenceWindowMs: 100, ...settings },
  });
  const [slow, bob] = [await fixture.hello('slow'), await fixture.hello('bob')];
  for (const room of rooms.length > 0 ? rooms : ['r']) {
    expect((await slow.join(room)).type).toBe('joined');
    await bob.join(room);
  }
  await fixture.advance(300);
  const fill = async (count: number, room = 'r') => {
    for (let n = 0; n < count; n += 1) expect((await bob.publish(room, TEXT)).type).toBe('ok');
  };
  return { ...fixture, slow, bob, fill };
}

/** Its peer takes everything there is and then nothing again, as often as it is called. */
function sipping(connection: FakeConnection): () => void {
  let waiting: (() => void)[] = [];
  connection.stuck = true;
  connection.onDrained = (then) => void waiting.push(then);
  return () => {
    const drained = waiting;
    waiting = [];
    connection.progress += connection.queuedBytes;
    connection.queuedBytes = 0;
    for (const then of drained) then();
  };
}

const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, n) => from + n);

describe('a member that does not read', () => {
  it('is paused at its exact position while the others get everything', async () => {
    const { slow, bob, fill } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    const got = slow.connection.seqs('r');
    expect(got).toEqual(upTo(got.length));
    expect(got.length).toBeLessThan(10);
    expect(slow.connection.queuedBytes).toBeLessThan(OUTBOX + 1000);
    await fill(FILLING);
    expect(slow.connection.seqs('r')).toEqual(got);
    expect(bob.connection.seqs('r')).toEqual(upTo(2 * FILLING));
  });

  it('gets what it missed from the ring once it drained, each once and in order, then live messages, with no read', async () => {
    const { slow, bob, fill, settle, store } = await begin();
    slow.connection.stuck = true;
    await fill(100);
    store.calls.length = 0;
    slow.connection.drain();
    await settle();
    expect(slow.connection.seqs('r')).toEqual(upTo(100));
    expect(store.calls).toEqual([]);
    await fill(5);
    expect(slow.connection.seqs('r')).toEqual(upTo(105));
    expect(slow.connection.messages('r')).toEqual(bob.connection.messages('r'));
  });

  it('gets once what was heard but not yet written when it drained', async () => {
    const { slow, bob, fill, settle, store } = await begin();
    slow.connection.stuck = true;
    await fill(8);
    const { epoch } = bob.connection.position('r') ?? { epoch: '' };
    const body = Buffer.from('"from":{"user":"eve","connection":"c"},"data":1}');
    store.events.message('r', epoch, { seq: 9, ts: 1, body });
    slow.connection.drain();
    // It is at the end of the ring before the turn ends in which the others are written to.
    for (let n = 0; n < 20; n += 1) await Promise.resolve();
    await settle();
    for (const { connection } of [slow, bob]) expect(connection.seqs('r')).toEqual(upTo(9));
  });

  it('gets it from the store where the ring no longer reaches back', async () => {
    const { slow, fill, settle, store } = await begin({ ringMessages: 4 });
    slow.connection.stuck = true;
    await fill(200);
    store.calls.length = 0;
    slow.connection.drain();
    await settle();
    expect(store.calls).toContain('read r');
    await fill(3);
    expect(slow.connection.seqs('r')).toEqual(upTo(203));
    expect(slow.connection.of('reset')).toEqual([]);
  });

  it('misses nothing of what is published while the store is asked for it', async () => {
    const { slow, bob, fill, settle, store } = await begin({ ringMessages: 4 });
    slow.connection.stuck = true;
    await fill(FILLING);
    let answer: () => void = () => undefined;
    store.after('read', () => new Promise<void>((resolve) => void (answer = resolve)));
    slow.connection.drain();
    await settle();
    await fill(3);
    store.after('read', undefined);
    answer();
    await settle();
    await fill(2);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING + 5));
    expect(slow.connection.messages('r')).toEqual(bob.connection.messages('r'));
  });

  it.each([{ ringMessages: 256 }, { ringMessages: 4 }])(
    'catches up in chunks its connection can take ($ringMessages messages in the ring)',
    async (ring) => {
      const { slow, fill, settle } = await begin(ring);
      const sip = sipping(slow.connection);
      await fill(120);
      let sips = 0;
      for (; slow.connection.seqs('r').length < 120 && sips < 100; sips += 1) {
        expect(slow.connection.queuedBytes).toBeLessThan(2 * OUTBOX + 1000);
        sip();
        await settle();
      }
      expect(slow.connection.seqs('r')).toEqual(upTo(120));
      // Not one by one either.
      expect(sips).toBeLessThan(30);
    },
  );

  it.each([
    { historyMessages: 10, ringMessages: 4 },
    { historyMessages: 300, ringMessages: 4 },
  ])(
    'is told `reset trimmed` and all that is kept where it fell behind that ($historyMessages kept)',
    async (kept) => {
      const { slow, bob, fill, settle } = await begin(kept);
      slow.connection.stuck = true;
      await fill(kept.historyMessages + 50);
      const before = slow.connection.seqs('r');
      slow.connection.take();
      slow.connection.drain();
      // Some hundred chunks, each a promise or more deep.
      for (let round = 0; round < 5; round += 1) await settle();
      await fill(2);
      expect(before.length).toBeLessThan(10);
      expect(slow.connection.of('reset')).toMatchObject([{ reason: 'trimmed', seq: 50 }]);
      expect(slow.connection.seqs('r')).toEqual(upTo(kept.historyMessages + 2, 51));
      expect(bob.connection.of('reset')).toEqual([]);
    },
  );

  it('gets epoch frames in their place when the store began a new term meanwhile', async () => {
    const { slow, bob, store, settle } = await begin({ ringMessages: 4 });
    const log = new TwoTerms(slow.connection.position('r')?.epoch ?? '', 30);
    Object.assign(store.broker, { read: log.read });
    slow.connection.stuck = true;
    for (let seq = 1; seq <= 40; seq += 1) {
      log.top = seq;
      store.events.message('r', log.epochOf(seq), log.entry(seq));
      await settle();
    }
    expect(bob.connection.seqs('r')).toEqual(upTo(40));
    expect(slow.connection.seqs('r').length).toBeLessThan(15);
    slow.connection.drain();
    await settle();
    for (const { connection } of [bob, slow]) {
      const told = connection.frames.filter((frame) => frame.type === 'message' || frame.type === 'epoch');
      expect(told.map(({ type, seq }) => `${type} ${String(seq)}`)).toEqual([
        ...upTo(29).map((seq) => `message ${seq}`),
        'epoch 29',
        ...upTo(11, 30).map((seq) => `message ${seq}`),
      ]);
    }
    expect(slow.connection.position('r')).toEqual(bob.connection.position('r'));
  });

  it('waits while its room is not whole, and then gets all', async () => {
    const { slow, bob, store, fill, advance } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    const got = slow.connection.seqs('r').length;
    store.loseLink();
    await fill(5);
    slow.connection.drain();
    await advance(1000);
    expect(slow.connection.seqs('r')).toHaveLength(got);
    store.relink();
    await advance(1000);
    await fill(2);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING + 7));
    expect(bob.connection.seqs('r')).toEqual(upTo(FILLING + 7));
  });

  it('tries again when the store cannot be asked', async () => {
    const { slow, store, fill, settle, advance } = await begin({ ringMessages: 4 });
    slow.connection.stuck = true;
    await fill(FILLING);
    store.before('read', () => Promise.reject(new Error('no')));
    slow.connection.drain();
    await settle();
    const got = slow.connection.seqs('r').length;
    expect(got).toBeLessThan(10);
    await advance(1000);
    store.before('read', undefined);
    await advance(300);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING));
  });

  it('is told `reset lost` when its room began anew meanwhile, and then what there is', async () => {
    const { slow, bob, store, fill, settle, advance } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    store.loseLink();
    store.empty();
    store.relink();
    await advance(100);
    await fill(3);
    slow.connection.take();
    slow.connection.drain();
    await settle();
    await fill(2);
    const told = slow.connection.frames.filter(({ type }) => type === 'reset' || type === 'message');
    expect(told.map(({ type }) => type)).toEqual(['reset', ...upTo(5).map(() => 'message')]);
    expect(told[0]).toMatchObject({ reason: 'lost', seq: 0 });
    expect(slow.connection.position('r')).toEqual(bob.connection.position('r'));
  });

  it('sheds signals: they are not kept for later', async () => {
    const { slow, bob, fill, settle, advance } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    slow.say({ type: 'ping' });
    bob.say({ type: 'signal', room: 'r', data: 'shed' });
    await settle();
    slow.connection.drain();
    await advance(1000);
    expect(slow.connection.of('signal')).toEqual([]);
    const third = await fixture?.hello('third');
    await third?.join('r');
    third?.say({ type: 'signal', room: 'r', data: 'seen' });
    await settle();
    expect(slow.connection.of('signal').map(({ data }) => data)).toEqual(['seen']);
  });

  it('is spared a signal alone without being paused', async () => {
    const { slow, bob, fill, settle } = await begin();
    slow.connection.stuck = true;
    slow.connection.queuedBytes = OUTBOX + 1;
    bob.say({ type: 'signal', room: 'r', data: 'shed' });
    await settle();
    slow.connection.drain();
    await fill(1);
    expect(slow.connection.of('signal')).toEqual([]);
    expect(slow.connection.seqs('r')).toEqual([1]);
  });

  it.each(['full', 'count'])(
    'is told one snapshot for all changes of presence it missed (%s)',
    async (presence) => {
      const { slow, bob, advance, hello, settle } = await begin();
      await slow.join('r', { presence });
      slow.connection.take();
      const sip = sipping(slow.connection);
      slow.connection.queuedBytes = OUTBOX + 1;
      for (const user of ['ann', 'cid', 'dan']) {
        await (await hello(user)).join('r');
        await advance(200);
      }
      expect(slow.connection.of('presence')).toEqual([]);
      // No longer full, but not drained either: what joins on to a diff that was shed is shed as well.
      slow.connection.queuedBytes = 10;
      await (await hello('eve')).join('r');
      await advance(200);
      expect(slow.connection.of('presence')).toEqual([]);
      sip();
      await settle();
      const told = slow.connection.of('presence');
      expect(told).toHaveLength(1);
      const { version, count } = await bob.request({ type: 'presence', room: 'r' });
      expect(told[0]).toMatchObject({ version, count: 6 });
      expect(count).toBe(6);
      if (presence === 'full') expect(told[0]?.['members']).toHaveLength(6);
      else expect(told[0]?.['members']).toBeUndefined();
      slow.connection.stuck = false;
      await (await hello('fay')).join('r');
      await advance(200);
      expect(slow.connection.of('presence').slice(1)).toMatchObject([
        presence === 'full' ? { previous: version } : { count: 7 },
      ]);
    },
  );

  it('is told a snapshot that the diffs after it join on to, also in the middle of a window', async () => {
    const { slow, bob, advance, settle } = await begin();
    const change = (n: number) => bob.request({ type: 'state', room: 'r', state: { n } });
    slow.connection.take();
    slow.connection.stuck = true;
    slow.connection.queuedBytes = OUTBOX + 1;
    await change(1);
    await advance(200);
    await change(2);
    slow.connection.drain();
    await settle();
    await change(3);
    await advance(200);
    const [snapshot, ...diffs] = slow.connection.of('presence');
    let version = snapshot?.['version'];
    for (const diff of diffs) {
      // One that ends where the snapshot is changes nothing.
      if (diff['version'] === version) continue;
      expect(diff['previous']).toBe(version);
      version = diff['version'];
    }
    expect(diffs.length).toBeGreaterThan(0);
  });

  it('catches up in each of two rooms', async () => {
    const { slow, bob, fill, settle } = await begin({}, 'r', 'q');
    const sip = sipping(slow.connection);
    for (let n = 0; n < FILLING; n += 1) {
      await fill(1, 'r');
      await fill(1, 'q');
    }
    for (const room of ['r', 'q']) expect(slow.connection.seqs(room).length).toBeLessThan(10);
    for (let sips = 0; sips < 20; sips += 1) {
      sip();
      await settle();
    }
    slow.connection.stuck = false;
    await fill(1, 'r');
    await fill(1, 'q');
    for (const room of ['r', 'q']) {
      expect(slow.connection.seqs(room)).toEqual(upTo(FILLING + 1));
      expect(slow.connection.messages(room)).toEqual(bob.connection.messages(room));
    }
  });

  it('catches up in a room in which it fell behind again while the other one was read', async () => {
    const { slow, fill, settle, store } = await begin({ ringMessages: 40 }, 'r', 'q');
    slow.connection.stuck = true;
    await fill(10, 'r');
    await fill(60, 'q');
    let answer: () => void = () => undefined;
    store.after('read', () => new Promise<void>((resolve) => void (answer = resolve)));
    slow.connection.drain();
    await settle();
    expect(slow.connection.seqs('r')).toEqual(upTo(10));
    slow.connection.stuck = true;
    await fill(FILLING, 'r');
    expect(slow.connection.seqs('r').length).toBeLessThan(10 + FILLING);
    slow.connection.drain();
    store.after('read', undefined);
    answer();
    await settle();
    expect(slow.connection.seqs('r')).toEqual(upTo(10 + FILLING));
    expect(slow.connection.seqs('q')).toEqual(upTo(60));
  });

  it('catches up in one room while another cannot go on', async () => {
    const { slow, fill, settle, store, advance } = await begin({ ringMessages: 4 }, 'r', 'q');
    slow.connection.stuck = true;
    await fill(FILLING, 'r');
    await fill(FILLING, 'q');
    store.before('read', (room) => (room === 'r' ? Promise.reject(new Error('no')) : undefined));
    slow.connection.drain();
    await settle();
    expect(slow.connection.seqs('q')).toEqual(upTo(FILLING));
    store.before('read', undefined);
    await advance(300);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING));
  });

  it('gets nothing more of a room it left, and joins again with what it missed', async () => {
    const { slow, fill, settle } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    const since = { ...slow.connection.position('r') };
    const got = slow.connection.seqs('r');
    expect((await slow.request({ type: 'leave', room: 'r' })).type).toBe('ok');
    await fill(1);
    slow.connection.drain();
    await settle();
    expect(slow.connection.seqs('r')).toEqual(got);
    expect(await slow.join('r', { since })).toMatchObject({ recovered: true });
    await fill(1);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING + 2));
  });

  it('that joins anew while it is behind is answered after it drained, and goes on from there', async () => {
    const { slow, bob, fill, settle } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    const since = { ...slow.connection.position('r') };
    slow.say({ type: 'join', room: 'r', id: 'again', since });
    await settle();
    expect(slow.connection.reply('again')).toBeUndefined();
    slow.connection.drain();
    await settle();
    expect(slow.connection.reply('again')).toMatchObject({ type: 'joined', recovered: true });
    await fill(2);
    expect(slow.connection.position('r')).toEqual(bob.connection.position('r'));
  });

  it('gets everything where the limit is 0', async () => {
    const { slow, fill, advance } = await begin({ limitOutboxBytes: 0, limitOutboxTotalBytes: 0 });
    slow.connection.stuck = true;
    await fill(100);
    await advance(60_000);
    expect(slow.connection.seqs('r')).toEqual(upTo(100));
    expect(slow.connection.closedWith).toBeUndefined();
  });
});

describe('what a full connection makes wait', () => {
  it('is the reply to a join', async () => {
    const { slow, bob, fill, settle, advance } = await begin();
    await bob.join('q');
    slow.connection.stuck = true;
    await fill(FILLING);
    slow.say({ type: 'join', room: 'q', id: 'j', history: 5 });
    await advance(5000);
    expect(slow.connection.reply('j')).toBeUndefined();
    await fill(3, 'q');
    slow.connection.drain();
    await settle();
    expect(slow.connection.reply('j')).toMatchObject({ type: 'joined', seq: 3 });
    await fill(1, 'q');
    expect(slow.connection.seqs('q')).toEqual([1, 2, 3, 4]);
  });

  it('is a join that is given up when the connection closes', async () => {
    const { slow, bob, fill, settle, advance, node } = await begin({ presenceHoldMs: 100 });
    await bob.join('q');
    slow.connection.stuck = true;
    await fill(FILLING);
    slow.say({ type: 'join', room: 'q', id: 'j' });
    await settle();
    slow.drop();
    slow.connection.drain();
    await advance(1000);
    expect(slow.connection.of('joined', 'q')).toEqual([]);
    expect([...node.hub.members('q')].map(({ session }) => session.user)).toEqual(['bob']);
    expect(await bob.request({ type: 'presence', room: 'q' })).toMatchObject({ count: 1 });
  });

  it('is `status up`, until the member has everything again', async () => {
    const { slow, bob, store, fill, advance } = await begin();
    slow.connection.stuck = true;
    await fill(FILLING);
    store.goDown();
    store.comeUp();
    store.relink();
    await advance(6000);
    const told = ({ connection }: Client) => connection.of('status').map(({ redis }) => redis);
    expect(told(bob)).toEqual(['down', 'up']);
    expect(told(slow)).toEqual(['down']);
    slow.connection.drain();
    await advance(6000);
    expect(told(slow)).toEqual(['down', 'up']);
    const { frames } = slow.connection;
    const last = frames.findLastIndex((frame) => frame.type === 'message');
    expect(frames.findIndex((frame) => frame['redis'] === 'up')).toBeGreaterThan(last);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING));
  });
});

describe('a member that takes nothing', () => {
  it('is told 4009 after limitOutboxStallMs, and its socket is ended a second later', async () => {
    const { slow, bob, fill, advance } = await begin({ limitOutboxStallMs: 5000 });
    slow.connection.stuck = true;
    await fill(FILLING);
    await advance(4000);
    expect(slow.connection.closedWith).toBeUndefined();
    await advance(2000);
    expect(slow.connection.of('closing')).toMatchObject([{ code: 4009, reconnect: 'now' }]);
    expect(slow.connection.closedWith).toMatchObject({ code: 4009 });
    expect(slow.connection.terminated).toBe(false);
    await advance(1000);
    expect(slow.connection.terminated).toBe(true);
    expect(bob.connection.closedWith).toBeUndefined();
  });

  it('is not closed while it takes a little now and then', async () => {
    const { slow, fill, advance } = await begin({ limitOutboxStallMs: 5000 });
    slow.connection.stuck = true;
    await fill(FILLING);
    for (let n = 0; n < 10; n += 1) {
      slow.connection.progress += 1;
      slow.connection.queuedBytes -= 1;
      await advance(4000);
    }
    expect(slow.connection.closedWith).toBeUndefined();
    await advance(7000);
    expect(slow.connection.closedWith).toMatchObject({ code: 4009 });
  });

  it('is not closed while it waits for its room, having taken all there was', async () => {
    const { slow, store, fill, advance } = await begin({ limitOutboxStallMs: 5000 });
    slow.connection.stuck = true;
    await fill(FILLING);
    store.loseLink();
    slow.connection.drain();
    await advance(20_000);
    expect(slow.connection.closedWith).toBeUndefined();
  });

  it('is never closed for that where the limit is 0', async () => {
    const { slow, fill, advance } = await begin({ limitOutboxStallMs: 0 });
    slow.connection.stuck = true;
    await fill(FILLING);
    await advance(100_000);
    expect(slow.connection.closedWith).toBeUndefined();
    slow.connection.drain();
    await advance(0);
    expect(slow.connection.seqs('r')).toEqual(upTo(FILLING));
  });

  // It once was told 4009, "now": all of them came back within 2 s and filled the node again.
  it('is closed first where all connections together hold too much: the largest, with 1013, and no more than needed', async () => {
    const { node, slow, bob, hello, advance } = await begin({
      limitOutboxTotalBytes: 10_000,
      limitOutboxStallMs: 0,
    });
    const third = await hello('third');
    for (const [client, bytes] of [
      [bob, 3000],
      [slow, 6000],
      [third, 5000],
    ] as const) {
      client.connection.stuck = true;
      client.connection.queuedBytes = bytes;
      // As a connection says that it was given something its peer did not take.
      node.outbox.grew(1);
    }
    await advance(1000);
    expect(slow.connection.of('closing')).toMatchObject([{ code: 1013, reconnect: 'after' }]);
    expect(slow.connection.closedWith).toMatchObject({ code: 1013 });
    expect([bob, third].map(({ connection }) => connection.closedWith)).toEqual([undefined, undefined]);
    slow.connection.queuedBytes = 0;
    slow.drop();
    await advance(5000);
    expect([bob, third].map(({ connection }) => connection.closedWith)).toEqual([undefined, undefined]);
  });
});

describe('the keeper', () => {
  it('forgets who caught up, who left while it was behind, and who was closed while it was behind', async () => {
    const { member, publish, slow, hub, clock, sweep } = rig();
    await clock.advanceAsync(10);
    const timers = clock.pendingTimers();
    for (const end of ['drain', 'leave', 'close'] as const) {
      const { session, connection } = member();
      connection.stuck = true;
      await publish(FILLING);
      expect(slow.size).toBe(1);
      if (end === 'leave') hub.leave(session, 'r');
      if (end === 'close') {
        session.closed = true;
        hub.remove(session);
        sweep();
        expect(slow.size).toBe(0);
      } else {
        connection.drain();
        await clock.advanceAsync(0);
      }
      expect(slow.size).toBe(0);
      await clock.advanceAsync(1000);
      expect(clock.pendingTimers()).toBe(timers);
      expect(connection.violations).toEqual([]);
      hub.remove(session);
    }
  });

  it('forgets who was closed while the store was asked for it, and writes nothing to it', async () => {
    const { member, publish, slow, hub, clock, store } = rig({ ringMessages: 4 });
    const { session, connection } = member();
    connection.stuck = true;
    await publish(FILLING);
    let answer: () => void = () => undefined;
    store.after('read', () => new Promise<void>((resolve) => void (answer = resolve)));
    connection.drain();
    await clock.advanceAsync(0);
    const before = connection.frames.length;
    session.closed = true;
    hub.remove(session);
    answer();
    await clock.advanceAsync(0);
    expect(connection.frames).toHaveLength(before);
    expect(slow.size).toBe(0);
  });
});

describe('what slow consumers cost the others', () => {
  it('is no long turn, however many drain at the same time, and one chunk for all of them', async () => {
    const { member, publish, clock, slow, spend } = rig({ limitOutboxBytes: OUTBOX });
    await clock.advanceAsync(10);
    const written = new Map<Buffer, number>();
    const members = Array.from({ length: 1000 }, () => member());
    const healthy = member();
    for (const { connection } of members) connection.stuck = true;
    await publish(40);
    expect(slow.size).toBe(1000);
    for (const { connection } of members) {
      const { write } = connection;
      connection.write = (frames) => {
        // As copying two kilobytes into the kernel does, and more.
        spend.ms(0.02);
        written.set(frames, (written.get(frames) ?? 0) + 1);
        write.call(connection, frames);
      };
    }
    for (const { connection } of members) connection.drain();
    await publish(1);
    expect(spend.longestTurnMs()).toBeLessThan(9);
    // The member that was never slow did not wait for a thousand others.
    expect(healthy.connection.seqs('r')).toEqual(upTo(41));
    await clock.advanceAsync(1000);
    for (const { connection } of members) expect(connection.seqs('r')).toEqual(upTo(41));
    expect(slow.size).toBe(0);
    expect(spend.longestTurnMs()).toBeLessThan(9);
    // Who drained in the same turn at the same place was given the same bytes: some 20 chunks a member, few copies.
    const writes = [...written.values()].reduce((sum, count) => sum + count, 0);
    expect(written.size).toBeLessThan(writes / 5);
  });

  it('is nothing where a catch-up fails by a defect: it is logged, and its connection is told to come back', async () => {
    const { member, publish, clock, slow, logger } = rig();
    await clock.advanceAsync(10);
    const [faulty, sound] = [member(), member()];
    for (const { connection } of [faulty, sound]) connection.stuck = true;
    await publish(FILLING);
    const { write } = faulty.connection;
    faulty.connection.write = () => {
      throw new Error('a defect');
    };
    for (const { connection } of [faulty, sound]) connection.drain();
    await clock.advanceAsync(0);
    faulty.connection.write = write;
    expect(logger.saying('by a bug of ours')).toHaveLength(1);
    expect(faulty.connection.closedWith).toMatchObject({ code: 1011 });
    expect(sound.connection.seqs('r')).toEqual(upTo(FILLING));
    expect(slow.size).toBe(0);
  });

  it('is not the signals of who is not slow, where a turn brings more than a connection takes at once', async () => {
    const { member, clock, hub, append } = rig({ limitOutboxMaxBytes: 4000 });
    const { connection } = member();
    for (let seq = 1; seq <= 20; seq += 1) append(seq);
    append('signal');
    await clock.advanceAsync(1000);
    expect(hub.members('r').size).toBe(1);
    expect(connection.of('signal')).toHaveLength(1);
  });
});

describe('who is here, told anew', () => {
  it('is a step like a chunk: of many rooms no more than the connection takes at a time, and all in the end', async () => {
    // All at once they were megabytes in one turn, and the next reply closed a client that had just recovered.
    const own = createNodeFixture({
      settings: { limitOutboxBytes: 2_000, limitOutboxStallMs: 0, presenceWindowMs: 10 },
    });
    fixture = own;
    const slow = await own.hello('slow');
    const others = await Promise.all(Array.from({ length: 10 }, (_, n) => own.hello(`other-${n}`)));
    const rooms = Array.from({ length: 8 }, (_, n) => `room-${n}`);
    for (const room of rooms) {
      await slow.join(room);
      for (const other of others) await other.join(room, { state: { is: 's'.repeat(150) } });
    }
    await own.advance(100);
    slow.connection.stuck = true;
    slow.connection.queuedBytes = 3_000;
    for (const room of rooms) await others[0]?.request({ type: 'state', room, state: { is: 'new' } });
    await own.advance(100);
    slow.connection.take();
    let most = 0;
    for (let round = 0; round < 30; round += 1) {
      slow.connection.drain();
      slow.connection.stuck = true;
      await own.advance(20);
      most = Math.max(most, slow.connection.queuedBytes);
    }
    const told = slow.connection.of('presence').filter((frame) => 'members' in frame);
    expect(new Set(told.map((frame) => frame['room']))).toEqual(new Set(rooms));
    expect(most).toBeLessThan(2_000 + 4_000);
  });
});

describe('all that waits on a node', () => {
  const held = (bytes: number, ...buffers: Buffer[]) => {
    const session = createSession('user');
    session.connection.stuck = true;
    for (const buffer of buffers) session.connection.write(buffer);
    session.connection.queuedBytes += bytes;
    return session;
  };
  const closed = (bytesMax: number, sessions: readonly Session[]): unknown[] => {
    const clock = createFakeClock();
    const over: unknown[] = [];
    const total = new OutboxTotal(bytesMax, new Turn(clock), () => sessions);
    total.closeWith((session) => over.push(session));
    total.grew(1);
    total.check();
    clock.flushTurn();
    return over;
  };
  const shared = textFrame(JSON.stringify({ type: 'status', redis: 'up', pad: 'x'.repeat(1000) }));

  it('is counted as what is in memory: a message that waits for many is one', () => {
    const all = Array.from({ length: 10 }, () => held(0, shared, shared));
    expect(closed(2000, all)).toEqual([]);
    const own = held(3000, shared);
    expect(closed(2000, [...all, own])).toEqual([own]);
    expect(closed(0, [...all, own])).toEqual([]);
  });

  it('is counted in pieces where it is many buffers, with others at work in between, and to the end', () => {
    const many = Array.from({ length: 40 }, () => held(0, ...Array.from({ length: 1000 }, () => shared)));
    const clock = createFakeClock();
    const turn = new Turn(clock);
    const total = new OutboxTotal(2000, turn, () => [...many, held(2_000_000)]);
    const over: unknown[] = [];
    total.closeWith((session) => over.push(session));
    let others = 0;
    const other: Work = {
      listed: false,
      step() {
        others += 1;
        return over.length === 0 && others < 1000;
      },
    };
    total.grew(1);
    total.check();
    turn.add(other);
    clock.flushTurn();
    expect(over).toHaveLength(1);
    expect(others).toBeGreaterThanOrEqual(8);
  });

  it('says nothing of what the turn holds back: its peer had no chance to take it', () => {
    const corked = held(0);
    corked.connection.cork();
    corked.connection.write(shared);
    corked.connection.write(shared);
    expect(closed(1000, [corked])).toEqual([]);
    corked.connection.uncork();
    expect(closed(1000, [corked])).toEqual([corked]);

    const sharing = [held(0, shared), held(0, shared)];
    for (const { connection } of sharing) {
      connection.cork();
      connection.write(textFrame(JSON.stringify({ type: 'status', redis: 'up', pad: 'y'.repeat(1000) })));
    }
    expect(closed(1500, sharing)).toEqual([]);
  });

  it('is not looked for where nothing came to wait: nobody is asked, however many there are', () => {
    const clock = createFakeClock();
    let asked = 0;
    const total = new OutboxTotal(2000, new Turn(clock), () => {
      asked += 1;
      return [];
    });
    total.check();
    clock.flushTurn();
    expect(asked).toBe(0);
    total.grew(1);
    total.check();
    clock.flushTurn();
    total.check();
    clock.flushTurn();
    expect(asked).toBe(1);
  });

  it('is looked for again where something came to wait while it was counted: that may be behind the count', () => {
    const many = Array.from({ length: 40 }, () => held(0, ...Array.from({ length: 1000 }, () => shared)));
    const clock = createFakeClock();
    const turn = new Turn(clock);
    let counts = 0;
    const total = new OutboxTotal(1_000_000, turn, () => {
      counts += 1;
      return many;
    });
    let grown = false;
    const growing: Work = {
      listed: false,
      step() {
        if (counts === 1 && !grown) total.grew(1);
        grown = counts === 1;
        return !grown;
      },
    };
    total.grew(1);
    total.check();
    turn.add(growing);
    clock.flushTurn();
    expect([counts, grown]).toEqual([1, true]);
    total.check();
    clock.flushTurn();
    expect(counts).toBe(2);
  });

  it('is looked at as soon as a good part of the cap came to wait, not only once a second', async () => {
    const clock = createFakeClock();
    const turn = new Turn(clock);
    const own = held(3000);
    const closed: unknown[] = [];
    const total = new OutboxTotal(2000, turn, () => [own]);
    total.closeWith((session) => closed.push(session));
    total.grew(250);
    clock.flushTurn();
    expect(closed).toEqual([]);
    total.grew(1);
    // Not in the middle of the write that brought it about.
    expect(closed).toEqual([]);
    clock.flushTurn();
    expect(closed).toEqual([own]);
  });
});

/** The keeper with what it needs and nothing else, so that what it holds can be counted. */
function rig(settings: FixtureOptions['settings'] = {}) {
  const { config } = loadConfig({ env: {}, hostname: 'node-1' });
  const all = { ...config, limitOutboxBytes: OUTBOX, ...settings };
  const still = createFakeClock();
  let spentMs = 0;
  let longestMs = 0;
  const clock = {
    ...still,
    now: () => still.now() + spentMs,
    afterTurn: (run: () => void) =>
      still.afterTurn(() => {
        const before = spentMs;
        run();
        longestMs = Math.max(longestMs, spentMs - before);
      }),
  };
  const spend = { ms: (ms: number) => void (spentMs += ms), longestTurnMs: () => longestMs };
  const store = createFakeStore({ clock, random: createSeededRandom(1), settings: all });
  const logger = createRecordingLogger();
  const hub = new Hub();
  const turn = new Turn(clock);
  const outbox = new OutboxTotal(all.limitOutboxTotalBytes, turn, () => hub.sessions());
  const fanOut = new FanOut(hub, turn, clock, all);
  const presence = new PresenceRelay(hub, fanOut, store.presence, clock, logger, all, () => undefined);
  const relay = new Relay(store.broker, hub, fanOut, clock, logger, all, {
    live: () => undefined,
    presenceVersion: () => undefined,
  });
  const slow = new SlowConsumers({
    broker: store.broker,
    relay,
    presence,
    fanOut,
    outbox,
    turn,
    clock,
    logger,
    replies: new LargeReplies(clock, all),
    settings: all,
  });
  const ignore = () => undefined;
  store.broker.start({
    message: (room, epoch, entry) => relay.message(room, epoch, entry),
    presence: ignore,
    signal: ignore,
    gap: ignore,
    linkLost: ignore,
    subscribed: ignore,
    status: ignore,
  });
  void store.broker.subscribe('r').then(() => relay.follow('r'));
  let born = 0;
  const member = () => {
    born += 1;
    const session = createSession(`user-${born}`);
    hub.add(session);
    subscribe(hub, session, 'r');
    const at = relay.stream('r')?.cursor;
    // As the reply to a join would: from here on the connection checks every seq.
    session.connection.send(
      JSON.stringify({
        type: 'reset',
        room: 'r',
        epoch: at?.epoch ?? 'e',
        seq: at?.seq ?? 0,
        reason: 'lost',
      }),
    );
    return { session, connection: session.connection };
  };
  const publish = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      const body = `"from":{"user":"u","connection":"c"},"data":"${TEXT}"}`;
      await store.broker.publish({ room: 'r', user: 'u', body, lane: 'l' });
      await clock.advanceAsync(0);
    }
  };
  /** A message or a signal straight to the fan-out. */
  const append = (what: number | 'signal') => {
    const from = '"from":{"user":"u","connection":"c"}';
    const body = Buffer.from(`${from},"data":"${TEXT}"}`);
    if (what === 'signal') fanOut.append('r', textFrame(signalFrame('r', body)), { audience: () => true });
    else {
      const frame = textFrame(messageFrame('r', { seq: what, ts: 1, body }));
      fanOut.append('r', frame, { before: { epoch: 'e', seq: what - 1 } });
    }
  };
  return { clock, store, hub, slow, member, publish, append, spend, logger, sweep: () => slow.sweep() };
}

/** A store whose second term began at `start`; nothing was lost across it. */
class TwoTerms {
  top = 0;
  readonly #first: string;
  readonly #start: number;

  constructor(first: string, start: number) {
    this.#first = first;
    this.#start = start;
  }

  epochOf(seq: number): string {
    return seq < this.#start ? this.#first : 'second';
  }

  entry(seq: number): Entry {
    return { seq, ts: 1, body: Buffer.from(`"from":{"user":"u","connection":"c"},"data":"${TEXT}"}`) };
  }

  readonly read = async (_room: string, since: Position | null, limit: number): Promise<ReadResult> => {
    const { top } = this;
    if (!since) return { verdict: 'fresh', epoch: this.epochOf(top), top, presenceVersion: 0 };
    const last = Math.min(top, since.seq + limit);
    const crossed = since.epoch === this.#first && last >= this.#start;
    return {
      verdict: last === top ? 'ok' : 'more',
      epoch: last === since.seq ? since.epoch : this.epochOf(last),
      top,
      entries: upTo(last - since.seq, since.seq + 1).map((seq) => this.entry(seq)),
      terms: crossed ? [{ epoch: 'second', start: this.#start }] : [],
      presenceVersion: 0,
    };
  };
}
