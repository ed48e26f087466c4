/** The clients of about thirty lines, in four languages: they talk, lose their connection and miss nothing. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { PROCESS_TEST_MS } from '../support/cli-process.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { TestClient } from '../support/test-client.ts';
import { LANGUAGES, startExample } from './example-client.ts';

vi.setConfig({ testTimeout: PROCESS_TEST_MS });

const browser = browserForFile();

it.each(LANGUAGES)(
  'the short one in %s says what is typed, and shows exactly what it missed',
  async (language) => {
    const node = await nodeForTest({});
    const proxy = await startFaultProxy(node.port);
    onTestFinished(() => proxy.close());
    const anna = await TestClient.hello(node.url, 'anna');
    await anna.join('lobby');
    const url = `ws://127.0.0.1:${proxy.port}/ws`;
    const ben = await startExample(language, { url, room: 'lobby', user: 'ben' }, browser, 'short');
    await ben.line('* in lobby');
    await anna.publish('lobby', 'one');
    await ben.line('#1 anna: "one"');
    await ben.type('tw\u00f6');
    await anna.find((frame) => frame['data'] === 'tw\u00f6');

    proxy.setMode('cut');
    await anna.publish('lobby', 'three');
    await anna.publish('lobby', 'four');
    proxy.setMode('pass');
    await ben.line('#4 anna: "four"');
    await anna.publish('lobby', 'five');
    await ben.line('#5 anna: "five"');
    expect(await ben.messages()).toEqual([
      '#1 anna: "one"',
      '#2 ben: "tw\u00f6"',
      '#3 anna: "three"',
      '#4 anna: "four"',
      '#5 anna: "five"',
    ]);
  },
);
