/** The SDK in a page that sleeps: the network or the person comes back, and the client does not sit out its pause. */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { TestClient } from '../support/test-client.ts';

// A browser starts within the first test, on a machine that may be busy.
vi.setConfig({ testTimeout: 90_000 });

const browser = browserForFile();
/** So long that no test lives to see the end of it. */
const PAUSE_MS = 3_600_000;

interface Rig {
  readonly page: Page;
  readonly proxy: FaultProxy;
  readonly other: TestClient;
  /** What the page was told of the room, in its order. */
  readonly said: () => Promise<unknown>;
}

async function rig(): Promise<Rig> {
  const node = await nodeForTest({});
  const proxy = await startFaultProxy(node.port);
  onTestFinished(() => proxy.close());
  const other = await TestClient.hello(node.url, 'bob');
  await other.join('lobby');
  const context = await (await browser()).newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.setContent(`<script type="module">
    import { connect } from '${node.http}/roomcast.js';
    window.states = [];
    window.said = [];
    window.client = connect('ws://127.0.0.1:${proxy.port}/ws', {
      user: 'ann', backoff: { baseMs: ${PAUSE_MS}, capMs: ${PAUSE_MS} },
    });
    client.on('state', (change) => states.push(change));
    const room = client.join('lobby');
    room.on('message', ({ data }) => said.push(data));
    room.on('reset', ({ reason }) => said.push(reason));
  </script>`);
  await state(page, "state === 'connected'");
  return { page, proxy, other, said: () => page.evaluate('said') };
}

async function state(page: Page, condition: string): Promise<void> {
  await page.waitForFunction(`(({ state, retryInMs }) => ${condition})(window.states?.at(-1) ?? {})`);
}

test.each([
  ['the network is back', "dispatchEvent(new Event('online'))"],
  ['the page is taken from the cache of its history', "dispatchEvent(new Event('pageshow'))"],
  ['somebody looks at the page again', "document.dispatchEvent(new Event('visibilitychange'))"],
])('connects at once when %s, and has what it missed', async (_when, event) => {
  const { page, proxy, other, said } = await rig();
  await other.publish('lobby', 1);
  proxy.setMode('cut');
  await state(page, "state === 'waiting' && retryInMs > 60_000");
  await other.publish('lobby', 2);
  proxy.setMode('pass');
  await page.evaluate(event);
  await state(page, "state === 'connected'");
  await other.publish('lobby', 3);
  await page.waitForFunction('said.length > 2');
  expect(await said()).toEqual([1, 2, 3]);
});

test('a link that went half-open unseen is found out as soon as somebody looks, and left for a new one', async () => {
  const { page, proxy, other, said } = await rig();
  await other.publish('lobby', 1);
  await page.waitForFunction('said.length > 0');
  const stuck = proxy.connections().map(({ id }) => id);
  proxy.setMode('blackhole', ({ id }) => stuck.includes(id));
  await other.publish('lobby', 2);
  // Nothing else would ask before two intervals of pings, 50 s.
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
  await page.waitForFunction("states.some(({ reason }) => reason === 'no answer')", undefined, {
    timeout: 20_000,
  });
  await state(page, "state === 'connected'");
  await page.waitForFunction('said.includes(2)');
  expect(await said()).toEqual([1, 2]);
});

test('a page that was frozen in the background while its link died has everything, once, when it is thawed', async () => {
  const { page, proxy, other, said } = await rig();
  const devtools = await page.context().newCDPSession(page);
  await other.publish('lobby', 1);
  await page.waitForFunction('said.length > 0');
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  await other.publish('lobby', 2);
  proxy.setMode('cut');
  await other.publish('lobby', 3);
  proxy.setMode('pass');
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  await other.publish('lobby', 4);
  await page.waitForFunction('said.includes(4)');
  expect(await said()).toEqual([1, 2, 3, 4]);
});
