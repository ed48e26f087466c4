/** The client that times answers: it must tell the one it asked for from all else that comes. */
import { expect, onTestFinished, test } from 'vitest';
import { AskingClient } from '../../bench/generator/asking-client.ts';
import { LocalServer } from '../support/local-server.ts';

test('each question is settled by its own answer, and by nothing that a room is told meanwhile', async () => {
  const server = await LocalServer.forTest();
  const endpoint = { host: '127.0.0.1', port: Number(new URL(server.url).port) };
  const [ann, bob] = [await AskingClient.hello(endpoint, 'ann'), await AskingClient.hello(endpoint, 'bob')];
  onTestFinished(() => {
    ann.close();
    bob.close();
  });
  await ann.ask({ type: 'join', room: 'r' });
  await bob.ask({ type: 'join', room: 'r' });
  const asked = [
    ann.ask({ type: 'publish', room: 'r', data: { id: 4 } }),
    ann.ask({ type: 'publish', room: 'elsewhere', data: 1 }),
    ann.ask({ type: 'presence', room: 'r' }),
  ];
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
  await expect(asked[1]).rejects.toThrow('not_joined');
});

test('what is not answered before the connection ends is rejected', async () => {
  const server = await LocalServer.forTest();
  const ann = await AskingClient.hello({ host: '127.0.0.1', port: Number(new URL(server.url).port) }, 'ann');
  const asked = ann.ask({ type: 'join', room: 'r' });
  ann.close();
  await expect(asked).rejects.toThrow('the connection was closed');
});
