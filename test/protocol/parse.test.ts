import { describe, expect, test } from 'vitest';
import { CLIENT_FRAMES, type ClientType } from '../../src/protocol/messages.ts';
import { type Parsed, parseText } from '../../src/protocol/parse.ts';

const LIMITS = { batchMax: 64 };
const parse = (value: unknown): Parsed[] => parseText(JSON.stringify(value), LIMITS);

function only(results: readonly Parsed[]): Parsed {
  expect(results).toHaveLength(1);
  const [result] = results;
  if (result === undefined) throw new Error('no result');
  return result;
}

const refusal = (value: unknown) => only(parse(value)).error;

const since = { epoch: 'e1', seq: 0 };
const longest = { id: 'i'.repeat(64), room: 'r'.repeat(128), user: '🦊'.repeat(128), key: '🗝'.repeat(64) };

/** One row per shape a client may send. */
const ACCEPTED: readonly [ClientType, object][] = [
  ['hello', {}],
  [
    'hello',
    { id: 1, token: 'a.b.c', user: 'Anna Maria', client: { name: 'app', version: '1.0' }, inbox: true },
  ],
  ['hello', { user: longest.user, inbox: { epoch: 'e', seq: 9 } }],
  ['refresh', { token: 't'.repeat(4096) }],
  ['refresh', { id: 'r1', token: 't' }],
  ['ping', {}],
  ['ping', { id: 0 }],
  ['join', { id: longest.id, room: longest.room }],
  ['join', { id: -1, room: 'r', since }],
  ['join', { id: 1, room: 'r', since: { epoch: 'e'.repeat(128), seq: Number.MAX_SAFE_INTEGER } }],
  ['join', { id: 1, room: 'r', history: 0 }],
  ['join', { id: 1, room: 'r', history: 50, presence: 'full', state: {} }],
  ['join', { id: 1, room: 'r', presence: 'count' }],
  ['join', { id: 1, room: 'r', presence: 'none', state: { sharing: true, deep: { er: [1] } } }],
  ['leave', { room: 'r' }],
  ['leave', { id: 1, room: 'r' }],
  ['publish', { room: 'r', data: null }],
  ['publish', { id: 1, room: 'r', data: { any: ['thing', 1.5, false] }, key: 'k' }],
  ['publish', { room: 'r', data: 0, key: longest.key }],
  ['publish', { room: 'r', data: '' }],
  ['history', { id: 1, room: 'r' }],
  ['history', { id: 1, room: 'r', before: 0, limit: 1 }],
  ['history', { id: 1, room: 'r', after: 12, limit: 100 }],
  ['signal', { room: 'r', data: { typing: true } }],
  ['signal', { id: 1, room: 'r', data: null, to: { user: 'Anna Maria' } }],
  ['signal', { room: 'r', data: 1, to: { connection: '0198b6f2-7c1e-7a52-9f34-2b8f5d0c61aa' } }],
  ['state', { room: 'r', state: {} }],
  ['state', { id: 1, room: 'r', state: { a: null } }],
  ['presence', { id: 1, room: 'r' }],
  ['presence', { id: 1, room: '@Anna Maria' }],
  ['send', { to: 'bob', data: null }],
  ['send', { id: 1, to: 'bob', data: [1], key: 'k' }],
  ['read', { seq: 0 }],
  ['read', { id: 1, seq: 12 }],
];

