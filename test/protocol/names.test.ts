import { describe, expect, test } from 'vitest';
import {
  INBOX_PATTERN,
  isInboxName,
  isRoomName,
  isUserName,
  ROOM_PATTERN,
  USER_PATTERN,
} from '../../src/protocol/names.ts';

const at = (codePoint: number) => String.fromCodePoint(codePoint);

describe('room names', () => {
  test.each([
    ['one character', 'a'],
    ['128 characters', 'r'.repeat(128)],
    ['every allowed character', 'ABCXYZabcxyz0189_.:/-'],
    ['a path', 'org:1/team:2/chat'],
    ['dots alone', '..'],
  ])('may be %s', (_what, name) => {
    expect(isRoomName(name)).toBe(true);
  });

  test.each([
    ['empty', ''],
    ['129 characters', 'r'.repeat(129)],
    ['a space', 'a b'],
    ['a leading @, which is reserved for inboxes', '@anna'],
    ['braces, which would choose a Redis slot', 'a{b}'],
    ['a glob', 'a*'],
    ['a newline at the end, which $ may overlook', 'a\n'],
    ['a letter beyond ASCII', 'café'],
    ['NUL', 'a\0'],
    ['a percent sign', 'a%20b'],
  ])('may not be or contain: %s', (_what, name) => {
    expect(isRoomName(name)).toBe(false);
  });

  test.each([[undefined], [null], [1], [{}], [['a']]])('are text, not %j', (value) => {
    expect(isRoomName(value)).toBe(false);
    expect(isUserName(value)).toBe(false);
    expect(isInboxName(value)).toBe(false);
  });
});

describe('user names', () => {
  test.each([
    ['one character', 'a'],
    ['one character beyond the basic plane', '🦊'],
    ['128 characters of two units each', '🦊'.repeat(128)],
    ['spaces inside', 'Anna Maria  K'],
    ['an e-mail address', 'anna+test@example.org'],
    ['what the server makes up', 'anon-0198b6f2-7c1e-7a52-9f34-2b8f5d0c61aa'],
    ['Japanese', '山田太郎'],
    ['Arabic', 'محمد'],
    ['a combining accent', 'e\u0301'],
    ['quotes, backslash and brackets', `"\\'[]<>*?`],
    ['a leading @', '@anna'],
    ['the name of a property of all objects', '__proto__'],
    ['a code point nobody assigned yet', at(0x3ffd0)],
  ])('may be %s', (_what, name) => {
    expect(isUserName(name)).toBe(true);
  });

  test.each([
    ['empty', ''],
    ['129 characters', 'u'.repeat(129)],
    ['129 characters of two units each', '🦊'.repeat(129)],
    ['a megabyte', 'u'.repeat(1_000_000)],
    ['an opening brace', 'a{b'],
    ['a closing brace', 'a}b'],
    ['only a space', ' '],
    ['a space in front', ' anna'],
    ['a space at the end', 'anna '],
    ['a newline, which forges log lines', 'a\nb'],
    ['a trailing newline', 'a\n'],
    ['a tab', 'a\tb'],
    ['NUL', 'a\0b'],
    ['the escape of terminals', 'a\u001b[31mb'],
    ['DEL', 'a\u007fb'],
    ['a C1 control (CSI)', 'a\u009bb'],
    ['a line separator', 'a\u2028b'],
    ['a paragraph separator', 'a\u2029b'],
    ['a no-break space', 'a\u00a0b'],
    ['an ideographic space', 'a\u3000b'],
    ['a zero-width space', 'a\u200bb'],
    ['a zero-width joiner', 'a\u200db'],
    ['a byte order mark', '\ufeffab'],
    ['a soft hyphen', 'a\u00adb'],
    ['a bidi override', 'a\u202eb'],
    ['a bidi isolate', 'a\u2066b'],
    ['a left-to-right mark', 'a\u200eb'],
    ['a variation selector', 'a\ufe0fb'],
    ['a Hangul filler, which looks like nothing', '\u3164'],
    ['a tag character', `a${at(0xe0041)}b`],
    ['an interlinear annotation', 'a\ufff9b'],
    ['a private use character', 'a\ue000b'],
    ['a noncharacter', 'a\uffffb'],
    ['a lone high surrogate', 'a\ud800b'],
    ['a lone low surrogate', '\udc00ab'],
  ])('may not be or contain: %s', (_what, name) => {
    expect(isUserName(name)).toBe(false);
  });
});

describe('inbox names', () => {
  test('are @ and a user name', () => {
    expect(isInboxName('@anna')).toBe(true);
    expect(isInboxName('@Anna Maria')).toBe(true);
    expect(isInboxName('@@anna')).toBe(true);
  });

  test.each(['anna', '@', '@ anna', '@a{b', '', `@${'u'.repeat(129)}`])('are not %j', (name) => {
    expect(isInboxName(name)).toBe(false);
  });

  test('are never room names', () => {
    for (const name of ['@a', '@room', '@@']) expect(isRoomName(name)).toBe(false);
  });
});

test('the patterns in the schemas decide like the functions', () => {
  const names = [
    'a',
    'a b',
    ' a',
    '@a',
    '@a b',
    'a{',
    '🦊',
    'a\u200b',
    '',
    'x'.repeat(128),
    'x'.repeat(129),
    '@a ',
    'a\n',
  ];
  for (const name of names) {
    expect(new RegExp(ROOM_PATTERN, 'u').test(name)).toBe(isRoomName(name));
    expect(new RegExp(USER_PATTERN, 'u').test(name)).toBe(isUserName(name));
    expect(new RegExp(INBOX_PATTERN, 'u').test(name)).toBe(isInboxName(name));
  }
});

test('a long name that is wrong only at its end is refused in linear time', () => {
  const startedMs = performance.now();
  for (let round = 0; round < 1000; round += 1) isUserName(`${'a '.repeat(127)}{`);
  expect(performance.now() - startedMs).toBeLessThan(1000);
});
