/**
 * What the page promises when something breaks: it says so, it comes back by itself, and what it then shows
 * has no hole, no repetition and no other order.
 */
import { expect, test, vi } from 'vitest';
import { browserForFile } from '../support/browser.ts';
import { TestClient } from '../support/test-client.ts';
import { clusterForFile } from './cluster.ts';
import { DemoPage, PHONE } from './demo-page.ts';

// A browser and two nodes start within the first test, on a machine that may be busy.
vi.setConfig({ testTimeout: 90_000 });

const browser = browserForFile();
const cluster = clusterForFile();

/** Publishes `1`, `2`, … until stopped; says how many were acknowledged. */
async function counting(url: string, room: string, everyMs: number) {
  const client = await TestClient.hello(url, 'counter');
  await client.join(room);
  let said = 0;
  let running = true;
  const done = (async () => {
    while (running) {
      const reply = await client.publish(room, String(said + 1));
      if (reply.type !== 'ok') throw new Error(JSON.stringify(reply));
      said++;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    get said() {
      return said;
    },
    async stop() {
      running = false;
      await done;
      client.socket.close();
      return said;
    },
  };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => String(index + 1));

test('a killed connection comes back with the number of messages it missed', async () => {
  const { nodes } = await cluster();
  const demo = await DemoPage.person(await browser(), `${nodes[0].http}/#kill`);
  await demo.connected();
  const count = await counting(nodes[1].url, 'kill', 20);
  await demo.sees('3');
  // Counted in the turn of the click: asked for later, the first recovered messages may be there already. One that
  // had just come may not be drawn yet; at 20 messages a second it is one at most.
  const before = await demo.page.getByRole('button', { name: 'Kill my connection' }).evaluate((button) => {
    (button as HTMLElement).click();
    return document.querySelectorAll('#messages > li').length;
  });
  await demo.badgeSays(/^Reconnecting/);
  expect(await demo.badge.getAttribute('data-tone')).toBe('warn');
  expect(await demo.page.getByRole('button', { name: 'Kill my connection' }).isDisabled()).toBe(true);
  await demo.notice(/Connection restored/);
  await demo.connected();
  const said = await count.stop();
  await demo.sees(String(said));
  expect(await demo.texts()).toEqual(upTo(said));
  const notice = (await demo.notices.first().textContent()) ?? '';
  const recovered = Number(/(\d+) messages? recovered/.exec(notice)?.[1] ?? 0);
  expect(recovered).toBeGreaterThan(0);
  expect(await demo.page.locator('.comeback-card').textContent()).toMatch(
    new RegExp(`^${recovered} messages? recovered · [0-9.]+\\u00a0m?s · node-a$`),
  );
  // The notice stands where the recovered messages end, so their number can be counted on the page.
  const rows = await demo.page
    .locator('#messages > li')
    .evaluateAll((items) => items.map((item) => item.className));
  const place = rows.findIndex((name) => name.startsWith('notice'));
  expect([before, before + 1]).toContain(place - recovered);
  const diary = await demo.page.locator('#events').textContent();
  expect(diary).toMatch(
    /#kill: \d+ messages? recovered.*Connected to node-a after .*You killed the connection/,
  );
});

test('on a phone the button that kills is one tap away, and what it brought back stands beside it', async () => {
  const { nodes } = await cluster();
  const demo = await DemoPage.person(await browser(), `${nodes[0].http}/#tap`, { options: PHONE });
  await demo.connected();
  const count = await counting(nodes[1].url, 'tap', 20);
  await demo.sees('3');
  await demo.page.getByRole('button', { name: 'Kill my connection' }).tap();
  await demo.badgeSays(/^Reconnecting/);
  await demo.page
    .locator('.lifeline')
    .getByText(/^[1-9]\d* messages? recovered$/)
    .waitFor();
  const said = await count.stop();
  await demo.sees(String(said));
  expect(await demo.texts()).toEqual(upTo(said));
});

test('offline is said, what is written meanwhile waits, and is sent once after going online', async () => {
  const { nodes } = await cluster();
  const [ann, bob] = await Promise.all([
    DemoPage.person(await browser(), `${nodes[0].http}/#offline`, { name: 'Ann' }),
    DemoPage.person(await browser(), `${nodes[1].http}/#offline`, { name: 'Bob' }),
  ]);
  await ann.connected();
  await bob.connected();
  await ann.page.getByRole('button', { name: 'Kill my connection' }).click();
  await ann.say('written in the dark');
  await bob.sees('written in the dark');
  await ann.connected();
  await ann.page.getByRole('button', { name: 'Go offline' }).click();
  await ann.badgeSays('Disconnected');
  // Who is here is not known now, and not said.
  await ann.page.getByRole('heading', { name: 'Last known' }).waitFor();
  expect(await ann.page.locator('#people [data-presence]').count()).toBe(0);
  expect(await ann.page.locator('#subtitle').textContent()).toBe('not connected');
  await ann.say('too late');
  await ann.page.getByText('Not sent: you are offline').waitFor();
  await bob.say('she is gone');
  await bob.sees('she is gone');
  await ann.page.getByRole('button', { name: 'Go online' }).click();
  await ann.notice(/1 message recovered/);
  await ann.page.locator('#people [data-presence]').first().waitFor();
  expect(await ann.texts()).toEqual(['written in the dark', 'she is gone', 'too late']);
  await ann.page.getByRole('button', { name: 'Send again' }).click();
  await bob.sees('too late');
  await ann.sees('too late');
  expect(await ann.texts()).toEqual(['written in the dark', 'she is gone', 'too late']);
  expect(await bob.texts()).toEqual(['written in the dark', 'she is gone', 'too late']);
});

test('Redis away is a degraded connection, and an empty Redis a visible break with its reason', async () => {
  const { nodes, redis } = await cluster();
  const demo = await DemoPage.person(await browser(), `${nodes[0].http}/#redis`, { name: 'Ann' });
  await demo.connected();
  await demo.say('before');
  await demo.sees('before');
  await redis.kill();
  await demo.badgeSays('Degraded on node-a');
  expect(await demo.page.locator('#link-detail').textContent()).toContain('lost Redis');
  await demo.say('meanwhile');
  await demo.page.locator('.message.unsent').getByText('Waiting for the connection').waitFor();
  await redis.restart();
  await demo.notice(/Continuity broke here \(lost\)/);
  await demo.connected();
  await demo.sees('meanwhile');
  expect(await demo.texts()).toEqual(['before', 'meanwhile']);
  const rows = await demo.page
    .locator('#messages > li')
    .evaluateAll((items) => items.map((item) => item.className.split(' ')[0]));
  expect(rows).toEqual(['message', 'notice', 'message']);
});

// Last in this file: the killed node stays dead.
test('a node is killed: both pages stand on the other one, with nothing missing, twice or out of order', async () => {
  const { nodes, balancer } = await cluster();
  const ann = await DemoPage.person(await browser(), `${balancer.http}/#survive`, { name: 'Ann' });
  const first = await ann.node();
  const bob = await DemoPage.person(await browser(), `${balancer.http}/#survive`, { name: 'Bob' });
  // The proxy counts what is open at the moment, requests included, so it may take another visit.
  for (let visits = 1; (await bob.node()) === first && visits < 20; visits++) await bob.page.reload();
  const second = await bob.node();
  expect([first, second].sort()).toEqual(['node-a', 'node-b']);
  const people = [ann, bob];
  const index = first === 'node-a' ? 0 : 1;
  const count = await counting(nodes[index === 0 ? 1 : 0].url, 'survive', 20);
  await ann.sees('5');
  await nodes[index].kill('SIGKILL');
  await ann.badgeSays(`Connected to ${second}`);
  await ann.say('I am back');
  await ann.notice(/Connection restored/);
  await bob.sees('I am back');
  const said = await count.stop();
  await Promise.all(people.map((demo) => demo.sees(String(said))));
  const numbers = async (demo: DemoPage) => (await demo.texts()).filter((text) => text !== 'I am back');
  expect(said).toBeLessThan(290);
  expect(await numbers(ann)).toEqual(upTo(said));
  expect(await ann.texts()).toEqual(await bob.texts());
  expect(await bob.notices.count()).toBe(0);
  await bob.person('Ann').waitFor();
  await ann.shoot('recovered-after-kill');
});