describe('a frame of a client', () => {
  test.each(ACCEPTED)('%s with %j comes out as it was sent', (type, fields) => {
    expect(only(parse({ type, ...fields }))).toEqual({ frame: { type, ...fields } });
  });

  test('of every type is among the accepted ones', () => {
    expect([...new Set(ACCEPTED.map(([type]) => type))]).toEqual(Object.keys(CLIENT_FRAMES));
  });

  test.each(ACCEPTED)('%s with %j may carry fields nobody knows', (type, fields) => {
    const frame = { type, ...fields, later: { version: 2 }, toString: 1 };
    expect(only(parse(frame))).toEqual({ frame });
  });

  test('may have whitespace around and inside of it', () => {
    expect(only(parseText(' \n{ "type" :\t"ping" } ', LIMITS)).frame).toEqual({ type: 'ping' });
  });

  test('keeps data exactly, a key named __proto__ included', () => {
    const text = '{"type":"publish","room":"r","data":{"__proto__":{"a":1},"constructor":2,"prototype":3}}';
    const { frame } = only(parseText(text, LIMITS));
    expect(JSON.stringify(frame)).toBe(text);
    expect(({} as { a?: number }).a).toBeUndefined();
  });
});

const ROOM = '"room": 1–128 of A-Z a-z 0-9 _ . : / -';
const ID = '"id": a string of 1–64 characters or a safe integer';
const SEQ = 'an integer from 0';
const KEY = '"key": a string of 1–64 characters';
const TOKEN = '"token": a string of 1–4096 characters';
const USER = '1–128 printable characters without { }, spaces only inside';
const TYPES = 'hello, refresh, ping, join, leave, publish, history, signal, state, presence, send, read';

