/** The SDK against a whole server in this process: what an application does on a good day. */
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, type ClientOptions, connect } from '../../src/client/index.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
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

test('a state outlives an absence that was too long for its place; a newer one of another tab outlives both', async () => {
  const server = await LocalServer.forTest({ PRESENCE_HOLD_MS: '200', RECONNECT_MAX_MS: '50' });
  const proxy = await startFaultProxy(server.port);
  onTestFinished(() => proxy.close());
  const ann = client(`ws://127.0.0.1:${proxy.port}/ws`, { user: 'ann', backoff: { baseMs: 20, capMs: 50 } });
  const bob = client(server.url, { user: 'bob' });
  const seen = () => bob.join('lobby').members.get('ann')?.state;
  const away = async (): Promise<void> => {
    await expect.poll(() => server.health().then(({ connections }) => connections)).toBe(connections);
  };
  await ann.join('lobby', { state: { mood: 'fine' } }).joined;
  await expect.poll(seen).toEqual({ mood: 'fine' });
  const left: unknown[] = [];
  bob.join('lobby').on('presence', (change) => left.push(...change.left));
  let connections = 1;
  proxy.setMode('cut');
  await away();
  await expect.poll(() => left).toMatchObject([{ user: 'ann' }]);
  proxy.setMode('pass');
  await expect.poll(seen, { timeout: 5000 }).toEqual({ mood: 'fine' });

  const tab = client(server.url, { user: 'ann' });
  await tab.join('lobby').joined;
  connections = 2;
  proxy.setMode('cut');
  await away();
  await tab.join('lobby').setState({ mood: 'better' });
  proxy.setMode('pass');
  await expect.poll(() => ann.join('lobby').status, { timeout: 5000 }).toBe('live');
  await ann.join('lobby').signal('behind whatever it told');
  await bob.join('lobby').history();
  await expect.poll(seen).toEqual({ mood: 'better' });
  expect(ann.join('lobby').members.get('ann')?.state).toEqual({ mood: 'better' });
});
