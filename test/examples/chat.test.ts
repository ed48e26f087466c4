/**
 * The chat clients of examples/, each against a real node and with a link that breaks. They are what
 * people copy, so what they get right (resuming, saying again under the same key) is tested like our own.
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { PROCESS_TEST_MS } from '../support/cli-process.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { TestClient } from '../support/test-client.ts';
import { LANGUAGES, startExample } from './example-client.ts';

vi.setConfig({ testTimeout: PROCESS_TEST_MS });

const ROOM = 'lobby';
const browser = browserForFile();

async function proxyForTest(url: string): Promise<FaultProxy> {
  const proxy = await startFaultProxy(Number(new URL(url).port));
  onTestFinished(() => proxy.close());
  return proxy;
}

const through = (proxy: FaultProxy): string => `ws://127.0.0.1:${proxy.port}/ws`;
/** Who talks to whom: each is heard by the next, so that every pair is of two languages. */
const pairs = LANGUAGES.map((language, at) => [language, LANGUAGES[(at + 1) % LANGUAGES.length] ?? language]);

describe.each(pairs)('the chat in %s', (language, other) => {
  it(`talks to the one in ${other}, loses its connection, and shows exactly what it missed`, async () => {
    const node = await nodeForTest({});
    const proxy = await proxyForTest(node.url);
    const anna = await startExample(other, { url: node.url, room: ROOM, user: 'anna' }, browser);
    await anna.line(`* in ${ROOM}`);
    const ben = await startExample(language, { url: through(proxy), room: ROOM, user: 'ben' }, browser);
    await ben.line(`* in ${ROOM}`);
    await anna.type('one');
    await ben.line('#1 anna: "one"');
    await ben.type('"two" \\ tw\u00f6');
    await anna.line('#2 ben:');

    proxy.setMode('cut');
    await anna.type('three');
    await anna.line('#3 ');
    await anna.type('four');
    await anna.line('#4 ');
    await ben.type('five');
    proxy.setMode('pass');
    await ben.line('#4 anna: "four"');
    await anna.line('#5 ben: "five"');
    await anna.type('six');
    await Promise.all([ben.line('#6 '), anna.line('#6 ')]);

    const said = [
      '#1 anna: "one"',
      '#2 ben: "\\"two\\" \\\\ tw\u00f6"',
      '#3 anna: "three"',
      '#4 anna: "four"',
      '#5 ben: "five"',
      '#6 anna: "six"',
    ];
    expect(await ben.messages()).toEqual(said);
    expect(await anna.messages()).toEqual(said);
  });
});

describe.each(LANGUAGES)('the chat in %s', (language) => {
  it('says what it typed once, though the answer was lost', async () => {
    const node = await nodeForTest({});
    const proxy = await proxyForTest(node.url);
    const watcher = await TestClient.hello(node.url);
    await watcher.join(ROOM);
    const ben = await startExample(language, { url: through(proxy), room: ROOM, user: 'ben' }, browser);
    await ben.line(`* in ${ROOM}`);
    // Whatever comes after the handshake is lost, on new connections too: bash says each line over its own.
    proxy.setMode('swallow-replies', (connection) => connection.bytesToClient > 0);
    await ben.type('hello');
    await watcher.next('message');
    proxy.cutOpen();
    proxy.setMode('pass');
    await ben.line('#1 ben: "hello"');
    await ben.type('again');
    await ben.line('#2 ben: "again"');
    expect(watcher.data(ROOM)).toEqual(['hello', 'again']);
    expect(await ben.messages()).toEqual(['#1 ben: "hello"', '#2 ben: "again"']);
  });

  it('refuses a line that would end its connection for ever, and says the next one', async () => {
    // The server closed with 1009, and the line was said again on each connection that followed.
    const node = await nodeForTest({});
    const watcher = await TestClient.hello(node.url);
    await watcher.join(ROOM);
    const ben = await startExample(language, { url: node.url, room: ROOM, user: 'ben' }, browser);
    await ben.line(`* in ${ROOM}`);
    await ben.type('x'.repeat(70_000));
    await ben.line('* too long');
    await ben.type('hello');
    await watcher.next('message');
    expect(watcher.data(ROOM)).toEqual(['hello']);
  });

  it('says that messages are gone where the server has lost them, and goes on', async () => {
    const first = await nodeForTest({});
    const proxy = await proxyForTest(first.url);
    const watcher = await TestClient.hello(first.url);
    await watcher.join(ROOM);
    await watcher.publish(ROOM, 'before');
    const ben = await startExample(language, { url: through(proxy), room: ROOM, user: 'ben' }, browser);
    await ben.line(`* in ${ROOM}`);
    await watcher.publish(ROOM, 'one');
    await ben.line('#2 ');

    // The embedded broker keeps nothing: another node knows nothing of the positions of this one.
    const second = await nodeForTest({});
    const later = await TestClient.hello(second.url);
    await later.join(ROOM);
    proxy.setTarget(second.port);
    await ben.line('* joined: lost');
    await later.publish(ROOM, 'two');
    await ben.line('"two"');
    expect((await ben.messages()).map((line) => line.replace(/ .*:/, ''))).toEqual(['#2 "one"', '#1 "two"']);
  });
});
