/** What the page knows, without a browser: the truth of the badge, bounded lists, and what is made of other people's data. */
import { expect, test } from 'vitest';
import type { Client, Receipt, Room, RoomEvents } from '../../src/client/api.ts';
import { Emitter } from '../../src/client/emitter.ts';
import { RoomcastError } from '../../src/client/errors.ts';
import { Conversation } from '../../src/admin/demo/model/conversation.ts';
import { DirectMessages, THREADS_MAX } from '../../src/admin/demo/model/direct-messages.ts';
import { type LinkFacts, linkBadge } from '../../src/admin/demo/model/link-badge.ts';
import { Passing } from '../../src/admin/demo/model/passing.ts';
import { readMessage, readSignal } from '../../src/admin/demo/model/payload.ts';
import { hueOf, initials, readPerson } from '../../src/admin/demo/model/person.ts';
import { hashOf, placeOf, roomNameFrom } from '../../src/admin/demo/model/place.ts';
import { type Me, tidyName } from '../../src/admin/demo/model/profile.ts';
import { ENTRIES_MAX, Transcript, UNSENT_MAX } from '../../src/admin/demo/model/transcript.ts';

const FACTS: LinkFacts = {
  state: 'connected',
  retryAtMs: undefined,
  code: undefined,
  reason: undefined,
  node: 'node-a',
  redis: 'up',
  room: 'live',
};

test.each([
  [{}, 'good', 'Connected to node-a'],
  [{ room: undefined }, 'good', 'Connected to node-a'],
  [{ room: 'catching-up' }, 'busy', 'Catching up…'],
  [{ room: 'joining' }, 'busy', 'Joining…'],
  [{ room: 'left' }, 'bad', 'Not in this room'],
  [{ redis: 'down' }, 'warn', 'Degraded on node-a'],
  [{ redis: 'down', room: 'catching-up' }, 'warn', 'Degraded on node-a'],
  [{ state: 'connecting' }, 'busy', 'Connecting…'],
  [{ state: 'waiting', retryAtMs: 3400, code: 1006 }, 'warn', 'Reconnecting in 3 s'],
  [{ state: 'waiting', retryAtMs: 900 }, 'warn', 'Reconnecting…'],
  [{ state: 'closed', code: 4503, reason: 'forbidden' }, 'bad', 'Disconnected'],
] as const)('the badge for %o is %s: %s', (facts, tone, label) => {
  expect(linkBadge({ ...FACTS, ...facts }, 1000)).toMatchObject({ tone, label });
});

test('the badge says why, and tells a screen reader nothing that changes by the second', () => {
  const waiting = (retryAtMs: number) =>
    linkBadge({ ...FACTS, state: 'waiting', code: 1012, reason: 'draining', retryAtMs }, 0);
  expect(waiting(5000).detail).toContain('1012 (draining)');
  expect(waiting(5000).spoken).toBe(waiting(2000).spoken);
});

const message = (seq: number, more: object = {}) =>
  readMessage(
    { seq, ts: seq, epoch: 'e', from: { user: 'bob' }, data: { text: `${seq}`, name: 'Bob' }, ...more },
    'ann',
  );

test('a transcript keeps its newest entries, and the unsent behind them', () => {
  const transcript = new Transcript();
  for (let seq = 1; seq <= ENTRIES_MAX + 20; seq++) transcript.say(message(seq));
  transcript.write('key-k1', 'mine', 1);
  transcript.say(message(1000));
  const { entries } = transcript;
  expect(entries).toHaveLength(ENTRIES_MAX + 1);
  expect(entries.at(-1)).toMatchObject({ kind: 'unsent', text: 'mine' });
  expect(entries.at(-2)).toMatchObject({ kind: 'message', seq: 1000 });
  transcript.say(message(1001, { from: { user: 'ann' }, key: 'k1' }));
  expect(transcript.unsent).toEqual([]);
  expect(transcript.entries.at(-1)).toMatchObject({ kind: 'message', key: 'key-k1', seq: 1001 });
});

