/** The inbox and its read mark, against a server that says what a test wants. On real nodes: inbox-nodes.test.ts. */
import { expect, test } from 'vitest';
import type { Client } from '../../src/client/index.ts';
import { scripted } from './scripted-client.ts';

const joined = (change: Record<string, unknown> = {}) => ({
  type: 'joined',
  room: '@ann',
  epoch: 'i.1',
  seq: 0,
  messages: [],
  ...change,
});
const message = (seq: number) => ({ type: 'message', room: '@ann', seq, ts: seq, data: seq });

/** Without waiting: what is on the wire is what is looked at. */
function mark(client: Client, seq: number): void {
  client.inbox.read(seq).catch(() => undefined);
}

test('it resumes from its position, and its read mark is told until it is confirmed', async () => {
  const { server, client, first } = await scripted({ user: 'ann', inbox: true });
  const seen: unknown[] = [];
  client.inbox.on('message', ({ seq, data }) => seen.push([seq, data]));
  expect(await first.welcome()).toMatchObject({ inbox: true });
  first.send(joined({ seq: 1, messages: [{ seq: 1, ts: 1, data: 'a' }] }), message(2));
  await expect
    .poll(() => seen)
    .toEqual([
      [1, 'a'],
      [2, 2],
    ]);
  const read = client.inbox.read(2);
  expect(await first.next('read')).toMatchObject({ epoch: 'i.1', seq: 2 });
  first.socket.terminate();
  const second = await server.connection();
  expect(await second.welcome()).toMatchObject({ inbox: { epoch: 'i.1', seq: 2 } });
  const again = await second.next('read');
  second.send({ type: 'ok', id: again['id'] });
  await read;
});

test('a mark that was confirmed is not told again on the next connection', async () => {
  const { server, client, first } = await scripted({ user: 'ann', inbox: true });
  await first.welcome();
  first.send(joined({ seq: 5 }));
  await expect.poll(() => client.inbox.position?.seq).toBe(5);
  const read = client.inbox.read(5);
  first.send({ type: 'ok', id: (await first.next('read'))['id'] });
  await read;
  first.socket.terminate();
  const second = await server.connection();
  await second.welcome();
  second.send(joined({ seq: 6, recovered: true, messages: [{ seq: 6, ts: 6, data: 6 }] }));
  await expect.poll(() => client.inbox.position?.seq).toBe(6);
  mark(client, 6);
  expect(await second.next('read')).toMatchObject({ epoch: 'i.1', seq: 6 });
});

test('a lower mark changes nothing, also across an epoch, in which all that was seen survived', async () => {
  const { client, first } = await scripted({ user: 'ann', inbox: true });
  await first.welcome();
  first.send(joined({ seq: 5 }));
  await expect.poll(() => client.inbox.position?.seq).toBe(5);
  mark(client, 4);
  expect(await first.next('read')).toMatchObject({ epoch: 'i.1', seq: 4 });
  first.send({ type: 'epoch', room: '@ann', epoch: 'i.2', seq: 5 });
  await expect.poll(() => client.inbox.position?.epoch).toBe('i.2');
  mark(client, 3);
  expect(await first.next('read')).toMatchObject({ epoch: 'i.2', seq: 4 });
});

test.each([
  ['a reset', { type: 'reset', room: '@ann', epoch: 'f.1', seq: 0, reason: 'lost' }],
  ['a joined that did not recover', joined({ epoch: 'f.1', recovered: false, reason: 'lost' })],
])(
  'after %s the old mark is forgotten: the new stream is marked from its first message on',
  async (_how, broken) => {
    const { server, client, first } = await scripted({ user: 'ann', inbox: true });
    await first.welcome();
    first.send(joined({ seq: 5 }));
    await expect.poll(() => client.inbox.position?.seq).toBe(5);
    const confirmed = client.inbox.read(4);
    first.send({ type: 'ok', id: (await first.next('read'))['id'] });
    await confirmed;
    // Told, and not answered before the stream broke.
    const lost = expect(client.inbox.read(5)).rejects.toMatchObject({ code: 'bad_request' });
    const late = await first.next('read');
    first.send(broken, message(1), { type: 'ok', id: late['id'] });
    await lost;
    await expect.poll(() => client.inbox.position).toEqual({ epoch: 'f.1', seq: 1 });
    first.socket.terminate();
    const second = await server.connection();
    expect(await second.welcome()).toMatchObject({ inbox: { epoch: 'f.1', seq: 1 } });
    second.send(joined({ epoch: 'f.1', seq: 1, recovered: true }));
    const read = client.inbox.read(1);
    const told = await second.next('read');
    expect(told).toMatchObject({ epoch: 'f.1', seq: 1 });
    second.send({ type: 'ok', id: told['id'] });
    await read;
  },
);

test('a listener of the reset may mark at once, in the new stream', async () => {
  const { client, first } = await scripted({ user: 'ann', inbox: true });
  client.inbox.on('reset', ({ position }) => mark(client, position.seq));
  await first.welcome();
  first.send(joined({ seq: 5 }), { type: 'reset', room: '@ann', epoch: 'f.1', seq: 2, reason: 'diverged' });
  expect(await first.next('read')).toMatchObject({ epoch: 'f.1', seq: 2 });
});