/** Frame -> the exact sentence. Every one is a `bad_request`. */
const BAD: readonly [object, string][] = [
  [{}, `a frame needs "type": one of ${TYPES}; got nothing`],
  [{ type: 1 }, `a frame needs "type": one of ${TYPES}; got 1`],
  [{ type: null }, `a frame needs "type": one of ${TYPES}; got null`],
  [{ type: ['join'] }, `a frame needs "type": one of ${TYPES}; got an array`],

  [{ type: 'hello', id: '' }, `hello takes ${ID}; got ""`],
  [{ type: 'hello', id: 1.5 }, `hello takes ${ID}; got 1.5`],
  [{ type: 'hello', id: 2 ** 53 }, `hello takes ${ID}; got 9007199254740992`],
  [{ type: 'hello', id: null }, `hello takes ${ID}; got null`],
  [{ type: 'hello', id: 'i'.repeat(65) }, `hello takes ${ID}; got "${'i'.repeat(64)}"…`],
  [{ type: 'hello', token: '' }, `hello takes ${TOKEN}; got a string of length 0`],
  [{ type: 'hello', token: 7 }, `hello takes ${TOKEN}; got a number`],
  [{ type: 'hello', user: 'a{b}' }, `hello takes "user": ${USER}; got "a{b}"`],
  [{ type: 'hello', user: ' a' }, `hello takes "user": ${USER}; got " a"`],
  [{ type: 'hello', user: '' }, `hello takes "user": ${USER}; got ""`],
  [{ type: 'hello', client: 'app' }, 'hello takes "client": {"name": string, "version": string}; got "app"'],
  [
    { type: 'hello', client: { name: 'a' } },
    'hello needs "client.version": a string of 1–64 characters; got nothing',
  ],
  [
    { type: 'hello', client: { name: 'n'.repeat(65), version: '1' } },
    `hello needs "client.name": a string of 1–64 characters; got "${'n'.repeat(64)}"…`,
  ],
  [
    { type: 'hello', inbox: false },
    `hello takes "inbox": true or {"epoch": string, "seq": ${'integer from 0'}}; got false`,
  ],
  [
    { type: 'hello', inbox: { epoch: 'e' } },
    'hello takes "inbox": true or {"epoch": string, "seq": integer from 0}; got an object',
  ],

  [{ type: 'refresh' }, `refresh needs ${TOKEN}; got nothing`],
  [{ type: 'refresh', token: 's3cret'.repeat(700) }, `refresh needs ${TOKEN}; got a string of length 4200`],
  [{ type: 'ping', id: [] }, `ping takes ${ID}; got an array`],

  [{ type: 'join', room: 'r' }, `join needs ${ID}; got nothing`],
  [{ type: 'join', id: 1 }, `join needs ${ROOM}; got nothing`],
  [{ type: 'join', id: 1, room: 'a b' }, `join needs ${ROOM}; got "a b"`],
  [{ type: 'join', id: 1, room: '@anna' }, `join needs ${ROOM}; got "@anna"`],
  [{ type: 'join', id: 1, room: '' }, `join needs ${ROOM}; got ""`],
  [{ type: 'join', id: 1, room: { a: 1 } }, `join needs ${ROOM}; got an object`],
  [{ type: 'join', id: 1, room: 'r'.repeat(129) }, `join needs ${ROOM}; got "${'r'.repeat(64)}"…`],
  [
    { type: 'join', id: 1, room: 'r', since: null },
    'join takes "since": {"epoch": string, "seq": integer from 0}; got null',
  ],
  [
    { type: 'join', id: 1, room: 'r', since: {} },
    'join needs "since.epoch": an epoch as the server told it, 1–128 characters; got nothing',
  ],
  [{ type: 'join', id: 1, room: 'r', since: { epoch: 'e' } }, `join needs "since.seq": ${SEQ}; got nothing`],
  [
    { type: 'join', id: 1, room: 'r', since: { epoch: 'e', seq: -1 } },
    `join needs "since.seq": ${SEQ}; got -1`,
  ],
  [
    { type: 'join', id: 1, room: 'r', since: { epoch: 'e', seq: '1' } },
    `join needs "since.seq": ${SEQ}; got "1"`,
  ],
  [
    { type: 'join', id: 1, room: 'r', since: { epoch: 'e'.repeat(129), seq: 1 } },
    `join needs "since.epoch": an epoch as the server told it, 1–128 characters; got "${'e'.repeat(64)}"…`,
  ],
  [{ type: 'join', id: 1, room: 'r', since, history: 5 }, 'join takes "since" or "history", not both'],
  [{ type: 'join', id: 1, room: 'r', since, history: 0 }, 'join takes "since" or "history", not both'],
  [
    { type: 'join', id: 1, room: 'r', history: -1 },
    `join takes "history": ${SEQ}: how many of the last messages; got -1`,
  ],
  [
    { type: 'join', id: 1, room: 'r', history: 1.5 },
    `join takes "history": ${SEQ}: how many of the last messages; got 1.5`,
  ],
  [
    { type: 'join', id: 1, room: 'r', presence: 'all' },
    'join takes "presence": "full", "count" or "none"; got "all"',
  ],
  [
    { type: 'join', id: 1, room: 'r', presence: true },
    'join takes "presence": "full", "count" or "none"; got true',
  ],
  [{ type: 'join', id: 1, room: 'r', state: [] }, 'join takes "state": a JSON object; got an array'],
  [{ type: 'join', id: 1, room: 'r', state: null }, 'join takes "state": a JSON object; got null'],
  [{ type: 'join', id: 1, room: 'r', state: 'x' }, 'join takes "state": a JSON object; got "x"'],

  [{ type: 'leave' }, `leave needs ${ROOM}; got nothing`],
  [{ type: 'publish', room: 'r' }, 'publish needs "data": any JSON value, null included; got nothing'],
  [{ type: 'publish', data: 1 }, `publish needs ${ROOM}; got nothing`],
  [{ type: 'publish', room: 'r', data: 1, key: '' }, `publish takes ${KEY}; got ""`],
  [{ type: 'publish', room: 'r', data: 1, key: 5 }, `publish takes ${KEY}; got 5`],
  [
    { type: 'publish', room: 'r', data: 1, key: 'k'.repeat(65) },
    `publish takes ${KEY}; got "${'k'.repeat(64)}"…`,
  ],
  [{ type: 'publish', room: 'r', data: 1, key: '\ud800' }, `publish takes ${KEY}; got "\\u{d800}"`],

  [{ type: 'history', room: 'r' }, `history needs ${ID}; got nothing`],
  [{ type: 'history', id: 1, room: 'r', limit: 0 }, 'history takes "limit": an integer from 1; got 0'],
  [{ type: 'history', id: 1, room: 'r', before: -1 }, `history takes "before": ${SEQ}; got -1`],
  [{ type: 'history', id: 1, room: 'r', after: 'x' }, `history takes "after": ${SEQ}; got "x"`],
  [{ type: 'history', id: 1, room: 'r', before: 5, after: 1 }, 'history takes "before" or "after", not both'],

  [{ type: 'signal', room: 'r' }, 'signal needs "data": any JSON value, null included; got nothing'],
  [
    { type: 'signal', room: 'r', data: 1, to: {} },
    'signal takes "to": exactly one of {"user": name} and {"connection": id}; got an object',
  ],
  [
    { type: 'signal', room: 'r', data: 1, to: { user: 'a', connection: 'c' } },
    'signal takes "to": exactly one of {"user": name} and {"connection": id}; got an object',
  ],
  [
    { type: 'signal', room: 'r', data: 1, to: { user: 'a{' } },
    'signal takes "to": exactly one of {"user": name} and {"connection": id}; got an object',
  ],
  [
    { type: 'signal', room: 'r', data: 1, to: 'anna' },
    'signal takes "to": exactly one of {"user": name} and {"connection": id}; got "anna"',
  ],

  [{ type: 'state', room: 'r' }, 'state needs "state": a JSON object; got nothing'],
  [{ type: 'state', room: 'r', state: [1] }, 'state needs "state": a JSON object; got an array'],
  [{ type: 'presence', room: 'r' }, `presence needs ${ID}; got nothing`],
  [{ type: 'presence', id: 1 }, `presence needs ${ROOM}, or @ and a user name; got nothing`],
  [{ type: 'presence', id: 1, room: '@a{' }, `presence needs ${ROOM}, or @ and a user name; got "@a{"`],
  [{ type: 'send', data: 1 }, `send needs "to": ${USER}; got nothing`],
  [{ type: 'send', to: 'a\nb', data: 1 }, `send needs "to": ${USER}; got "a\\u{a}b"`],
  [{ type: 'send', to: 'bob' }, 'send needs "data": any JSON value, null included; got nothing'],
  [{ type: 'read' }, `read needs "seq": ${SEQ}; got nothing`],
  [{ type: 'read', seq: 1e300 }, `read needs "seq": ${SEQ}; got 1e+300`],
];

