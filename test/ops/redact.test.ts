/** What leaves the process as text holds no secret and nothing that a terminal would obey. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isSecretName,
  maskAddress,
  maskUrl,
  maskUrls,
  printable,
  safeFields,
  safeText,
} from '../../src/ops/redact.ts';

describe('URLs', () => {
  it.each([
    ['redis://user:secret@host:6379/0', 'redis://user:***@host:6379/0'],
    ['redis://:secret@host', 'redis://:***@host'],
    ['redis://secret@host', 'redis://***@host'],
    ['rediss://u:se@cr/et@host/1', 'rediss://u:***@host/1'],
    ['redis://u:a:b@host', 'redis://u:***@host'],
    ['redis://host:6379/0', 'redis://host:6379/0'],
    ['mail@example', 'mail@example'],
  ])('%s is shown as %s', (url, shown) => {
    expect(maskUrl(url)).toBe(shown);
  });

  it('are masked without their scheme where an address is expected', () => {
    expect(maskAddress('user:secret@host')).toBe('***@host');
    expect(maskAddress('redis://user:secret@host')).toBe('redis://user:***@host');
    expect(maskAddress('host:6379')).toBe('host:6379');
  });

  it('are found inside a sentence', () => {
    expect(maskUrls('cannot reach redis://u:p@h1 nor\nredis://:q@h2 today')).toBe(
      'cannot reach redis://u:***@h1 nor\nredis://:***@h2 today',
    );
  });

  it('never show a generated password of any form', () => {
    const password = fc
      .string({ minLength: 6, maxLength: 20 })
      .filter((p) => !/[\s*]/.test(p) && !'user:host'.includes(p));
    fc.assert(
      fc.property(password, (p) => {
        expect(maskUrl(`redis://user:x${p}@host`)).not.toContain(`x${p}`);
        expect(safeText(`at redis://user:x${p}@host`)).not.toContain(`x${p}`);
      }),
      { numRuns: 500 },
    );
  });

  it('cost linear time, also where somebody tries to make it quadratic', () => {
    const hostile = `${'a://'.repeat(250_000)}@`;
    const start = process.hrtime.bigint();
    maskUrls(hostile);
    safeText(hostile);
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeLessThan(500);
  });
});

describe('secret names', () => {
  it.each([
    'password',
    'redisPassword',
    'REDIS_PASSWORD',
    'passwd',
    'token',
    'accessToken',
    'Authorization',
    'set-cookie',
    'apiKey',
    'client_secret',
    'jwt',
  ])('%s is one', (name) => expect(isSecretName(name)).toBe(true));
  it.each(['room', 'key', 'passed', 'bypass-count', 'connection', 'epoch', 'tokenBucketMs'])(
    '%s is none',
    (name) => expect(isSecretName(name)).toBe(false),
  );
});

describe('text', () => {
  it('shows control characters instead of sending them', () => {
    expect(printable('a\r\nb\u001b[31m\u0000\u009b\u2028\u202ec\u200b')).toBe(
      'a\\u000d\\u000ab\\u001b[31m\\u0000\\u009b\\u2028\\u202ec\\u200b',
    );
    expect(printable('Grüße, 日本, 👋')).toBe('Grüße, 日本, 👋');
  });

  it('is cut at 256 without halving a character, and says how long it was', () => {
    expect(safeText('x'.repeat(256))).toBe('x'.repeat(256));
    expect(safeText('x'.repeat(10_240))).toBe(`${'x'.repeat(256)}... (10240 characters)`);
    expect(safeText(`${'x'.repeat(255)}👋👋`)).toBe(`${'x'.repeat(255)}... (259 characters)`);
  });

  it('masks before it cuts', () => {
    expect(safeText(`redis://u:${'s'.repeat(300)}@host`)).toBe('redis://u:***@host');
  });
});

describe('fields', () => {
  it('mask secrets at any depth and keep the rest', () => {
    expect(
      safeFields({ room: 'lobby', hello: { token: 'abc', user: 'u' }, headers: [{ cookie: 'c' }] }),
    ).toEqual({
      room: 'lobby',
      hello: { token: '***', user: 'u' },
      headers: [{ cookie: '***' }],
    });
  });

  it('are bounded in depth, number and size, cycles included', () => {
    const cycle: Record<string, unknown> = { name: 'a' };
    cycle['self'] = cycle;
    const shown = safeFields({
      cycle,
      many: Array.from({ length: 1000 }, (_, i) => i),
      wide: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i])),
      bytes: Buffer.alloc(1_000_000),
      map: new Map([[1, 2]]),
      big: 10n ** 30n,
      at: new Date(0),
      never: new Date(Number.NaN),
      [`k${'x'.repeat(10_000)}`]: 1,
    });
    expect(JSON.stringify(shown).length).toBeLessThan(3000);
    expect(shown).toMatchObject({ bytes: '1000000 bytes', map: '1 entries', at: '1970-01-01T00:00:00.000Z' });
  });

  it('do not let a field named __proto__ change anything', () => {
    const shown = safeFields(JSON.parse('{"__proto__": {"polluted": 1}, "a": 1}'));
    expect(Object.keys(shown)).toEqual(['__proto__', 'a']);
    expect('polluted' in shown).toBe(false);
  });

  it('show an error as type, message, code, frames and cause, and nothing else it carries', () => {
    const error = Object.assign(
      new TypeError('bad\n    at fake (evil.js:1:1) redis://u:pw@h', { cause: new Error('deep') }),
      {
        code: 'ECODE',
        command: { args: ['AUTH', 'pw'] },
      },
    );
    const shown = safeFields({ error }) as { error: Record<string, string> };
    expect(shown.error).toMatchObject({ type: 'TypeError', code: 'ECODE', cause: { message: 'deep' } });
    expect(shown.error['message']).toBe('bad\\u000a    at fake (evil.js:1:1) redis://u:***@h');
    const [head, first] = String(shown.error['stack']).split('\n');
    expect(head).toBe('TypeError: bad\\u000a    at fake (evil.js:1:1) redis://u:***@h');
    expect(first).toMatch(/^ {4}at .*redact\.test\.ts/);
    expect(JSON.stringify(shown)).not.toContain('pw');
  });
});
