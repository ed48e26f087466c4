/** docs/CLIENT.md against the SDK: its programs run, and its table of options is the options. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import * as sdk from '../../src/client/index.ts';
import { settingsOf } from '../../src/client/settings.ts';
import { LocalServer } from '../support/local-server.ts';
import { clientForTest } from './scripted-client.ts';

const GUIDE = readFileSync(new URL('../../docs/CLIENT.md', import.meta.url), 'utf8');
const programs = [...GUIDE.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, program = '']) => program);
const rows = [...GUIDE.matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)].map(([, name, value]) => [name, value]);

const AsyncFunction = (async () => {}).constructor as new (
  ...words: string[]
) => (...values: unknown[]) => Promise<void>;

/** Runs one as written, but for where it connects to and what it imports. */
async function run(program: string, names: Record<string, unknown>): Promise<void> {
  const body = program.replace(/^import .*\n/m, '');
  await new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
}

test('its first program connects, joins, shows messages and publishes', async () => {
  const { url } = await LocalServer.forTest();
  const shown: unknown[] = [];
  let made: sdk.Client | undefined;
  const connect: typeof sdk.connect = (_url, options) => {
    made = sdk.connect(url, { ...options, user: 'ann', WebSocket });
    return made;
  };
  try {
    await run(programs[0] ?? '', {
      connect,
      fetchToken: async () => 'token',
      show: (user: string, data: unknown) => shown.push([user, data]),
      say: (text: string) => shown.push(text),
    });
    await expect.poll(() => shown).toEqual([['ann', { text: 'hello' }]]);
  } finally {
    made?.close();
  }
});

test('its program for inboxes sends, receives and marks', async () => {
  const { url } = await LocalServer.forTest();
  const client = clientForTest(url, { user: 'bob', inbox: true });
  const shown: unknown[] = [];
  const show = (user: string, data: unknown): void => void shown.push([user, data]);
  await run(programs[1] ?? '', { client, show, say: (text: string) => shown.push(text) });
  await expect.poll(() => shown).toEqual([['bob', { text: 'for you alone' }]]);
  const phone: unknown[] = [];
  await client.inbox.read(1);
  client.close();
  await clientForTest(url, { user: 'ann' }).send('bob', 2);
  clientForTest(url, { user: 'bob', inbox: true }).inbox.on('message', ({ data }) => phone.push(data));
  await expect.poll(() => phone).toEqual([2]);
});

test('its table lists every option of the types, with the defaults of the code', () => {
  const types = readFileSync(new URL('../../src/client/api.ts', import.meta.url), 'utf8');
  const body = /export interface ClientOptions \{([^]*?)^\}/m.exec(types)?.[1] ?? '';
  const options = [...body.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name);
  const backoff = [...(/backoff\?: \{(.*)\}/.exec(body)?.[1] ?? '').matchAll(/(\w+)\?/g)].map(
    ([, name]) => name,
  );
  expect(rows.map(([name]) => name)).toEqual([
    ...options.filter((name) => name !== 'backoff'),
    ...backoff.map((name) => `backoff.${name}`),
  ]);
  const numbers = rows.filter(([, value = '']) => /^[\d,]+$/.test(value));
  const defaults = numbers.map(([name = '', value = '']) => [
    name.replace('backoff.', ''),
    Number(value.replaceAll(',', '')),
  ]);
  expect(Object.fromEntries(defaults)).toEqual(settingsOf({}));
});
