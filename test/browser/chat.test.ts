/** People in browsers, on two nodes that share a Redis: what one does, the others see. */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { TestClient } from '../support/test-client.ts';
import { clusterForFile } from './cluster.ts';
import { DemoPage, eventually } from './demo-page.ts';

// A browser and two nodes start within the first test, on a machine that may be busy.
vi.setConfig({ testTimeout: 90_000 });

const browser = browserForFile();
const cluster = clusterForFile();

/** Ann on the first node, Bob on the second, in a room of the test's own. */
async function annAndBob(room: string): Promise<[DemoPage, DemoPage]> {
  const { nodes } = await cluster();
  const [ann, bob] = await Promise.all([
    DemoPage.person(await browser(), `${nodes[0].http}/#${room}`, { name: 'Ann' }),
    DemoPage.person(await browser(), `${nodes[1].http}/#${room}`, { name: 'Bob' }),
  ]);
  await Promise.all([ann.person('Bob').waitFor(), bob.person('Ann').waitFor()]);
  return [ann, bob];
}

test('two people on two nodes talk, and both read the same in the same order', async () => {
  const [ann, bob] = await annAndBob('talk');
  expect([await ann.node(), await bob.node()]).toEqual(['node-a', 'node-b']);
  for (let turn = 1; turn <= 3; turn++) {
    await ann.say(`ann ${turn}`);
    await bob.say(`bob ${turn}`);
  }
  const all = async (demo: DemoPage) => {
    await eventually(
      () => demo.page.locator('.message:not(.unsent)').count(),
      (count) => count === 6,
    );
    return demo.texts();
  };
  const [hers, his] = [await all(ann), await all(bob)];
  expect(hers).toEqual(his);
  expect(hers.filter((text) => text.startsWith('ann'))).toEqual(['ann 1', 'ann 2', 'ann 3']);
  expect(hers.filter((text) => text.startsWith('bob'))).toEqual(['bob 1', 'bob 2', 'bob 3']);
});

test('typing is seen while it lasts, and ends with the message', async () => {
  const [ann, bob] = await annAndBob('typing');
  await ann.field.pressSequentially('Hel');
  const typing = bob.page.locator('#typing');
  await typing.getByText('Ann is typing').waitFor();
  expect(await bob.person('Ann').textContent()).toContain('typing…');
  await ann.say('Hello');
  await bob.sees('Hello');
  await eventually(
    () => typing.textContent(),
    (text) => text === '',
  );
});

test('a cursor is seen where it points, and is gone when it leaves', async () => {
  const [ann, bob] = await annAndBob('cursors');
  const board = await ann.page.locator('#board').boundingBox();
  if (!board) throw new Error('the board is not on the page');
  await ann.page.mouse.move(board.x + board.width / 4, board.y + board.height / 2);
  const cursor = bob.page.locator('.cursor').filter({ hasText: 'Ann' });
  await cursor.waitFor();
  await eventually(
    () => cursor.boundingBox(),
    (box) => box !== null && Math.abs(box.x - (board.x + board.width / 4)) < 10,
  );
  expect(await ann.page.locator('.cursor').count()).toBe(0);
  await ann.page.mouse.move(5, 5);
  await cursor.waitFor({ state: 'detached' });
});

test('being away, sharing a screen and another name are told to everybody', async () => {
  const [ann, bob] = await annAndBob('states');
  await ann.page.getByRole('button', { name: 'Away' }).click();
  await bob.person('Ann').getByText('away').waitFor();
  await ann.page.getByRole('button', { name: 'Sharing my screen' }).click();
  await bob.page.getByText('Ann is sharing a screen').waitFor();
  await ann.page.getByRole('textbox', { name: 'Your name' }).fill('Anna Karenina');
  await ann.page.getByRole('textbox', { name: 'Your name' }).press('Enter');
  await bob.person('Anna Karenina').getByText('sharing a screen, away').waitFor();
  await ann.page.getByRole('button', { name: 'Sharing my screen' }).click();
  await bob.page.locator('#shares').waitFor({ state: 'hidden' });
});

test('several tabs are one person, who leaves with the last of them and says the same in all', async () => {
  const [ann, bob] = await annAndBob('tabs');
  const { nodes } = await cluster();
  const second = await DemoPage.tab(ann.context, `${nodes[1].http}/#tabs`);
  // Another port is another origin to a browser, whose storage is its own; the user is what makes a person.
  const profile = await ann.page.evaluate(() => localStorage.getItem('roomcast.demo.profile') ?? '');
  await second.page.evaluate((kept) => localStorage.setItem('roomcast.demo.profile', kept), profile);
  await second.page.reload();
  const third = await DemoPage.tab(ann.context, `${nodes[0].http}/#tabs`);
  await Promise.all([second, third].map((tab) => tab.person('Ann (you)').waitFor()));
  await third.say('from my third tab');
  await Promise.all([ann, second, bob].map((tab) => tab.sees('from my third tab')));
  expect(await ann.page.locator('.message.mine').count()).toBe(1);
  // The invented name that the second tab had before it became Ann's is gone.
  await eventually(
    () => bob.page.locator('#people li').count(),
    (count) => count === 2,
  );
  await third.rename('Ann Two');
  await Promise.all([ann, third, bob].map((tab) => tab.person('Ann Two').waitFor()));
  await third.page.close();
  await ann.page.close();
  await bob.say('still there?');
  await second.sees('still there?');
  expect(await bob.page.locator('#people li').count()).toBe(2);
  await second.page.close();
  await eventually(
    () => bob.page.locator('#people li').count(),
    (count) => count === 1,
  );
});

