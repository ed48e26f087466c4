/** Messages for one person: kept while they are away, and unread until they look. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { NodeProcess } from '../support/node-process.ts';
import { DemoPage, eventually } from './demo-page.ts';

// A browser and two nodes start within the first test, on a machine that may be busy.
vi.setConfig({ testTimeout: 90_000 });

const browser = browserForFile();

async function oneNode(): Promise<NodeProcess> {
  const node = await NodeProcess.start({ NODE_NAME: 'node-a', REDIS_MODE: 'off' });
  onTestFinished(async () => {
    await node.kill('SIGKILL');
  });
  return node;
}

test('a direct message reaches the other alone, is counted until it is looked at, and is answered', async () => {
  const { http } = await oneNode();
  const [ann, bob] = await Promise.all([
    DemoPage.person(await browser(), http, { name: 'Ann' }),
    DemoPage.person(await browser(), http, { name: 'Bob' }),
  ]);
  await ann.person('Bob').waitFor();
  const write = ann.page.getByRole('link', { name: 'Message to Bob' });
  await ann.person('Bob').hover();
  await write.click();
  await ann.page.getByRole('heading', { name: 'Bob', level: 1 }).waitFor();
  await ann.say('only for you');
  await ann.sees('only for you');
  const thread = bob.page.locator('#threads').getByRole('link', { name: /Ann/ });
  await thread.getByText('1', { exact: true }).waitFor();
  expect(await bob.texts()).toEqual([]);
  expect(await bob.page.title()).toBe('(1) #lobby · roomcast');
  await thread.click();
  await bob.sees('only for you');
  await eventually(
    () => bob.page.title(),
    (title) => title === 'Ann · roomcast',
  );
  await bob.say('got it');
  await ann.sees('got it');
  expect(await ann.texts()).toEqual(['only for you', 'got it']);
  expect(await bob.texts()).toEqual(['only for you', 'got it']);
  await ann.shoot('direct');
});

test('a direct message waits for somebody who is away, until it was read', async () => {
  const { http } = await oneNode();
  const bob = await DemoPage.person(await browser(), http, { name: 'Bob' });
  const ann = await DemoPage.person(await browser(), http, { name: 'Ann' });
  await ann.person('Bob').hover();
  await ann.page.getByRole('link', { name: 'Message to Bob' }).click();
  await bob.page.goto('about:blank');
  await ann.say('when you are back');
  await ann.sees('when you are back');
  await bob.page.goto(http);
  const thread = bob.page.locator('#threads').getByRole('link', { name: /Ann/ });
  await thread.click();
  await bob.sees('when you are back');
  await bob.page.goto('about:blank');
  await bob.page.goto(http);
  await bob.connected();
  await ann.say('and again');
  await thread.click();
  await bob.sees('and again');
  expect(await bob.texts()).toEqual(['and again']);
});
