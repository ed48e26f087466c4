/** The schemas of server frames: what they take is shown by encode.test.ts, here is what they refuse. */
import { describe, expect, test } from 'vitest';
import { serverFrameFault, serverFrameNames } from '../support/frame-schemas.ts';

const at = { room: 'r', epoch: 'e', seq: 1 };
const joined = { type: 'joined', id: 1, ...at, messages: [], count: 1, version: 1 };
const welcome = {
  type: 'welcome',
  connection: 'c',
  user: 'anna',
  node: 'n1',
  server: 'roomcast/0.1.0',
  protocol: 1,
  pingIntervalMs: 1,
  limits: { payloadBytes: 1, roomsPerConnection: 1, publishPerSecond: 1, batch: 1, historyMessages: 1 },
  reconnect: { minMs: 0, maxMs: 1 },
};
const message = { type: 'message', room: 'r', seq: 1, ts: 1, data: null };
const error = { type: 'error', code: 'internal', message: 'm', retryable: true };
const presence = { type: 'presence', room: 'r', version: 1, count: 0 };

describe('a server frame', () => {
  test.each([
    ['no type', {}],
    ['a type of a client', { type: 'join', id: 1, room: 'r' }],
    ['welcome in another protocol version', { ...welcome, protocol: 2 }],
    ['welcome without limits', { ...welcome, limits: undefined }],
    ['welcome with a limit missing', { ...welcome, limits: { payloadBytes: 1 } }],
    ['expiring without a time', { type: 'expiring' }],
    ['pong with a bad id', { type: 'pong', id: {} }],
    ['status of something else', { type: 'status', redis: 'away' }],
    ['closing without reconnect', { type: 'closing', code: 1012, reason: 'x' }],
    ['closing with a code that is none', { type: 'closing', code: 12, reason: 'x', reconnect: 'now' }],
    ['joined without messages', { ...joined, messages: undefined }],
    ['joined with a message without data', { ...joined, messages: [{ seq: 1, ts: 1 }] }],
    ['joined with an unknown reason', { ...joined, recovered: false, reason: 'because' }],
    [
      'joined with a member whose state is a list',
      { ...joined, members: [{ user: 'a', state: [], since: 1 }] },
    ],
    ['ok without an id', { type: 'ok', room: 'r' }],
    ['ok with half a position', { type: 'ok', id: 1, room: 'r', epoch: 'e' }],
    ['ok with a page that does not say whether there is more', { type: 'ok', id: 1, ...at, messages: [] }],
    ['ok with duplicate false, which is left out instead', { type: 'ok', id: 1, ...at, duplicate: false }],
    ['ok with a version and no count', { type: 'ok', id: 1, room: 'r', version: 1 }],
    ['message without data', { ...message, data: undefined, room: 'a b' }],
    ['message with a sender without a name', { ...message, from: { connection: 'c' } }],
    ['message in a room that cannot be', { ...message, room: 'a b' }],
    ['reset too far, which only a join can be', { type: 'reset', ...at, reason: 'too_far' }],
    ['left for no known reason', { type: 'left', room: 'r', reason: 'left' }],
    ['epoch without seq', { type: 'epoch', room: 'r', epoch: 'e' }],
    ['signal without a sender', { type: 'signal', room: 'r', data: 1 }],
    ['presence that is snapshot and diff at once', { ...presence, members: [], previous: 0 }],
    ['presence with a left without reason', { ...presence, previous: 0, left: [{ user: 'a' }] }],
    ['error with an unknown code', { ...error, code: 'oops' }],
    ['error that does not say whether it may be repeated', { ...error, retryable: undefined }],
  ])('may not be %s', (_what, frame) => {
    // Through JSON, where undefined means absent.
    expect(serverFrameFault(JSON.parse(JSON.stringify(frame)))).toBeTypeOf('string');
  });

  test.each([
    ['welcome', welcome],
    ['joined', joined],
    ['message', message],
    ['error', error],
    ['presence.count', presence],
    ['presence.snapshot', { ...presence, members: [] }],
    ['presence.diff', { ...presence, previous: 0 }],
  ])('that is %s matches that schema and no other', (name, frame) => {
    expect(serverFrameNames(frame)).toEqual([name]);
  });
});
