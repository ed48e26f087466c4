import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeEntry,
  decodeEnvelope,
  decodeLogged,
  encodeLogged,
  encodeSignal,
} from '../../../src/broker/redis/envelope.ts';
import type { Signal } from '../../../src/broker/broker.ts';

const body = fc.string({ unit: 'grapheme', maxLength: 200 });
const natural = fc.nat(Number.MAX_SAFE_INTEGER);
const epoch = fc.stringMatching(/^[0-9a-f]{10}\.[0-9a-f]{10}$/);
const user = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .map((name) => name.replace(/\p{Cc}/gu, '_'));
const state = fc.json();
const REASONS = ['left', 'closed', 'node_lost', 'kicked', 'expired'] as const;

describe('envelopes', () => {
  test('a message comes out as the script put it together', () => {
    fc.assert(
      fc.property(epoch, natural, natural, body, (e, seq, ts, payload) => {
        const raw = Buffer.from(`1M${e}:${seq}:${ts}\n${encodeLogged(payload)}`);
        expect(decodeEnvelope(raw)).toEqual({
          kind: 'message',
          epoch: e,
          seq,
          ts,
          body: Buffer.from(payload),
        });
      }),
    );
  });

  test('a logged payload and its stream id come back', () => {
    fc.assert(
      fc.property(body, natural, natural, (payload, seq, ts) => {
        const logged = Buffer.from(encodeLogged(payload));
        expect(logged[0]).toBe(0x31);
        expect(decodeLogged(logged)).toEqual(Buffer.from(payload));
        expect(decodeEntry(Buffer.from(`${seq}-${ts}`), logged)).toEqual({
          seq,
          ts,
          body: Buffer.from(payload),
        });
      }),
    );
  });

  test('joins and updates come back with whatever is in the state', () => {
    fc.assert(
      fc.property(natural, natural, user, fc.nat(), state, fc.boolean(), (p, v, name, since, text, joins) => {
        const raw = Buffer.from(`1P${p}:${v}:${joins ? 'join' : 'update'}\n${name}\n${since}\n${text}\n`);
        const member = { user: name, since, state: `${text}\n` };
        const kind = joins ? 'joined' : 'updated';
        expect(decodeEnvelope(raw)).toEqual({
          kind: 'presence',
          change: { previous: p, version: v, kind, member },
        });
      }),
    );
  });

  test('leaves come back with all their users', () => {
    fc.assert(
      fc.property(
        fc.array(user, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(...REASONS),
        (users, reason) => {
          const raw = Buffer.from(`1P5:1795173331846123:leave:${reason}\n${users.join('\n')}`);
          expect(decodeEnvelope(raw)).toEqual({
            kind: 'presence',
            change: { previous: 5, version: 1_795_173_331_846_123, kind: 'left', users, reason },
          });
        },
      ),
    );
  });

  test('signals make the round trip', () => {
    const to = fc.option(fc.oneof(fc.record({ user }), fc.record({ connection: fc.uuid() })), {
      nil: undefined,
    });
    fc.assert(
      fc.property(fc.uuid(), to, body, (sender, addressee, payload) => {
        const signal: Signal = {
          sender,
          body: Buffer.from(payload),
          ...(addressee === undefined ? {} : { to: addressee }),
        };
        expect(decodeEnvelope(encodeSignal(signal))).toEqual({ kind: 'signal', signal });
      }),
    );
  });

  test('canaries come with and without the server that wrote them', () => {
    expect(decodeEnvelope(Buffer.from('1C42'))).toEqual({ kind: 'canary', counter: 42 });
    expect(decodeEnvelope(Buffer.from('1C42:'))).toEqual({ kind: 'canary', counter: 42 });
    expect(decodeEnvelope(Buffer.from('1C42:f00d'))).toEqual({ kind: 'canary', counter: 42, runId: 'f00d' });
  });

  test.each([
    '',
    '1',
    '2',
    'M',
    '2Me.t:1:2\n1x',
    '1X',
    '1M',
    '1M:1:2\n1x',
    '1Me.t:1:2',
    '1Me.t:1:2\n',
    '1Me.t:1:2\n2x',
    '1Me.t:x:2\n1x',
    '1Me.t::2\n1x',
    '1Me.t:1:\n1x',
    '1Me.t:-1:2\n1x',
    '1Me.t:1.5:2\n1x',
    '1Me.t:99999999999999999:2\n1x',
    '1Me.t:9007199254740993:2\n1x',
    '1P',
    '1P1:2',
    '1P1:2:join',
    '1P1:2:join\n',
    '1P1:2:join\nbob',
    '1P1:2:join\nbob\nx\n{}',
    '1P1:2:join\n\n5\n{}',
    '1P1:2:join\nbob\n\n{}',
    '1P:2:join\nbob\n5\n{}',
    '1P1::join\nbob\n5\n{}',
    '1P1:2:part\nbob\n5\n{}',
    '1P1:2:leave\nbob',
    '1P1:2:leave:\nbob',
    '1P1:2:leave:bored\nbob',
    '1P1:2:leave:toString\nbob',
    '1P1:2:leave:left\n',
    '1S',
    '1S{}',
    '1S{}\nx',
    '1S[]\nx',
    '1Snull\nx',
    '1S{"sender":1}\nx',
    '1S{"sender":"a"',
    '1S{"sender":"a","to":{}}\nx',
    '1S{"sender":"a","to":"bob"}\nx',
    '1S{"sender":"a","to":{"user":1}}\nx',
    '1C',
    '1Cx',
    '1C:abc',
    '1C-1',
  ])('%j is no envelope', (text) => {
    expect(decodeEnvelope(Buffer.from(text))).toBeUndefined();
  });

  test('unknown formats of log entries are told apart from bodies', () => {
    expect(decodeLogged(Buffer.from(''))).toBeUndefined();
    expect(decodeLogged(Buffer.from('2x'))).toBeUndefined();
    expect(decodeLogged(Buffer.from('1'))).toEqual(Buffer.alloc(0));
    for (const id of ['', '5', '-', '5-', '-5', 'x-1', '1-x', '1-2-3']) {
      expect(decodeEntry(Buffer.from(id), Buffer.from('1x'))).toBeUndefined();
    }
    expect(decodeEntry(Buffer.from('1-2'), Buffer.from('2x'))).toBeUndefined();
  });

  test('random and mangled bytes never throw', () => {
    const valid = fc.constantFrom(
      '1Ma.b:1:2\n1{}',
      '1P1:2:join\nbob\n5\n{}',
      '1P1:2:leave:left\nbob',
      '1S{"sender":"a"}\nx',
      '1C1:ab',
    );
    const mangled = fc.tuple(valid, fc.nat(40), fc.uint8Array({ maxLength: 6 })).map(([text, at, bytes]) => {
      const raw = Buffer.from(text);
      return Buffer.concat([raw.subarray(0, at), bytes, raw.subarray(at + 1)]);
    });
    const tagged = fc
      .tuple(fc.constantFrom('1M', '1P', '1S', '1C'), fc.uint8Array({ maxLength: 60 }))
      .map(([tag, bytes]) => Buffer.concat([Buffer.from(tag), bytes]));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), mangled, tagged), (raw) => {
        const bytes = Buffer.from(raw);
        decodeEnvelope(bytes);
        decodeLogged(bytes);
        decodeEntry(bytes, bytes);
      }),
      { numRuns: 20_000 },
    );
  });

  test('a body does not keep the read chunk it came in alive', () => {
    // ioredis hands out slices of what one read of the socket brought. A message just heard is told as one, and
    // copied by the ring that keeps it (test/core/room-buffer); whatever else has a body has it for itself.
    const chunk = Buffer.alloc(64 * 1024);
    const logged = chunk.subarray(100, 100 + chunk.write('1hello', 100));
    const signal = chunk.subarray(300, 300 + chunk.write('1S{"sender":"a"}\nhello', 300));
    const heard = decodeEnvelope(signal);
    const bodies = [decodeLogged(logged), heard?.kind === 'signal' ? heard.signal.body : undefined];
    chunk.fill(0);
    for (const kept of bodies) {
      expect(kept?.toString()).toBe('hello');
      expect(kept?.buffer).not.toBe(chunk.buffer);
    }
  });
});
