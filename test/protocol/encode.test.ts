import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/protocol/codes.ts';
import {
  bytesOver,
  encodeFrame,
  historyFrame,
  joinedFrame,
  messageBody,
  messageFrame,
  presenceCountFrame,
  presenceDiffFrame,
  presenceReply,
  presenceSnapshotFrame,
  signalBody,
  signalFrame,
} from '../../src/protocol/encode.ts';
import type { ServerFrame } from '../../src/protocol/messages.ts';
import { serverFrameFault, serverFrameNames } from '../support/frame-schemas.ts';

const from = { user: 'Ánna "🦊"', connection: 'c-1' };
const data = { text: 'na\u2028ïve "quoted" 🦊', list: [1, null] };
const body = Buffer.from(messageBody({ from, key: 'k"1', data: JSON.stringify(data) }));
const bare = Buffer.from(messageBody({ data: 'null' }));
const entries = [
  { seq: 41, ts: 1_700_000_000_000, body },
  { seq: 42, ts: 1_700_000_000_001, body: bare },
];
const stored = [
  { seq: 41, ts: 1_700_000_000_000, from, key: 'k"1', data },
  { seq: 42, ts: 1_700_000_000_001, data: null },
];
const members = [
  { user: from.user, state: '{"a":"🦊"}', since: 5 },
  { user: 'bob', state: '{}', since: 6 },
];
const told = [
  { user: from.user, state: { a: '🦊' }, since: 5 },
  { user: 'bob', state: {}, since: 6 },
];

/** The frame in the bytes, which must be valid, and with `type` in front. */
function frameIn(bytes: Buffer | string): unknown {
  const text = bytes.toString();
  expect(text.startsWith('{"type":"')).toBe(true);
  const frame: unknown = JSON.parse(text);
  expect(serverFrameFault(frame)).toBeUndefined();
  return frame;
}

describe('a message', () => {
  test('is a header in front of the body, byte for byte', () => {
    expect(messageFrame('r', { seq: 42, ts: 7, body: bare }).toString()).toBe(
      '{"type":"message","room":"r","seq":42,"ts":7,"data":null}',
    );
  });

  test('carries sender, key and data as they were given', () => {
    expect(frameIn(messageFrame('r', entries[0] ?? fail()))).toEqual({
      type: 'message',
      room: 'r',
      ...stored[0],
    });
  });

  test('of an inbox may have a room name beyond ASCII', () => {
    expect(frameIn(messageFrame('@山田', { seq: 1, ts: 1, body }))).toMatchObject({ room: '@山田', data });
  });

  test('has a body that takes its data as text and does not encode it again', () => {
    expect(messageBody({ data: '"text"' })).toBe('"data":"text"}');
    expect(messageBody({ key: 'k', data: '1' })).toBe('"key":"k","data":1}');
    expect(messageBody({ from: { user: 'u', connection: 'c' }, data: '{}' })).toBe(
      '"from":{"user":"u","connection":"c"},"data":{}}',
    );
  });
});

test('a signal carries sender and data', () => {
  const signal = Buffer.from(signalBody({ from, data: JSON.stringify(data) }));
  expect(frameIn(signalFrame('r', signal))).toEqual({ type: 'signal', room: 'r', from, data });
});

describe('joined', () => {
  const at = { room: 'r', epoch: 'e', seq: 42 };

  test('has everything a join can be answered with', () => {
    const frame = frameIn(
      joinedFrame({ id: 'j', ...at, recovered: true, count: 2, version: 9, members }, entries),
    );
    expect(frame).toEqual({
      type: 'joined',
      id: 'j',
      ...at,
      recovered: true,
      count: 2,
      version: 9,
      members: told,
      messages: stored,
    });
  });

  test('always has messages, and no field that was not given', () => {
    expect(frameIn(joinedFrame({ id: 1, ...at, count: 1, version: 9 }, []))).toStrictEqual({
      type: 'joined',
      id: 1,
      ...at,
      count: 1,
      version: 9,
      messages: [],
    });
  });

  test('tells why nothing could be recovered', () => {
    const frame = frameIn(
      joinedFrame({ id: 1, ...at, recovered: false, reason: 'too_far', count: 1, version: 9 }, []),
    );
    expect(frame).toMatchObject({ recovered: false, reason: 'too_far', messages: [] });
  });

  test('lists nobody in an empty room, which is not the same as not listing', () => {
    expect(frameIn(joinedFrame({ id: 1, ...at, count: 0, version: 9, members: [] }, []))).toMatchObject({
      members: [],
    });
  });

  test('of an inbox has neither id nor presence', () => {
    expect(frameIn(joinedFrame({ ...at, room: '@anna' }, entries))).toStrictEqual({
      type: 'joined',
      ...at,
      room: '@anna',
      messages: stored,
    });
  });
});

describe('replies', () => {
  test('history is an ok with a page of messages', () => {
    const bytes = historyFrame({ id: 1, room: 'r', epoch: 'e', seq: 99, more: true }, entries);
    expect(frameIn(bytes)).toEqual({
      type: 'ok',
      id: 1,
      room: 'r',
      epoch: 'e',
      seq: 99,
      more: true,
      messages: stored,
    });
    expect(serverFrameNames(JSON.parse(bytes.toString()))).toEqual(['ok.history']);
  });

  test('history of an empty room is an empty page', () => {
    const bytes = historyFrame({ id: 'h', room: 'r', epoch: 'e', seq: 0, more: false }, []);
    expect(frameIn(bytes)).toMatchObject({ messages: [], more: false });
  });

  test('presence is an ok with members, or with the count alone', () => {
    const bytes = presenceReply({ id: 1, room: 'r', version: 9, count: 2, members });
    expect(frameIn(bytes)).toEqual({ type: 'ok', id: 1, room: 'r', version: 9, count: 2, members: told });
    expect(serverFrameNames(JSON.parse(bytes.toString()))).toEqual(['ok.presence']);
    const large = presenceReply({ id: 1, room: 'r', version: 9, count: 1001 });
    expect(frameIn(large)).toStrictEqual({ type: 'ok', id: 1, room: 'r', version: 9, count: 1001 });
  });
});

