/**
 * The suite bites: each lie of a server is caught by the check that is there for it. The same checks pass
 * against the same server behind the same proxy where it tells the truth.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWire } from '../../src/cli/wire-socket.ts';
import type { OpenWire } from '../../src/conformance/wire.ts';
import { AlteringProxy, type Lies } from '../support/altering-proxy.ts';
import { LocalServer } from '../support/local-server.ts';
import type { Frame } from '../support/test-client.ts';
import { results } from './whole-suite.ts';

let server: LocalServer;
beforeAll(async () => {
  server = await LocalServer.start({ LIMIT_PUBLISH_PER_SECOND: '2000', LIMIT_PUBLISH_BURST: '4000' });
});
afterAll(() => server.close());

const TIMEOUT_MS = 700;

async function run(lies: Lies, filter: string): Promise<{ outcomes: Set<string>; reports: string[] }> {
  const proxy = await AlteringProxy.start(server.url, lies);
  try {
    const all = await results({ urls: [proxy.url], filter, timeoutMs: TIMEOUT_MS });
    const reports = all.map((one) =>
      one.outcome === 'failed' ? `${one.expected} / ${one.came}` : one.outcome,
    );
    return { outcomes: new Set(all.map(({ outcome }) => outcome)), reports };
  } finally {
    await proxy.stop();
  }
}

/** Frames of one type are changed, all others pass. */
const change = (type: string, how: (frame: Frame) => Frame | readonly (Frame | string | Buffer)[]): Lies => ({
  frame: (frame) => (frame.type === type ? ([how(frame)].flat() as Frame[]) : [frame]),
});

/** Every n-th frame of a type. */
const nth = (type: string, n: number, how: (frame: Frame) => readonly Frame[]): Lies => ({
  frame: (frame, memory) => {
    if (frame.type !== type) return [frame];
    memory.count += 1;
    return memory.count % n === 0 ? how(frame) : [frame];
  },
});

const swapped: Lies = {
  frame: (frame, memory) => {
    if (frame.type !== 'message') return [frame];
    const { held } = memory;
    memory.count += 1;
    memory.held = memory.count === 3 ? frame : undefined;
    if (memory.count === 3) return [];
    return held === undefined ? [frame] : [frame, held];
  },
};

/** Numbers told as if nothing was swapped: what only a comparison of members shows. */
const swappedAndRenumbered: Lies = {
  frame: (frame, memory) => {
    const out = swapped.frame?.(frame, memory) ?? [];
    const [a, b] = out as Frame[];
    if (a === undefined || b === undefined) return out;
    return [
      { ...a, seq: b['seq'] },
      { ...b, seq: a['seq'] },
    ];
  },
};

/** The sender is told of its own signal, right before the ok. */
const signalBack: Lies = {
  request: (frame, memory) => {
    if (frame.type === 'signal') memory.held = frame;
    return [frame];
  },
  frame: (frame, memory) => {
    const { held } = memory;
    if (frame.type !== 'ok' || held === undefined) return [frame];
    memory.held = undefined;
    const from = { user: 'me', connection: 'mine' };
    return [{ type: 'signal', room: held['room'], data: held['data'], from }, frame];
  },
};

const without = (frame: Frame, field: string): Frame =>
  Object.fromEntries(Object.entries(frame).filter(([name]) => name !== field)) as unknown as Frame;

const messagesOf = (frame: Frame): Frame[] => frame['messages'] as Frame[];

const AGREEMENT = 'three publish at once';

