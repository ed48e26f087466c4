/**
 * The page for people with a keyboard, a screen reader, a phone, or the light off. What can be computed is
 * asserted; what it looks like is kept as pictures in test-results/demo/.
 */
import { expect, onTestFinished, test, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { NodeProcess } from '../support/node-process.ts';
import { DESKTOP, DemoPage, eventually, PHONE } from './demo-page.ts';
import { namelessControls, overflowing, paleTexts, smallTargets } from './what-is-visible.ts';

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

/** The same controls whether a panel covers them or not. */
function press(demo: DemoPage, id: string): Promise<void> {
  return demo.page.evaluate((name) => document.getElementById(name)?.click(), id);
}

const LOOKS = [
  ['Ann Marlow', 'ann', 'desktop-light', { ...DESKTOP, colorScheme: 'light' }],
  ['Bob Okafor', 'bob-1', 'desktop-dark', { ...DESKTOP, colorScheme: 'dark' }],
  ['Mia', 'guest-mia', 'phone-light', { ...PHONE, colorScheme: 'light' }],
  ['Zoë Lind', 'zoe', 'phone-dark', { ...PHONE, colorScheme: 'dark' }],
] as const;

/** Four people who talk, each on another device: one shares a screen, one is away, one types, one was cut off. */
async function scene(url: string): Promise<[DemoPage, DemoPage, DemoPage, DemoPage]> {
  const chromium = await browser();
  const people = (await Promise.all(
    LOOKS.map(([name, user, , options]) =>
      DemoPage.person(chromium, url, { name, user, options: { ...options, reducedMotion: 'reduce' } }),
    ),
  )) as [DemoPage, DemoPage, DemoPage, DemoPage];
  const [ann, bob, mia, zoe] = people;
  await Promise.all(people.map((demo) => demo.connected()));
  await Promise.all(
    people.map((demo) => demo.page.locator('#people-count').getByText('4').waitFor({ state: 'attached' })),
  );
  const turns: [DemoPage, string][] = [
    [bob, 'The new node has been in the pool for ten minutes.'],
    [ann, 'Connections moved over in their own time. Nobody noticed.'],
    [mia, 'I was on a train, in and out of tunnels. Everything was there when I came back.'],
    [bob, 'I killed the old one by hand to be sure.'],
    [zoe, 'Same order for all of us. I am sharing the logs.'],
  ];
  for (const [demo, text] of turns) {
    await demo.say(text);
    await Promise.all(people.map((each) => each.sees(text)));
  }
  await press(mia, 'my-away');
  await press(zoe, 'my-sharing');
  await ann.page.getByText('Zoë Lind is sharing a screen').waitFor();
  await press(ann, 'kill');
  await bob.say('Ann, are you still there?');
  await ann.notice(/1 message recovered/);
  await ann.say('Back already.');
  await Promise.all(people.map((demo) => demo.sees('Back already.')));
  for (const [demo, across, down] of [
    [ann, 0.4, 0.72],
    [bob, 0.62, 0.3],
  ] as const) {
    const box = await demo.page.locator('#board').boundingBox();
    if (box) await demo.page.mouse.move(box.x + box.width * across, box.y + box.height * down);
  }
  await bob.field.pressSequentially('And');
  for (const demo of [ann, mia, zoe]) {
    await demo.page.locator('#typing').getByText('Bob Okafor is typing').waitFor();
    await demo.page.locator('.cursor').first().waitFor();
  }
  return people;
}

async function expectReadable(demo: DemoPage): Promise<void> {
  expect(await demo.page.evaluate(namelessControls)).toEqual([]);
  expect(await demo.page.evaluate(smallTargets)).toEqual([]);
  expect(await demo.page.evaluate(paleTexts)).toEqual([]);
  expect(await demo.page.evaluate(overflowing)).toEqual([]);
}

test('on a desktop and a phone, in light and dark, everything has a name, a size and enough contrast', async () => {
  const node = await oneNode();
  const people = await scene(`${node.http}/#lobby`);
  // The pictures first: a cursor that rests is forgotten after a while.
  for (const [index, demo] of people.entries()) await demo.shoot(LOOKS[index]?.[2] ?? '');
  for (const [index, demo] of people.entries()) {
    const look = LOOKS[index]?.[2] ?? '';
    expect(await demo.page.evaluate(() => document.documentElement.dataset['theme'])).toBe(
      look.split('-')[1],
    );
    await expectReadable(demo);
    if (look.startsWith('desktop')) continue;
    for (const panel of ['rooms', 'people']) {
      await demo.page.tap(`#${panel}-open`);
      await demo.page.locator(`#${panel}-close`).waitFor();
      expect(await isInert(demo, 'stage')).toBe(true);
      await expectReadable(demo);
      await demo.shoot(`${look}-${panel}`);
      await demo.page.tap(`#${panel}-close`);
    }
  }
});

function isInert(demo: DemoPage, id: string): Promise<boolean> {
  return demo.page.evaluate((name) => document.getElementById(name)?.inert === true, id);
}

test('the page has its landmarks, one heading of the first rank, and live regions for news', async () => {
  const node = await oneNode();
  const { page, ...demo } = await DemoPage.person(await browser(), node.http);
  await page.getByText('Connected to node-a', { exact: true }).first().waitFor();
  for (const [role, name] of [
    ['navigation', 'Rooms'],
    ['main', undefined],
    ['complementary', 'People and connection'],
    ['log', 'Messages'],
    ['region', 'Connection'],
  ] as const)
    expect(await page.getByRole(role, { name }).count(), `${role} ${name}`).toBe(1);
  expect(await page.getByRole('heading', { level: 1 }).allTextContents()).toEqual(['#lobby']);
  expect(await page.getAttribute('html', 'lang')).toBe('en');
  // What a screen reader is told of the connection, without the seconds of the badge.
  expect(await page.locator('#spoken').getAttribute('role')).toBe('status');
  expect(await page.locator('#spoken').textContent()).toBe('Connected to node-a');
  expect(await page.locator('#typing').getAttribute('aria-live')).toBe('polite');
  expect(demo.errors).toEqual([]);
});

test('everything can be done with the keyboard, and one always sees where one is', async () => {
  const node = await oneNode();
  const { page } = await DemoPage.person(await browser(), node.http);
  const keyboard = page.keyboard;
  const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
  await page.getByText('Connected to node-a', { exact: true }).first().waitFor();

  await keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the message field');
  await keyboard.press('Enter');
  expect(await focused()).toBe('composer-text');
  // The link is within the page: it leads to the field and not to a room of that name.
  expect(await page.title()).toBe('#lobby · roomcast');
  await keyboard.type('Typed and sent');
  await keyboard.press('Shift+Enter');
  await keyboard.type('without a mouse');
  await keyboard.press('Enter');
  await page.getByText('Typed and sent\nwithout a mouse').waitFor();

  const visited: string[] = [];
  await page.locator('#skip').focus();
  for (let step = 0; step < 30; step++) {
    await keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return undefined;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const composer = element.closest('.composer');
      const ring = composer
        ? getComputedStyle(composer).boxShadow !== 'none'
        : outlineStyle !== 'none' && outlineWidth !== '0px';
      return { id: element.id || (element.textContent ?? '').trim(), ring };
    });
    if (at === undefined) break;
    expect(at.ring, `${at.id} shows that it has the focus`).toBe(true);
    visited.push(at.id);
  }
  const order = [
    'theme',
    'new-room-name',
    'my-name',
    'my-away',
    'my-sharing',
    'badge',
    'share-link',
    'log',
    'composer-text',
    'kill',
    'offline',
  ];
  expect(visited.filter((id) => order.includes(id))).toEqual(order);

  await page.locator('#my-away').focus();
  await keyboard.press('Space');
  await eventually(
    () => page.locator('#my-away').getAttribute('aria-pressed'),
    (pressed) => pressed === 'true',
  );
  await page.locator('#new-room-name').focus();
  await keyboard.type('by keyboard');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: '#by-keyboard' }).waitFor();
  await page.locator('#kill').focus();
  await keyboard.press('Enter');
  await page
    .locator('#badge-text')
    .getByText(/^Reconnecting/)
    .waitFor();
  await page
    .locator('#badge-text')
    .getByText(/^Connected/)
    .waitFor();
});