test('rooms are opened, shared by their address, counted while unread, and left', async () => {
  const [ann, bob] = await annAndBob('first');
  const newRoom = ann.page.getByRole('textbox', { name: 'Name of a new room' });
  await newRoom.fill('Über die Straße!');
  await newRoom.press('Enter');
  await ann.page.getByRole('heading', { name: '#uber-die-strae' }).waitFor();
  expect(new URL(ann.page.url()).hash).toBe('#uber-die-strae');
  await newRoom.fill('???');
  await newRoom.press('Enter');
  await ann.page.getByRole('alert').getByText('A room is named with').waitFor();
  await bob.say('Ann, come back');
  const row = ann.page.getByRole('link', { name: 'first' });
  await row.getByText('1', { exact: true }).waitFor();
  expect(await ann.page.title()).toBe('(1) #uber-die-strae · roomcast');
  await ann.page.goBack();
  await ann.sees('Ann, come back');
  expect(await ann.page.title()).toBe('#first · roomcast');
  await ann.page.getByRole('link', { name: 'uber-die-strae' }).hover();
  await ann.page.getByRole('button', { name: 'Leave uber-die-strae' }).click();
  await ann.page.getByRole('link', { name: 'uber-die-strae' }).waitFor({ state: 'detached' });
});

test('a page in the background counts in its title what comes, and whoever comes and goes leaves that alone', async () => {
  // Of the room that was open nothing was counted, and the next change of people wiped what was.
  const [ann, bob] = await annAndBob('title');
  const see = (state: string): Promise<void> =>
    ann.page.evaluate((visibility) => {
      Object.defineProperty(document, 'visibilityState', { value: visibility, configurable: true });
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
    }, state);
  const titled = (title: string) => expect.poll(() => ann.page.title()).toBe(title);
  await see('hidden');
  await bob.say('one');
  await titled('(1) #title · roomcast');
  await bob.say('two');
  await titled('(2) #title · roomcast');
  await bob.page.close();
  await ann.page.getByText('You are alone here').waitFor({ timeout: 15_000 });
  await titled('(2) #title · roomcast');
  await see('visible');
  await titled('#title · roomcast');
});

test('what other clients publish is shown as what it is, and nothing of it becomes markup', async () => {
  const { nodes } = await cluster();
  const demo = await DemoPage.person(await browser(), `${nodes[0].http}/#markup`);
  await demo.connected();
  const mark = '<img src=x onerror="window.broken=1"><b>bold</b><script>window.broken=1</script>';
  const other = await TestClient.hello(nodes[1].url, mark.replaceAll(/[{}]/g, '').slice(0, 128));
  await other.join('markup', { state: { name: mark, sharing: true, away: 'yes' } });
  await other.publish('markup', { text: mark, name: mark });
  await other.publish('markup', mark);
  await other.publish('markup', { any: ['json', 1, null] });
  await other.publish('markup', { text: 'x'.repeat(20_000) });
  for (const data of [{ kind: 'cursor', x: 'left', y: 2 }, { kind: 'typing', typing: true }, null, [1]])
    other.send({ type: 'signal', room: 'markup', data });
  await demo.sees('{"any":["json",1,null]}');
  await eventually(
    () => demo.page.locator('.message').count(),
    (count) => count === 4,
  );
  expect((await demo.texts()).slice(0, 2)).toEqual([mark, mark]);
  expect((await demo.texts()).at(-1)?.length).toBe(4001);
  const name = await demo.page.locator('.message-name').first().textContent();
  expect(name?.startsWith('<img src=x')).toBe(true);
  await demo.page.locator('#shares').getByText('is sharing a screen').waitFor();
  for (const element of [
    '#messages b',
    '#messages img',
    '#people img',
    '#typing b',
    '#shares img',
    'main script',
  ])
    expect(await demo.page.locator(element).count(), element).toBe(0);
  expect(await demo.page.evaluate(() => 'broken' in window)).toBe(false);
  other.socket.close();
});

test('a room that never stops talking leaves the page as small as before', async () => {
  const { nodes } = await cluster();
  const demo = await DemoPage.person(await browser(), `${nodes[0].http}/#flood`);
  await demo.connected();
  const other = await TestClient.hello(nodes[1].url, 'flooder');
  await other.join('flood');
  for (let number = 1; number <= 900; number++)
    other.send({ type: 'publish', room: 'flood', data: { text: `number ${number}` } });
  await demo.sees('number 900');
  const texts = await demo.texts();
  expect(texts).toEqual(Array.from({ length: 300 }, (_, index) => `number ${601 + index}`));
  expect(await demo.page.locator('#messages > *').count()).toBe(300);
  other.socket.close();
});

test('a page of anybody imports the library from a node, as README.md shows', async () => {
  const { nodes } = await cluster();
  const readme = readFileSync('README.md', 'utf8');
  const snippet = /```html\n([\s\S]*?)```/.exec(readme)?.[1];
  if (snippet === undefined) throw new Error('README.md has no page to try');
  const context = await (await browser()).newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const said = page.waitForEvent('console', (message) => message.text().includes('ann'));
  await page.setContent(snippet.replaceAll('127.0.0.1:8080', new URL(nodes[0].http).host));
  expect((await said).text()).toMatch(/^1 ann \{text: hello\}$|^1 ann \[?[Oo]bject/);
});