const LIES: readonly (readonly [lie: string, check: string, lies: Lies])[] = [
  ['a message is dropped', AGREEMENT, nth('message', 7, () => [])],
  ['a message comes twice', AGREEMENT, nth('message', 7, (frame) => [frame, frame])],
  ['two messages are swapped', AGREEMENT, swapped],
  ['two messages are swapped and renumbered', AGREEMENT, swappedAndRenumbered],
  ['a message has another seq', 'hello, join, publish: both', change('message', (f) => ({ ...f, seq: 7 }))],
  ['a message lost its sender', 'a message has seq, ts, from', change('message', (f) => without(f, 'from'))],
  ['a message lost its key', 'a message has seq, ts, from', change('message', (f) => without(f, 'key'))],
  ['data was changed', 'a message has seq, ts, from', change('message', (f) => ({ ...f, data: 1 }))],
  [
    'an ok has another seq',
    'the seq of an ok is',
    change('ok', (f) => ('epoch' in f ? { ...f, seq: 99 } : f)),
  ],
  ['an ok lost its id', 'publish twice with one key', change('ok', (f) => without(f, 'id'))],
  ['an ok comes twice', 'publish twice with one key', change('ok', (f) => [f, f])],
  ['an ok does not come', 'publish twice with one key', change('ok', () => [])],
  ['duplicate is not told', 'publish twice with one key', change('ok', (f) => without(f, 'duplicate'))],
  ['the key is not looked at', 'publish twice with one key', { request: (f) => [without(f, 'key')] }],
  ['a pong has another id', 'ping is answered by pong', change('pong', (f) => ({ ...f, id: 'x' }))],
  ['a pong has no id', 'ping is answered by pong', change('pong', (f) => without(f, 'id'))],
  ['welcome tells no limits', 'hello is answered by welcome', change('welcome', (f) => without(f, 'limits'))],
  [
    'welcome is not of this protocol',
    'hello is answered by welcome',
    change('welcome', (f) => ({ ...f, server: 'x' })),
  ],
  ['an implied welcome does not come', 'another first frame', change('welcome', () => [])],
  ['an error has another code', '9. not_joined', change('error', (f) => ({ ...f, code: 'forbidden' }))],
  ['an error has an unknown code', '9. not_joined', change('error', (f) => ({ ...f, code: 'oops' }))],
  ['an error says retryable', '9. not_joined', change('error', (f) => ({ ...f, retryable: true }))],
  ['an error lost its id', '9. not_joined', change('error', (f) => without(f, 'id'))],
  ['a refused frame is carried out', '9. too_large', { request: (f) => [f, ...oversized(f)] }],
  ['an unknown type is ignored', 'an unknown type', change('error', () => [])],
  ['closing does not come', 'close: 1003', change('closing', () => [])],
  ['closing tells another code', 'close: 1003', change('closing', (f) => ({ ...f, code: 1000 }))],
  ['closing tells another reconnect', 'close: 1003', change('closing', (f) => ({ ...f, reconnect: 'now' }))],
  ['the close has another code', 'close: 4508', { close: () => 1000 }],
  ['a close is an end without a code', 'close: 4508', { close: () => 1006 }],
  [
    'joined lacks the last message',
    '2. drop, rejoin with since',
    change('joined', (f) => ({ ...f, messages: messagesOf(f).slice(0, -1) })),
  ],
  [
    'joined has nothing of what was missed',
    '2. drop, rejoin with since',
    change('joined', (f) => ({ ...f, messages: [] })),
  ],
  [
    'a lost stream is called recovered',
    'an epoch the server never had',
    change('joined', (f) => ({ ...without(f, 'reason'), recovered: true })),
  ],
  [
    'history comes the other way round',
    'history pages before and after',
    change('ok', (f) => ('messages' in f ? { ...f, messages: messagesOf(f).toReversed() } : f)),
  ],
  ['a signal comes back to its sender', 'a signal reaches every other', signalBack],
  ['a signal does not come', 'a signal reaches every other', change('signal', () => [])],
  ['presence frames do not come', '5. two tabs of a user', change('presence', () => [])],
  [
    'a user leaves with the first tab',
    '5. two tabs of a user',
    change('presence', (f) => [f, ...leftAgain(f)]),
  ],
  [
    'a diff lost the version before',
    'who joins is told to all',
    change('presence', (f) => ('previous' in f ? { ...f, previous: 1 } : f)),
  ],
  ['state does not come', 'state belongs to the user', change('presence', (f) => without(f, 'updated'))],
  ['members are not listed', 'a room nobody used', change('joined', (f) => without(f, 'members'))],
  [
    'a join is overtaken',
    'what is sent behind a join waits',
    { lateMs: (text) => (text.includes('"join"') ? 60 : 0) },
  ],
  [
    'frames are sent in one array',
    'each WebSocket message of the server',
    change('pong', (f) => [JSON.stringify([f])]),
  ],
  [
    'frames are binary',
    'each WebSocket message of the server',
    change('pong', (f) => [Buffer.from(JSON.stringify(f))]),
  ],
  [
    'an inbox brings nothing of what was sent meanwhile',
    '6. an inbox filled',
    change('joined', (f) => ({ ...f, messages: [] })),
  ],
  [
    'an inbox lost its first message',
    '6. an inbox filled',
    change('joined', (f) => ({ ...f, messages: messagesOf(f).slice(1) })),
  ],
  ['an inbox is not joined', '6. an inbox filled', change('joined', () => [])],
  [
    'the joined of an inbox has an id',
    'an inbox is numbered like a room',
    change('joined', (f) => ({ ...f, id: 'x' })),
  ],
  [
    'a send is not told to the second device',
    'what is sent reaches every connection',
    nth('message', 1, () => []),
  ],
  [
    'a read mark is not kept',
    'what was read is not delivered',
    { request: (f) => (f.type === 'read' ? [{ ...f, seq: 0 }] : [f]) },
  ],
  [
    'an inbox of somebody else may be read',
    '9. forbidden',
    change('error', (f) => ({
      type: 'ok',
      id: f['id'],
      room: '@x',
      epoch: 'e',
      seq: 0,
      messages: [],
      more: false,
    })),
  ],
  ['any subprotocol is taken', 'only unknown subprotocols', { anySubprotocol: true }],
];

