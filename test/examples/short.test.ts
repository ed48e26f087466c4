/** The clients of about thirty lines, in four languages: they talk, lose their connection and miss nothing. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { PROCESS_TEST_MS } from '../support/cli-process.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { TestClient } from '../support/test-client.ts';
import { WireServer } from '../support/wire-server.ts';
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

it.each(LANGUAGES)(
  'the short one in %s comes back when a closing said so and not before, and not at all where it said never',
  async (language) => {
    const server = await WireServer.start();
    onTestFinished(() => server.stop());
    const ben = await startExample(
      language,
      { url: server.url, room: 'lobby', user: 'ben' },
      browser,
      'short',
    );
    const first = await server.connection();
    await first.welcome();
    await first.joined({ seq: 7 });
    await ben.line('* in lobby');
    const afterMs = 4000;
    const toldAt = performance.now();
    first.send({ type: 'closing', code: 1012, reason: 'come back later', reconnect: 'after', afterMs });
    await ben.line('* closing: come back later');
    // Earlier than told, as when the node then dies: the moment stands.
    first.socket.close(1012);
    const second = await server.connection();
    expect(performance.now() - toldAt).toBeGreaterThan(afterMs - 50);
    await second.welcome();
    expect(await second.joined({ seq: 7 })).toMatchObject({ since: { epoch: 'e.1', seq: 7 } });
    second.send({ type: 'closing', code: 4510, reason: 'go away', reconnect: 'never' });
    await ben.line('* closing: go away');
    second.socket.close(4510);
    await ben.line('* not coming back');
  },
);

it.each(LANGUAGES)('the short one in %s resumes with a joined of two megabytes', async (language) => {
  const node = await nodeForTest({ JOIN_BYTES: String(4 << 20), LIMIT_OUTBOX_MAX_BYTES: String(8 << 20) });
  const proxy = await startFaultProxy(node.port);
  onTestFinished(() => proxy.close());
  const anna = await TestClient.hello(node.url, 'anna');
  await anna.join('lobby');
  const url = `ws://127.0.0.1:${proxy.port}/ws`;
  const ben = await startExample(language, { url, room: 'lobby', user: 'ben' }, browser, 'short');
  await ben.line('* in lobby');
  proxy.setMode('cut');
  const count = 64;
  for (let n = 1; n <= count; n += 1) await anna.publish('lobby', 'x'.repeat(32_000));
  proxy.setMode('pass');
  await ben.line(`#${count} anna: "x`);
  await anna.publish('lobby', 'and on');
  await ben.line('"and on"');
  expect(await ben.messages()).toHaveLength(count + 1);
});