test('what cannot be sent is said, can be taken back, and is never more than a page holds', () => {
  const transcript = new Transcript();
  for (let count = 0; count < UNSENT_MAX; count++)
    expect(transcript.write(`key-${count}`, 'text', 1)).toBe(true);
  expect(transcript.write('key-more', 'text', 1)).toBe(false);
  transcript.fail('key-3', 'forbidden');
  expect(transcript.withdraw('key-3')).toMatchObject({ failure: 'forbidden' });
  expect(transcript.withdraw('key-3')).toBeUndefined();
  expect(transcript.unsent).toHaveLength(UNSENT_MAX - 1);
});

test('a key of somebody else is not a key of mine', () => {
  expect(message(7, { key: 'k1' }).key).toBe('seq-e-7');
  expect(message(7, { key: 'k1', from: { user: 'ann' } }).key).toBe('key-k1');
});

test('any JSON is shown as something, and no signal of others breaks the page', () => {
  expect(message(1, { data: 'plain', from: undefined })).toMatchObject({
    text: 'plain',
    user: '',
    foreign: false,
  });
  for (const data of [null, 1, [1], { text: 5 }, {}])
    expect(message(1, { data })).toMatchObject({ foreign: true, text: JSON.stringify(data) });
  for (const data of [
    null,
    'x',
    [],
    { kind: 'cursor', x: 2, y: 0 },
    { kind: 'cursor', x: '0', y: 0 },
    { kind: 'wave' },
  ])
    expect(readSignal(data)).toBeUndefined();
  expect(readSignal({ kind: 'cursor', x: 0.5, y: 1 })).toEqual({ kind: 'cursor', x: 0.5, y: 1 });
});

test('typing and cursors end by themselves, and only so many are held', () => {
  const passing = new Passing<number>({ lastMs: 100, peopleMax: 2 });
  expect([passing.set('a', 1, 0), passing.set('b', 1, 50), passing.set('c', 1, 50)]).toEqual([
    true,
    true,
    false,
  ]);
  expect(passing.set('a', 2, 60)).toBe(true);
  expect(passing.prune(150)).toBe(true);
  expect([...passing.entries.keys()]).toEqual(['a']);
  expect(passing.prune(150)).toBe(false);
});

test('an address leads to a room or a person, or nowhere', () => {
  expect(placeOf('#design')).toEqual({ kind: 'room', room: 'design' });
  expect(placeOf('#@bob%20o')).toEqual({ kind: 'direct', user: 'bob o' });
  for (const hash of ['', '#', '#@', '#a b', '#%', `#${'x'.repeat(129)}`, '#<b>'])
    expect(placeOf(hash)).toBeUndefined();
  for (const place of [{ kind: 'room', room: 'a/b:c' } as const, { kind: 'direct', user: 'é@#%' } as const])
    expect(placeOf(hashOf(place))).toEqual(place);
  expect(roomNameFrom(' #My Room! ')).toBe('my-room');
  expect(roomNameFrom('@bob')).toBe('bob');
  expect(roomNameFrom('日本')).toBeUndefined();
});

test('names are shortened by what people count as letters, and cannot hide or turn around text', () => {
  expect(tidyName('  a\u202e\n b\u0000 ')).toBe('a b');
  expect(Array.from(new Intl.Segmenter().segment(tidyName('🇩🇪'.repeat(50))))).toHaveLength(32);
  expect([initials('Ann Marlow'), initials('mia'), initials('a b c'), initials('')]).toEqual([
    'AM',
    'M',
    'AC',
    '?',
  ]);
  expect(readPerson('u', { name: 5, away: 'yes' })).toEqual({
    user: 'u',
    name: 'u',
    away: false,
    sharing: false,
  });
  expect(readPerson('u', undefined).name).toBe('u');
  expect(hueOf('ann')).toBe(hueOf('ann'));
});

