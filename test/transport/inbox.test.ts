/** Inboxes over real sockets on an embedded server: the sessions of docs/PROTOCOL.md "Users". */
import { expect, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';
import { TestClient } from '../support/test-client.ts';

async function opened(url: string, user: string, inbox: unknown = true): Promise<TestClient> {
  const client = await TestClient.open(url);
  client.send({ type: 'hello', id: 1, user, inbox });
  await client.find((frame) => frame.type === 'joined');
  return client;
}

const frames = (client: TestClient) => client.frames.map((frame) => frame.type);

test('an inbox filled while its user is offline: welcome, joined with everything, read, ok', async () => {
  const { url } = await LocalServer.forTest();
  const anna = await TestClient.hello(url, 'anna');
  for (const data of ['one', 'two']) {
    expect(await anna.request({ type: 'send', to: 'bob', data, key: data })).toMatchObject({ type: 'ok' });
  }
  const bob = await opened(url, 'bob');
  expect(frames(bob)).toEqual(['welcome', 'joined']);
  const connection = anna.of('welcome')[0]?.['connection'];
  expect(bob.frames[1]).toEqual({
    type: 'joined',
    room: '@bob',
    epoch: expect.any(String),
    seq: 2,
    messages: [
      { seq: 1, ts: expect.any(Number), from: { user: 'anna', connection }, key: 'one', data: 'one' },
      { seq: 2, ts: expect.any(Number), from: { user: 'anna', connection }, key: 'two', data: 'two' },
    ],
  });
  expect((await bob.request({ type: 'read', seq: 1 })).type).toBe('ok');
  expect((await opened(url, 'bob')).data('@bob')).toEqual(['two']);
});

test('two devices get the same messages; one that drops resumes from its own position', async () => {
  const { url } = await LocalServer.forTest();
  const anna = await TestClient.hello(url, 'anna');
  const [desk, phone] = await Promise.all([opened(url, 'bob'), opened(url, 'bob')]);
  const send = (data: number) => anna.request({ type: 'send', to: 'bob', data });
  await send(1);
  await Promise.all([desk, phone].map((device) => device.find((frame) => frame['data'] === 1)));
  const since = phone.position('@bob');
  await phone.drop();
  await send(2);
  await send(3);
  const again = await opened(url, 'bob', since);
  expect(again.of('joined')).toMatchObject([{ recovered: true, seq: 3 }]);
  expect(again.data('@bob')).toEqual([2, 3]);
  await desk.find((frame) => frame['data'] === 3);
  expect(desk.data('@bob')).toEqual([1, 2, 3]);
  expect([...desk.violations, ...phone.violations, ...again.violations]).toEqual([]);
});

test('thousands of bytes more than a reply may carry arrive, each once and in order', async () => {
  const limits = { JOIN_BYTES: '20000', LIMIT_OUTBOX_BYTES: '30000', LIMIT_PUBLISH_PER_SECOND: '0' };
  const { url } = await LocalServer.forTest({ ...limits, RING_MESSAGES: '8' });
  const anna = await TestClient.hello(url, 'anna');
  const all = Array.from({ length: 300 }, (_, n) => `${n} ${'x'.repeat(1000)}`);
  await Promise.all(all.map((data) => anna.request({ type: 'send', to: 'bob', data })));
  const bob = await opened(url, 'bob');
  await bob.find((frame) => frame.type === 'message' && frame['seq'] === 300);
  expect(bob.data('@bob')).toEqual(all);
  expect(bob.violations).toEqual([]);
});

test('a user without a name has an inbox too, under the name that welcome told', async () => {
  const { url } = await LocalServer.forTest();
  const somebody = await TestClient.open(url);
  somebody.send({ type: 'hello', inbox: true });
  const welcome = await somebody.find((frame) => frame.type === 'welcome');
  await somebody.find((frame) => frame.type === 'joined');
  const anna = await TestClient.hello(url, 'anna');
  await anna.request({ type: 'send', to: welcome['user'], data: 'hi' });
  expect(await somebody.next('message')).toMatchObject({ room: `@${String(welcome['user'])}`, data: 'hi' });
});

test('names that need escaping reach their inbox and no other', async () => {
  const { url } = await LocalServer.forTest();
  const anna = await TestClient.hello(url, 'anna');
  const names = ['Zoë Ångström', 'a:b', '@at', 'ann/x', '日本'];
  const devices = await Promise.all(names.map((name) => opened(url, name)));
  for (const name of names) await anna.request({ type: 'send', to: name, data: name });
  for (const [index, device] of devices.entries()) {
    await device.next('message');
    expect(device.data(`@${names[index]}`)).toEqual([names[index]]);
  }
});
