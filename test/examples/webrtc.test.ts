/** The WebRTC example in a real Chromium: the node carries introductions, the browsers carry the words. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { PROCESS_TEST_MS } from '../support/cli-process.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { TestClient } from '../support/test-client.ts';
import { WireServer } from '../support/wire-server.ts';
import { openExample } from './example-client.ts';

vi.setConfig({ testTimeout: PROCESS_TEST_MS });

const ROOM = 'call';
const browser = browserForFile();

it('two pages open a channel over signal and talk over it, also while the server is away', async () => {
  const node = await nodeForTest({});
  const proxy = await startFaultProxy(node.port);
  onTestFinished(() => proxy.close());
  const url = `ws://127.0.0.1:${proxy.port}/ws`;
  const watcher = await TestClient.hello(node.url);
  await watcher.join(ROOM);

  const anna = await openExample('webrtc.html', { url, room: ROOM, user: 'anna' }, browser);
  const ben = await openExample('webrtc.html', { url, room: ROOM, user: 'ben' }, browser);
  await Promise.all([anna.line('connected to 1'), ben.line('connected to 1')]);

  // Nothing of this goes through the node, which is not even there.
  proxy.setMode('cut');
  await anna.type('hello');
  await ben.line('anna: hello');
  await ben.type('hello to you');
  await anna.line('ben: hello to you');
  expect(watcher.of('message')).toEqual([]);

  // Back again they know each other still, and a third one finds both.
  proxy.setMode('pass');
  const cleo = await openExample('webrtc.html', { url, room: ROOM, user: 'cleo' }, browser);
  await Promise.all([anna, ben, cleo].map((page) => page.line('connected to 2')));
  await cleo.type('me too');
  await Promise.all([anna.line('cleo: me too'), ben.line('cleo: me too')]);
  for (const page of [anna, ben, cleo]) expect(await page.lines()).toContain('cleo: me too');
  for (const page of [anna, ben, cleo])
    expect((await page.lines()).filter((line) => line[0] === '*')).toEqual([]);
});

/** Keeps the connections of a page, and counts how often an own offer gave way to one that came. */
const WATCH = `
  window.rollbacks = 0;
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      connections.push(this);
    }
    setRemoteDescription(description) {
      if (description.type === 'offer' && this.signalingState === 'have-local-offer') rollbacks += 1;
      return super.setRemoteDescription(description);
    }
  };`;
const SETTLED = `connections[0].signalingState === 'stable' &&
  ['connected', 'completed'].includes(connections[0].iceConnectionState)`;

it('an offer that was lost with the connection of the other is made again when they are back', async () => {
  // The browser makes no other while one waits for its answer: the two never found each other.
  const node = await nodeForTest({});
  const proxy = await startFaultProxy(node.port);
  onTestFinished(() => proxy.close());
  const [direct, cut] = [node.url, `ws://127.0.0.1:${proxy.port}/ws`];
  const anna = await openExample('webrtc.html', { url: direct, room: ROOM, user: 'anna' }, browser, WATCH);
  await anna.line('connected to 0');
  proxy.setMode({ delayMs: 500 });
  const ben = await openExample('webrtc.html', { url: cut, room: ROOM, user: 'ben' }, browser);
  // On its way to ben, who never sees it.
  await anna.page.waitForFunction("connections[0]?.signalingState === 'have-local-offer'");
  proxy.cutOpen();
  proxy.setMode('pass');
  await Promise.all([anna, ben].map((page) => page.line('connected to 1')));
  await anna.type('there you are');
  await ben.line('anna: there you are');
});

it('where both offer at once exactly one takes its offer back, and they go on talking', async () => {
  const node = await nodeForTest({});
  const proxy = await startFaultProxy(node.port);
  onTestFinished(() => proxy.close());
  const url = `ws://127.0.0.1:${proxy.port}/ws`;
  const anna = await openExample('webrtc.html', { url, room: ROOM, user: 'anna' }, browser, WATCH);
  const ben = await openExample('webrtc.html', { url, room: ROOM, user: 'ben' }, browser, WATCH);
  const pages = [anna, ben];
  await Promise.all(pages.map((page) => page.line('connected to 1')));
  await Promise.all(pages.map(({ page }) => page.waitForFunction(SETTLED)));
  await Promise.all(pages.map(({ page }) => page.evaluate('rollbacks = 0')));

  // Slow enough that each has offered before it hears of the other's offer.
  proxy.setMode({ delayMs: 300 });
  await Promise.all(pages.map(({ page }) => page.evaluate('connections[0].restartIce()')));
  const rollbacks = async (): Promise<number[]> =>
    Promise.all(pages.map(async ({ page }) => Number(await page.evaluate('rollbacks'))));
  await expect
    .poll(async () => (await rollbacks()).toSorted((a, b) => a - b), { timeout: 10_000 })
    .toEqual([0, 1]);
  await Promise.all(pages.map(({ page }) => page.waitForFunction(SETTLED)));
  await anna.type('still here');
  await ben.line('anna: still here');
  await ben.type('so am I');
  await anna.line('ben: so am I');
  for (const page of pages) expect((await page.lines()).filter((line) => line[0] === '*')).toEqual([]);
});

it('a page that is turned away comes back later each time, when told at the moment told, and not where it is told so', async () => {
  const server = await WireServer.start();
  onTestFinished(() => server.stop());
  const chance = 'Math.random = () => 0.5;';
  const anna = await openExample(
    'webrtc.html',
    { url: server.url, room: ROOM, user: 'anna' },
    browser,
    chance,
  );
  const arrivals: number[] = [];
  for (let visit = 0; visit < 4; visit += 1) {
    const { socket } = await server.connection();
    arrivals.push(performance.now());
    socket.close(1013);
  }
  const pauses = arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0));
  // Half of 1, 2 and 4 s.
  for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThan(500 * 2 ** index - 50);
  const told = await server.connection();
  await told.welcome();
  await told.joined({ room: ROOM });
  const toldAt = performance.now();
  told.send({ type: 'closing', code: 1012, reason: 'drain', reconnect: 'after', afterMs: 1500 });
  told.socket.close(1012);
  const last = await server.connection();
  expect(performance.now() - toldAt).toBeGreaterThan(1450);
  last.send({ type: 'closing', code: 4510, reason: 'go away', reconnect: 'never' });
  last.socket.close(4510);
  await anna.line('* not coming back');
});