/** Only what direct messages ask of a client; the last of the inbox's listeners is told by the test. */
function inboxOf(me: string) {
  let arrived = (_message: object): void => {};
  const inbox = {
    on: (event: string, listener: (message: object) => void) => {
      if (event === 'message') arrived = listener;
    },
    read: async () => undefined,
  };
  const client = { on: () => undefined, inbox, welcome: {} } as unknown as Client;
  const direct = new DirectMessages(client, { profile: { user: me } } as Me);
  let seq = 0;
  const receive = (user: string) =>
    arrived({
      seq: ++seq,
      ts: seq,
      epoch: 'e',
      from: { user, connection: 'c' },
      data: { text: 'hi', name: user },
    });
  return { direct, receive };
}

test('among too many threads those that were read go; what nobody read, and what is looked at, stays', () => {
  const { direct, receive } = inboxOf('ann');
  const users = Array.from({ length: THREADS_MAX }, (_, at) => `user-${at}`);
  for (const user of users) receive(user);
  for (const user of ['user-2', 'user-1']) direct.seen(user);
  receive('one more');
  expect(direct.thread('user-0')?.unread).toBe(1);
  expect(direct.thread('user-1'), 'the one that is looked at').toBeDefined();
  expect(direct.thread('user-2'), 'read before it').toBeUndefined();
  for (const user of ['a', 'b', 'c']) receive(user);
  expect(direct.threads.filter(({ unread }) => unread === 1).map(({ user }) => user)).toEqual(
    [...users, 'one more', 'a', 'b', 'c'].filter((user) => !['user-1', 'user-2'].includes(user)),
  );
});

test('a direct message that is said again goes out under its old key: it may have been stored all the same', async () => {
  const keys: unknown[] = [];
  const client = {
    on: () => undefined,
    inbox: { on: () => undefined },
    send: async (_to: string, _data: unknown, { key }: { key: string }) => {
      keys.push(key);
      throw new Error('closed');
    },
  } as unknown as Client;
  const direct = new DirectMessages(client, { profile: { user: 'ann', name: 'Ann' } } as Me);
  expect(direct.say('bob', 'hi', 'k1')).toBe(true);
  const { transcript } = direct.open('bob', 'bob');
  await expect.poll(() => transcript.withdraw('key-k1')?.text).toBe('hi');
  expect(direct.say('bob', 'hi', 'k1')).toBe(true);
  expect(keys).toEqual(['k1', 'k1']);
});

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((whenResolved, whenRejected) => {
    resolve = whenResolved;
    reject = whenRejected;
  });
  return { promise, resolve, reject };
}

/** A room whose events and answers are the test's. */
function conversation() {
  const events = new Emitter<RoomEvents>();
  const joined = deferred<never>();
  const receipt = deferred<Receipt>();
  const room = {
    name: 'lobby',
    status: 'joining',
    members: new Map(),
    joined: joined.promise,
    on: events.on.bind(events),
    publish: () => receipt.promise,
  };
  const me = { profile: { user: 'ann', name: 'Ann' }, state: {} } as Me;
  const client = { join: () => room as unknown as Room } as unknown as Client;
  return { events, room, joined, receipt, shown: new Conversation(client, 'lobby', me) };
}

const fromBob = (seq: number) => ({
  room: 'lobby',
  epoch: 'e',
  seq,
  ts: 1,
  from: { user: 'bob', connection: 'c' },
  data: 'x',
});

test('a page that went offline before its room was joined is in it once it is online again', async () => {
  const { events, room, joined, shown } = conversation();
  joined.reject(new RoomcastError('closed', 'closed'));
  await joined.promise.catch(() => undefined);
  expect([shown.over, shown.transcript.entries]).toEqual([undefined, []]);
  room.status = 'live';
  events.emit('status', 'live');
  events.emit('message', fromBob(1));
  expect(shown.unread).toBe(1);
});

test('what is stored twice over and whose copy never comes is shown from its receipt', async () => {
  const { receipt, shown } = conversation();
  shown.say('hello', 'Ann', 'k1');
  expect(shown.transcript.unsent).toHaveLength(1);
  receipt.resolve({ epoch: 'e', seq: 7, duplicate: true });
  await receipt.promise;
  expect(shown.transcript.entries).toMatchObject([{ kind: 'message', key: 'key-k1', text: 'hello', seq: 7 }]);
});
