/** What an application that names no option gets. docs/CLIENT.md lists the same, see guide.test.ts. */
import { expect, test } from 'vitest';
import { settingsOf } from '../../src/client/settings.ts';

test('every default is what the types and the guide say', () => {
  expect(settingsOf({})).toEqual({
    outboxMessages: 1000,
    outboxBytes: 1_048_576,
    publishTimeoutMs: 90_000,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 15_000,
    baseMs: 1000,
    capMs: 30_000,
    stableMs: 30_000,
  });
});

test('what is given counts, what is given as undefined does not', () => {
  const given = {
    user: 'ann',
    outboxMessages: 5,
    outboxBytes: undefined,
    backoff: { capMs: 9, baseMs: undefined },
  };
  expect(settingsOf(given as never)).toMatchObject({
    user: 'ann',
    outboxMessages: 5,
    outboxBytes: 1_048_576,
    capMs: 9,
    baseMs: 1000,
  });
});

test('no publish is tried for longer than the server is sure to remember its key', () => {
  expect(settingsOf({ publishTimeoutMs: 900_000 }).publishTimeoutMs).toBe(100_000);
});
