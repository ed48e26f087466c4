/** The SDK against a whole server in this process: what an application does on a good day. */
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, type ClientOptions, connect } from '../../src/client/index.ts';
import { LocalServer } from '../support/local-server.ts';

function client(url: string, options: ClientOptions = {}): Client {
  const made = connect(url, { WebSocket, ...options });
  onTestFinished(() => made.close());
  return made;
}

test('two members of a room get a message once each, and its publisher the position of it', async () => {
  const { url } = await LocalServer.forTest();
  const ann = client(url, { user: 'ann' });
  const bob = client(url, { user: 'bob' });
  const heard: string[] = [];
  const room = ann.join<string>('lobby');
  bob
    .join<string>('lobby')
    .on('message', ({ seq, data, from }) => heard.push(`${seq} ${from?.user} ${data}`));
  await bob.join('lobby').joined;
  const receipt = await room.publish('hello');
  expect(receipt).toMatchObject({ seq: 1, epoch: expect.any(String) });
  const again = await room.publish('again');
  await expect.poll(() => heard).toEqual(['1 ann hello', '2 ann again']);
  expect(again).toEqual({ seq: 2, epoch: receipt.epoch });
});