describe('presence', () => {
  test('as a snapshot lists everybody', () => {
    const bytes = presenceSnapshotFrame('r', 9, 2, members);
    expect(frameIn(bytes)).toEqual({ type: 'presence', room: 'r', version: 9, count: 2, members: told });
    expect(serverFrameNames(JSON.parse(bytes.toString()))).toEqual(['presence.snapshot']);
  });

  test('as a diff names the version before it and only the kinds of change there are', () => {
    const [anna, bob] = members;
    if (!anna || !bob) throw new Error('two members are needed');
    const bytes = presenceDiffFrame('r', {
      previous: 8,
      version: 9,
      count: 2,
      joined: new Map([[anna.user, anna]]),
      left: new Map([['eve', 'node_lost']]),
      updated: new Map([[bob.user, bob]]),
    });
    expect(frameIn(bytes)).toEqual({
      type: 'presence',
      room: 'r',
      version: 9,
      count: 2,
      previous: 8,
      joined: [told[0]],
      left: [{ user: 'eve', reason: 'node_lost' }],
      updated: [{ user: 'bob', state: {} }],
    });
    expect(serverFrameNames(JSON.parse(bytes.toString()))).toEqual(['presence.diff']);
    const none = { joined: new Map(), left: new Map(), updated: new Map() };
    expect(frameIn(presenceDiffFrame('r', { previous: 8, version: 9, count: 2, ...none }))).toStrictEqual({
      type: 'presence',
      room: 'r',
      version: 9,
      count: 2,
      previous: 8,
    });
  });

  test('as a count has nothing else', () => {
    const bytes = presenceCountFrame('r', 9, 1001);
    expect(frameIn(bytes)).toStrictEqual({ type: 'presence', room: 'r', version: 9, count: 1001 });
    expect(serverFrameNames(JSON.parse(bytes.toString()))).toEqual(['presence.count']);
  });
});

const SERVER: readonly ServerFrame[] = [
  {
    type: 'welcome',
    id: 1,
    connection: 'c',
    user: 'anna',
    node: 'n1',
    server: 'roomcast/0.1.0',
    protocol: 1,
    pingIntervalMs: 25_000,
    limits: {
      payloadBytes: 32_768,
      roomsPerConnection: 200,
      publishPerSecond: 1000,
      batch: 64,
      historyMessages: 100,
    },
    reconnect: { minMs: 0, maxMs: 2000 },
  },
  { type: 'expiring', inMs: 30_000 },
  { type: 'pong' },
  { type: 'pong', id: 'p' },
  { type: 'status', redis: 'down' },
  { type: 'closing', code: 1012, reason: 'drain', reconnect: 'after', afterMs: 1500 },
  { type: 'ok', id: 1, room: 'r' },
  { type: 'ok', id: 1, room: 'r', epoch: 'e', seq: 42 },
  { type: 'ok', id: 1, room: 'r', epoch: 'e', seq: 42, duplicate: true },
  { type: 'reset', room: 'r', epoch: 'e', seq: 0, reason: 'lost' },
  { type: 'left', room: 'r', reason: 'kicked' },
  { type: 'epoch', room: 'r', epoch: 'e', seq: 7 },
];

describe('a frame of plain values', () => {
  test.each(SERVER)('%j is encoded as it is', (frame) => {
    expect(frameIn(encodeFrame(frame))).toEqual(frame);
  });

  test('has type in front wherever it stood', () => {
    expect(encodeFrame({ id: 1, type: 'pong' })).toBe('{"type":"pong","id":1}');
  });

  test('is one kind of ok and no other', () => {
    expect(serverFrameNames({ type: 'ok', id: 1, room: 'r' })).toEqual(['ok.done']);
    expect(serverFrameNames({ type: 'ok', id: 1, room: 'r', epoch: 'e', seq: 1 })).toEqual(['ok.publish']);
  });
});

describe('an error', () => {
  test.each(Object.keys(ERRORS) as ErrorCode[])('may have the code %s', (code) => {
    const { retryable } = ERRORS[code];
    const bare = { type: 'error', code, message: 'why', retryable } as const;
    expect(frameIn(encodeFrame(bare))).toStrictEqual(bare);
    const full = { ...bare, id: 'x', retryAfterMs: 20, room: '@anna' };
    expect(frameIn(encodeFrame(full))).toEqual(full);
  });

  test('gives an id back that has no UTF-8 form', () => {
    const id = 'a\ud800';
    const frame = encodeFrame({ type: 'error', id, code: 'internal', message: 'm', retryable: true });
    expect(frameIn(Buffer.from(frame))).toMatchObject({ id });
  });
});

test('the size of a payload is told in UTF-8 bytes, and only where it is too large', () => {
  expect(bytesOver('abc', 3)).toBe(0);
  expect(bytesOver('abcd', 3)).toBe(4);
  expect(bytesOver('ä', 2)).toBe(0);
  expect(bytesOver('ä', 1)).toBe(2);
  expect(bytesOver('€', 3)).toBe(0);
  expect(bytesOver('🦊🦊', 7)).toBe(8);
  expect(bytesOver('x'.repeat(100_000), 0)).toBe(0);
});

function fail(): never {
  throw new Error('the fixture is empty');
}