test('on a phone a panel takes the focus, keeps it from what lies behind, and gives it back on Escape', async () => {
  const node = await oneNode();
  const demo = await DemoPage.person(await browser(), node.http, { options: PHONE });
  const { page } = demo;
  await demo.connected();
  const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
  for (const [opener, closer, panel] of [
    ['rooms-open', 'rooms-close', 'panel-rooms'],
    ['people-open', 'people-close', 'panel-people'],
    ['badge', 'people-close', 'panel-people'],
  ] as const) {
    expect(await isInert(demo, panel)).toBe(true);
    await page.locator(`#${opener}`).focus();
    await page.keyboard.press('Enter');
    expect(await focused()).toBe(closer);
    expect(await page.getAttribute(`#${opener}`, 'aria-expanded')).toBe('true');
    for (let step = 0; step < 25; step++) {
      await page.keyboard.press('Tab');
      const inside = await page.evaluate((id) => {
        const at = document.activeElement;
        return at === document.body || at?.className === 'skip' || at?.closest(`#${id}`) !== null;
      }, panel);
      expect(inside, 'the focus stays in the panel').toBe(true);
    }
    await page.keyboard.press('Escape');
    expect(await focused()).toBe(opener);
    expect(await page.getAttribute(`#${opener}`, 'aria-expanded')).toBe('false');
  }
});

test('the colours follow the system until somebody chooses, and the choice is kept', async () => {
  const node = await oneNode();
  const { page } = await DemoPage.person(await browser(), node.http, { options: { colorScheme: 'dark' } });
  const theme = () => page.evaluate(() => document.documentElement.dataset['theme']);
  expect(await theme()).toBe('dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await eventually(theme, (shown) => shown === 'light');
  const button = page.getByRole('button', { name: /^Colours/ });
  await button.click();
  await button.click();
  expect(await button.getAttribute('aria-label')).toBe('Colours: dark. Change');
  expect(await theme()).toBe('dark');
  await page.reload();
  expect(await theme()).toBe('dark');
});

test('who wants less motion gets none', async () => {
  const node = await oneNode();
  const { page } = await DemoPage.person(await browser(), node.http, {
    options: { ...PHONE, reducedMotion: 'reduce' },
  });
  const durations = await page.evaluate(() =>
    [...document.querySelectorAll('*')].flatMap((element) => {
      const { transitionDuration, animationDuration } = getComputedStyle(element);
      return [transitionDuration, animationDuration]
        .flatMap((list) => list.split(','))
        .map(Number.parseFloat);
    }),
  );
  expect(Math.max(...durations)).toBeLessThan(0.001);
});