/** The data cut to what is allowed: stored although it was refused. */
function oversized(frame: Frame): Frame[] {
  const { data } = frame;
  const isLarge = frame.type === 'publish' && typeof data === 'string' && data.length > 1000;
  return isLarge ? [{ ...without(frame, 'id'), data: 'cut' } as Frame] : [];
}

function leftAgain(frame: Frame): Frame[] {
  const joined = frame['joined'] as { user: string }[] | undefined;
  const anna = joined?.find(({ user }) => user.startsWith('anna'));
  if (anna === undefined) return [];
  return [
    {
      type: 'presence',
      room: frame['room'],
      version: Number(frame['version']) + 1,
      previous: frame['version'],
      count: 1,
      left: [{ user: anna.user, reason: 'left' }],
    },
  ];
}

describe('a lie is caught', () => {
  test.each(LIES)('%s', async (_lie, check, lies) => {
    const { outcomes, reports } = await run(lies, check);
    expect([...outcomes], reports.join('\n')).toEqual(['failed']);
  });
});

test('the same checks pass where the proxy tells the truth', async () => {
  for (const check of new Set(LIES.map(([, name]) => name))) {
    const { outcomes, reports } = await run({}, check);
    expect([...outcomes], `${check}: ${reports.join('\n')}`).toEqual(['ok']);
  }
});

/** Not through the proxy: it reads whatever is sent, and is slower than a thousand connections are patient. */
describe('a server that is wrong in itself is caught', () => {
  test('a reader that is too slow is closed with another code', async () => {
    const open: OpenWire = (url, options, events) =>
      openWire(url, options, {
        ...events,
        closed: (end) => events.closed({ ...end, code: end.code === 4009 ? 1000 : end.code }),
      });
    // The time in which the close can still be read.
    const patient = await LocalServer.forTest({ CLOSE_TIMEOUT_MS: '5000' });
    const [result] = await results({ urls: [patient.url], filter: 'close: 4009', open });
    expect(result).toMatchObject({ outcome: 'failed', came: expect.stringMatching(/^close 1000/) });
  });

  test('a room of a thousand users is listed all the same', async () => {
    const all = await LocalServer.forTest({ LIMIT_PRESENCE_MEMBERS: '5000' });
    const [result] = await results({ urls: [all.url], filter: 'above 1,000 users', timeoutMs: 3000 });
    expect(result).toMatchObject({ outcome: 'failed', came: expect.stringContaining('nothing like it') });
  });
});
