/**
 * The story that the README shows: four people talk on two nodes, the node of two of them is killed while the
 * others go on talking, and everything that was said is there when they are back. A desktop in light and a
 * phone in dark colours; the pictures are test-results/demo/story-*.png, and docs/images/ has copies.
 */
import { expect, onTestFinished, test, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { TestClient } from '../support/test-client.ts';
import { clusterForFile } from './cluster.ts';
import { DESKTOP, DemoPage, PHONE } from './demo-page.ts';

// A browser and two nodes start within the test, on a machine that may be busy.
vi.setConfig({ testTimeout: 90_000 });

const browser = browserForFile();
const cluster = clusterForFile();

/** Said while two of the four are gone; what stands in the picture is the end of it. */
const MEANWHILE = [
  'node-b just went dark on my dashboard.',
  'Pulled the plug on purpose. Watch Ann and Zoë.',
  'They are both gone from the pool.',
  'And nobody has seen them leave the room.',
  'Right, they are held for five seconds.',
  'So whatever we say now has to reach them later?',
  'Every word of it, in this order, once.',
  'Then let us make it worth the wait.',
];
const MISSED = 64;
const AFTERWARDS = ['And there they are, without a reload.', 'Not a single gap on my side either.'] as const;

test('a node dies, and the pages of its people have all that was said when they are back', async () => {
  const { nodes } = await cluster();
  const talk = async (user: string, name: string, state: object = {}) => {
    const client = await TestClient.hello(nodes[0].url, user);
    await client.join('launch', { state: { name, ...state } });
    const say = (text: string) => client.publish('launch', { text, name });
    return { client, say };
  };
  const [bob, mia] = [await talk('bob-1', 'Bob Okafor'), await talk('guest-mia', 'Mia Chen')];
  // The pause before the first attempt is a chance of up to 2 s. Here it is always the same.
  // In the place of a balancer: where it leads is known.
  const proxy = await startFaultProxy(nodes[1].port);
  onTestFinished(() => proxy.close());
  const onNodeB = async (name: string, user: string, options: object): Promise<DemoPage> => {
    const url = `http://127.0.0.1:${proxy.port}/#launch`;
    const person = { name, user, options: { ...options, reducedMotion: 'reduce' } } as const;
    const demo = await DemoPage.person(await browser(), url, person);
    // The pause before the first attempt is a chance of up to 2 s. Here it is always the same.
    await demo.context.addInitScript('Math.random = () => 0.8;');
    await demo.page.reload();
    expect(await demo.node()).toBe('node-b');
    return demo;
  };
  const ann = await onNodeB('Ann Marlow', 'ann', { ...DESKTOP, colorScheme: 'light' });
  const zoe = await onNodeB('Zoë Lind', 'zoe', { ...PHONE, colorScheme: 'dark' });
  for (const demo of [ann, zoe])
    await demo.page.locator('#people-count').getByText('4').waitFor({ state: 'attached' });
  await zoe.page.evaluate(() => document.getElementById('my-sharing')?.click());
  await ann.page.getByText('Zoë Lind is sharing a screen').waitFor();
  await bob.say('Ready? I am going to kill a node while we talk.');
  await ann.say('Go ahead. I am not even going to hold on to something.');
  await zoe.sees('Go ahead. I am not even going to hold on to something.');

  proxy.setTarget(nodes[0].port);
  await nodes[1].kill('SIGKILL');
  for (const demo of [ann, zoe]) await demo.badgeSays(/^Reconnecting/);
  for (let at = 0; at < MISSED; at += 1) {
    const [who] = [[bob, mia][at % 2] ?? bob];
    await who.say(MEANWHILE[at % MEANWHILE.length] ?? '');
  }
  for (const demo of [ann, zoe]) await demo.notice(new RegExp(`${MISSED} messages recovered`));
  const line = `${MISSED} messages recovered`;
  expect(await ann.page.locator('.comeback-card').textContent()).toMatch(
    new RegExp(`^${line} · .* · node-b → node-a$`),
  );
  expect(await zoe.page.locator('.lifeline .comeback').textContent()).toMatch(
    new RegExp(`^${line} · .* · node-b → node-a$`),
  );
  await ann.say('Back already. Did I miss anything?');
  await bob.say(AFTERWARDS[0]);
  await zoe.say(AFTERWARDS[1]);
  for (const demo of [ann, zoe]) for (const text of AFTERWARDS) await demo.sees(text);
  expect(await ann.texts()).toEqual(await zoe.texts());

  bob.client.send({ type: 'signal', room: 'launch', data: { kind: 'cursor', x: 0.66, y: 0.2 } });
  mia.client.send({ type: 'signal', room: 'launch', data: { kind: 'typing', typing: true } });
  for (const demo of [ann, zoe]) {
    await demo.page.locator('#typing').getByText('Mia Chen is typing').waitFor();
    await demo.page.locator('.cursor').first().waitFor();
  }
  await ann.page.mouse.move(5, 5);
  for (const [demo, name] of [
    [ann, 'story-desktop'],
    [zoe, 'story-phone'],
  ] as const) {
    await fitHeight(demo);
    await demo.shoot(name);
  }
});

/** Takes from the height of the window what shows a part of a message at the top of the log. */
async function fitHeight({ page }: DemoPage): Promise<void> {
  const sliced = await page.evaluate(() => {
    const top = document.getElementById('log')?.getBoundingClientRect().top ?? 0;
    const boxes = [...document.querySelectorAll('#messages > li')].map((row) => row.getBoundingClientRect());
    const cut = boxes.find((box) => box.top < top + 4 && box.bottom > top);
    return cut === undefined ? 0 : Math.ceil(cut.bottom - top);
  });
  const { width, height } = page.viewportSize() ?? { width: 0, height: 0 };
  await page.setViewportSize({ width, height: height - sliced });
  // Two frames: the page moves to the end again when its window has another size.
  await page.evaluate(
    () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
  );
}