describe('a frame that is wrong', () => {
  test.each(BAD)('%j is refused in words', (frame, message) => {
    const result = only(parse(frame));
    expect(result.error?.message).toBe(message);
    expect(result.error?.code).toBe('bad_request');
    expect(result).toHaveProperty('bad', true);
  });

  test('a number beyond the doubles is no integer', () => {
    const text = '{"type":"read","seq":1e400}';
    expect(only(parseText(text, LIMITS)).error?.message).toBe(`read needs "seq": ${SEQ}; got Infinity`);
  });

  test.each(['__proto__', 'constructor', 'prototype'])(
    'the frame key %s is refused, written plainly or escaped',
    (key) => {
      const escaped = key.replace(
        /./g,
        (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
      for (const name of [key, escaped]) {
        const text = `{"type":"ping","id":4,"${name}":{"x":1}}`;
        expect(only(parseText(text, LIMITS))).toEqual({
          error: { code: 'bad_request', message: `a frame has no key "${key}"`, type: 'ping', id: 4 },
          bad: true,
        });
      }
    },
  );

  test('an unknown type is unsupported, with its id, and does not count as bad', () => {
    expect(only(parse({ type: 'shout', id: 'x', room: 'r' }))).toEqual({
      error: {
        code: 'unsupported',
        message: `unknown type "shout"; this server knows ${TYPES}`,
        id: 'x',
        room: 'r',
      },
      bad: false,
    });
  });

  test.each(['message', 'welcome', 'toString', '__proto__', 'constructor', '', 'JOIN'])(
    'the type %j is unknown',
    (type) => {
      expect(refusal({ type })?.code).toBe('unsupported');
    },
  );
});

describe('a refusal', () => {
  test('carries id and room wherever they are valid themselves', () => {
    expect(refusal({ type: 'publish', id: 7, room: 'r' })).toMatchObject({ id: 7, room: 'r' });
    expect(refusal({ type: 'publish', id: 'a', room: 'a b', data: 1 })).not.toHaveProperty('room');
    expect(refusal({ type: 'publish', id: {}, room: 'r', data: 1 })).not.toHaveProperty('id');
    expect(refusal({ type: 'join', id: 1, room: '@anna' })).toMatchObject({ id: 1, room: '@anna' });
    expect(refusal({ id: 'i'.repeat(65), room: 'r' })).toEqual(expect.objectContaining({ room: 'r' }));
    expect(refusal({ id: '🦊'.repeat(64) })).toMatchObject({ id: '🦊'.repeat(64) });
    expect(refusal({ id: '🦊'.repeat(65) })).not.toHaveProperty('id');
  });

  test('names the type it refused, where it is a known one', () => {
    expect(refusal({ type: 'hello', user: '' })).toMatchObject({ type: 'hello' });
    expect(refusal({ type: 'shout' })).not.toHaveProperty('type');
    expect(refusal({ type: 'toString' })).not.toHaveProperty('type');
    expect(refusal({ type: 1 })).not.toHaveProperty('type');
  });

  test('repeats at most 64 characters, none of them invisible or split', () => {
    const room = `\u001b[31m\u202e${'x'.repeat(57)}🦊${'y'.repeat(100)}`;
    const message = refusal({ type: 'leave', room })?.message ?? '';
    expect(message).toBe(`leave needs ${ROOM}; got "\\u{1b}[31m\\u{202e}${'x'.repeat(57)}"…`);
  });

  test('escapes quotes and backslashes, so that the end of an echo is the end', () => {
    expect(refusal({ type: 'leave', room: 'a"; ok\\' })?.message).toBe(
      `leave needs ${ROOM}; got "a\\"; ok\\\\"`,
    );
  });

  test('never repeats a token', () => {
    const token = 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl';
    const texts = [
      JSON.stringify({ type: 'hello', token: token.repeat(200) }),
      JSON.stringify({ type: 'hello', token: [token] }),
      JSON.stringify({ type: 'refresh', token: { token } }),
      JSON.stringify({ type: 'hello', id: '', token }),
      `{"token":"${token}","type":"hello"`,
      `"${token}`,
    ];
    for (const text of texts)
      expect(only(parseText(text, LIMITS)).error?.message).not.toContain(token.slice(0, 20));
  });
});

describe('a text', () => {
  test.each([
    ['nothing', '', '""'],
    ['a word', 'hello', '"hello"'],
    ['half a frame', '{"type":"ping"', '"{\\"type\\":\\"ping\\""'],
    ['two frames', '{"type":"ping"}{"type":"ping"}', '"{\\"type\\":\\"ping\\"}{"…'],
    ['a byte order mark', '\ufeff{"type":"ping"}', '"\\u{feff}{\\"type\\":\\"ping\\"}"'],
    ['single quotes', "{'type':'ping'}", `"{'type':'ping'}"`],
    ['NaN', '{"type":"read","seq":NaN}', '"{\\"type\\":\\"read\\",\\""…'],
  ])('that is %s is not JSON', (_what, text, echo) => {
    expect(only(parseText(text, LIMITS))).toEqual({
      error: { code: 'bad_request', message: `a frame is one JSON object; this is not JSON: ${echo}` },
      bad: true,
    });
  });

  test.each([
    ['null', 'null', 'null'],
    ['a number', '12', '12'],
    ['a string', '"join"', '"join"'],
    ['true', 'true', 'true'],
  ])('that is %s is no frame', (_what, text, echo) => {
    expect(only(parseText(text, LIMITS)).error).toEqual({
      code: 'bad_request',
      message: `a frame is a JSON object, got ${echo}`,
    });
  });
});

describe('a batch', () => {
  test('gives its results in order, one for each element', () => {
    const results = parse([
      { type: 'ping', id: 1 },
      5,
      { type: 'nope', id: 3 },
      [],
      null,
      { type: 'ping', id: 6 },
    ]);
    expect(results.map((one) => one.frame?.id ?? one.error?.message)).toEqual([
      1,
      'a frame is a JSON object, got 5',
      expect.stringContaining('unknown type "nope"'),
      'a frame is a JSON object, got an array',
      'a frame is a JSON object, got null',
      6,
    ]);
    expect(results.map((one) => one.error?.code)).toEqual([
      undefined,
      'bad_request',
      'unsupported',
      'bad_request',
      'bad_request',
      undefined,
    ]);
  });

  test('of one frame is that frame', () => {
    expect(parse([{ type: 'ping' }])).toEqual([{ frame: { type: 'ping' } }]);
  });

  test('that is empty is a bad request', () => {
    expect(only(parse([])).error).toEqual({
      code: 'bad_request',
      message: 'a batch holds at least one frame, this one is empty',
    });
  });

  test('of the greatest length is taken, one more is refused as a whole and nothing of it applied', () => {
    const pings = (count: number) => Array.from({ length: count }, (_, id) => ({ type: 'ping', id }));
    expect(parse(pings(64)).filter((one) => one.frame)).toHaveLength(64);
    expect(parse(pings(65))).toEqual([
      {
        error: {
          code: 'limit_exceeded',
          message: 'a batch holds at most 64 frames, got 65; none of them was applied',
        },
        bad: false,
      },
    ]);
  });

  test('has no greatest length where the limit is off', () => {
    const text = JSON.stringify(Array.from({ length: 1000 }, () => ({ type: 'ping' })));
    expect(parseText(text, { batchMax: 0 })).toHaveLength(1000);
  });
});

describe('depth', () => {
  const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  const publish = (id: number, data: string) => `{"type":"publish","id":${id},"room":"r","data":${data}}`;

  test('32 levels are taken, the frame being the first', () => {
    expect(only(parseText(publish(1, nested(31)), LIMITS)).frame).toBeDefined();
  });

  test('33 levels are refused with id and room', () => {
    expect(only(parseText(publish(1, nested(32)), LIMITS))).toEqual({
      error: {
        code: 'bad_request',
        message: 'a frame nests at most 32 levels deep, itself included',
        type: 'publish',
        id: 1,
        room: 'r',
      },
      bad: true,
    });
  });

  test('a field nobody knows counts too', () => {
    expect(only(parseText(`{"type":"ping","extra":${nested(32)}}`, LIMITS)).error?.message).toMatch(
      /32 levels/,
    );
  });

  test('the array of a batch does not count', () => {
    expect(only(parseText(`[${publish(1, nested(31))}]`, LIMITS)).frame).toBeDefined();
    expect(only(parseText(`[${publish(1, nested(32))}]`, LIMITS)).error?.message).toMatch(/32 levels/);
  });

  test('in a batch only what is too deep is refused', () => {
    const text = `[${publish(1, '1')},${publish(2, nested(40))},${publish(3, nested(31))}]`;
    expect(parseText(text, LIMITS).map((one) => one.frame?.id ?? `error ${one.error?.id}`)).toEqual([
      1,
      'error 2',
      3,
    ]);
  });

  test('brackets in strings are not depth', () => {
    expect(only(parseText(publish(1, `"\\"${'['.repeat(500)}"`), LIMITS)).frame).toBeDefined();
  });

  test.each([
    ['opening brackets', '['.repeat(65_536)],
    ['opening objects', '{"a":'.repeat(13_107)],
    ['balanced brackets', nested(32_768)],
    ['balanced brackets in data', publish(1, nested(32_000))],
  ])('64 KB of %s are one refusal and no overflow', (_what, text) => {
    expect(only(parseText(text, LIMITS)).error?.code).toBe('bad_request');
  });
});
