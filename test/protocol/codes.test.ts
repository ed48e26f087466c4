import { describe, expect, test } from 'vitest';
import { CLOSE, CLOSES, ERRORS, isErrorCode, reconnectAfter } from '../../src/protocol/codes.ts';

describe('close codes', () => {
  test('are exactly those of the protocol', () => {
    expect(Object.keys(CLOSES).map(Number)).toEqual([
      1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4005, 4008, 4009, 4501, 4503, 4508,
      4509, 4510,
    ]);
  });

  test.each(Object.entries(CLOSE))('%s is the name of %i in both tables', (name, code) => {
    expect(CLOSES[code].name).toBe(name);
  });

  test('have names for all, and no two names for one', () => {
    expect(new Set(Object.values(CLOSE)).size).toBe(Object.keys(CLOSES).length);
  });

  test('of ours tell by their range whether to reconnect', () => {
    for (const code of Object.values(CLOSE)) {
      const { reconnect } = CLOSES[code];
      if (code >= 4500) expect(reconnect).toBe('never');
      else if (code >= 4000) expect(reconnect).not.toBe('never');
    }
  });

  test.each([
    [1012, 'after'],
    [4005, 'now'],
    [4501, 'never'],
    [1005, 'now'],
    [1006, 'now'],
    [1014, 'after'],
    [3000, 'after'],
    [4000, 'after'],
    [4499, 'after'],
    [4500, 'never'],
    [4999, 'never'],
  ])('%i means: reconnect %s, known or not', (code, reconnect) => {
    expect(reconnectAfter(code)).toBe(reconnect);
  });
});

describe('error codes', () => {
  test('that may be repeated are those where the same request can succeed later', () => {
    const retryable = Object.entries(ERRORS).filter(([, one]) => one.retryable);
    expect(retryable.map(([code]) => code)).toEqual([
      'rate_limited',
      'unavailable',
      'unknown_outcome',
      'internal',
    ]);
  });

  test('are told from other words', () => {
    expect(isErrorCode('bad_request')).toBe(true);
    expect(isErrorCode('toString')).toBe(false);
    expect(isErrorCode('')).toBe(false);
  });
});
