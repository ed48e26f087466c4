import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textNestsDeeper, valueNestsDeeper } from '../../src/protocol/depth.ts';

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

describe('the depth of a text', () => {
  test.each([
    ['exactly the limit', nested(32), false],
    ['one level more', nested(33), true],
    ['brackets inside of a string', `["${'['.repeat(100)}"]`, false],
    ['brackets after an escaped quote, still inside of the string', `["\\"${'['.repeat(100)}"]`, false],
    ['brackets after an escaped backslash, outside of it', `["\\\\",${nested(32)}]`, true],
    ['brackets in a key', `{"${'{'.repeat(100)}":1}`, false],
    ['many values side by side', `[${'[],'.repeat(1000)}[]]`, false],
    ['objects and arrays by turns', `${'{"a":['.repeat(17)}${']}'.repeat(17)}`, true],
  ])('%s', (_what, text, deeper) => {
    expect(textNestsDeeper(text, 32)).toBe(deeper);
  });

  test('is the depth of the value, for any JSON', () => {
    const json = fc.json({ maxDepth: 8, stringUnit: fc.constantFrom('[', '{', ']', '"', '\\', 'x') });
    fc.assert(
      fc.property(
        json,
        fc.nat(8),
        (text, max) => textNestsDeeper(text, max) === valueNestsDeeper(JSON.parse(text), max),
      ),
      { numRuns: 5000 },
    );
  });
});

describe('the depth of a value', () => {
  test('counts containers, not what they hold', () => {
    expect(valueNestsDeeper(1, 0)).toBe(false);
    expect(valueNestsDeeper([], 0)).toBe(true);
    expect(valueNestsDeeper([1, 'a', null], 1)).toBe(false);
    expect(valueNestsDeeper({ a: { b: {} } }, 2)).toBe(true);
    expect(valueNestsDeeper({ a: { b: {} } }, 3)).toBe(false);
  });

  test('sees what hides below a key named __proto__', () => {
    expect(valueNestsDeeper(JSON.parse('{"__proto__":{"a":{}}}'), 2)).toBe(true);
  });

  test('is found without overflowing the stack', () => {
    const deep: unknown = JSON.parse(nested(1_000_000));
    expect(valueNestsDeeper(deep, 32)).toBe(true);
  });
});

describe('what the parser relies on in V8', () => {
  test('JSON.parse reads a million levels: it does not recurse', () => {
    expect(() => JSON.parse(nested(1_000_000))).not.toThrow();
  });

  test('64 KB of opening brackets are a syntax error, not an overflow', () => {
    expect(() => JSON.parse('['.repeat(65_536))).toThrow(SyntaxError);
    expect(() => JSON.parse('{"a":'.repeat(13_107))).toThrow(SyntaxError);
  });

  test('JSON.stringify does recurse, which is why depth is limited', () => {
    expect(() => JSON.stringify(JSON.parse(nested(1_000_000)))).toThrow(RangeError);
  });
});
