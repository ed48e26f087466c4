/** When the SDK connects, waits, comes back and does not come back. The pauses themselves: backoff.test.ts. */
import { expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { clientForTest, scripted } from './scripted-client.ts';
import { WELCOME } from '../support/wire-server.ts';

test('a code that means "do not come back" ends it: state, reason, and a refusal for what waits', async () => {
  const { client, first, states } = await scripted();
  const waiting = client.join('lobby').publish('x');
  const refused = expect(waiting).rejects.toMatchObject({ code: 'closed' });
  await first.welcome();
  first.socket.close(4510, 'by an operator');
  await refused;
  expect(client.state).toBe('closed');
  expect(states.at(-1)).toEqual({ state: 'closed', code: 4510, reason: 'by an operator' });
});

test('closing with a slot is obeyed: the socket serves until it closes, and the next attempt comes at its time', async () => {
  const { server, first, states } = await scripted();
  await first.welcome();
  first.send({ type: 'closing', code: 1012, reason: 'drain', reconnect: 'after', afterMs: 300 });
  const at = performance.now();
  first.socket.close(1012);
  await server.connection();
  expect(performance.now() - at).toBeGreaterThan(250);
  const waiting = states.find(({ state }) => state === 'waiting');
  expect(waiting).toMatchObject({ code: 1012, reason: 'drain' });
  expect(waiting?.retryInMs).toBeLessThanOrEqual(300);
});

test('drop() looks like a lost network and comes back by itself; reconnect() comes back at once', async () => {
  const { server, client, first } = await scripted({ user: 'ann' });
  await first.welcome();
  await expect.poll(() => client.state).toBe('connected');
  client.drop();
  expect(client.state).toBe('waiting');
  expect(await first.closed).toBe(1006);
  const second = await server.connection();
  await second.welcome();
  await expect.poll(() => client.state).toBe('connected');
  client.reconnect();
  expect(client.state).toBe('connecting');
  await (await server.connection()).welcome();
});

test('close() says goodbye, and connect() resumes the rooms', async () => {
  const { server, client, first } = await scripted();
  client.join('lobby');
  await first.welcome();
  await first.joined({ seq: 5 });
  await client.join('lobby').joined;
  client.close();
  expect(await first.closed).toBe(1000);
  await expect(client.send('bob', 1)).rejects.toMatchObject({ code: 'closed' });
  client.connect();
  const second = await server.connection();
  await second.welcome();
  expect(await second.next('join')).toMatchObject({ since: { epoch: 'e.1', seq: 5 } });
});

test('an invented name is given back, because keys are per user', async () => {
  const { server, first } = await scripted();
  await first.welcome({ user: 'anon-7' });
  first.socket.terminate();
  expect(await (await server.connection()).next('hello')).toMatchObject({ user: 'anon-7' });
});

test('the token comes from its provider at each connect and when the server says that it expires', async () => {
  let calls = 0;
  const { server, client, first } = await scripted({
    token: async () => {
      calls += 1;
      return `t${calls}`;
    },
  });
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  expect(await first.welcome()).toMatchObject({ token: 't1' });
  first.send({ type: 'expiring', inMs: 1000 });
  const refresh = await first.next('refresh');
  expect(refresh).toMatchObject({ token: 't2' });
  first.send({ type: 'error', id: refresh['id'], code: 'unsupported', message: 'x', retryable: false });
  first.socket.terminate();
  expect(await (await server.connection()).welcome()).toMatchObject({ token: 't3' });
  expect(errors).toEqual([]);
});

test('a provider that throws is told, and tried again', async () => {
  const tokens = [() => Promise.reject(new Error('no session')), () => Promise.resolve('t')];
  const { client, first } = await scripted({
    token: () => (tokens.length > 1 ? tokens.shift() : tokens[0])?.() ?? '',
    backoff: { baseMs: 1 },
  });
  expect(await first.next('hello')).toMatchObject({ token: 't' });
  expect(client.state).toBe('connecting');
});

test('a hello that is refused for good ends it with the words of the server', async () => {
  const { client, first, states } = await scripted({ user: '{' });
  const hello = await first.next('hello');
  first.send({
    type: 'error',
    id: hello['id'],
    code: 'bad_request',
    message: 'user needs …',
    retryable: false,
  });
  await expect.poll(() => client.state).toBe('closed');
  expect(states.at(-1)?.reason).toBe('user needs …');
});

test('a signal without a connection fails at once instead of arriving late', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  await room.joined;
  client.drop();
  await expect(room.signal('typing')).rejects.toMatchObject({ code: 'offline', retryable: true });
});

test('nothing is sent that would end the connection for good', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  await room.joined;
  await expect(room.signal('x'.repeat(70_000))).rejects.toMatchObject({ code: 'too_large' });
  await expect(room.publish('x'.repeat(70_000))).rejects.toMatchObject({ code: 'too_large' });
  expect(client.state).toBe('connected');
});

test.each([
  [0, 200_000, 200_000],
  [49_152, 49_000, 52_000],
])(
  'where the server takes %i bytes, %i are sent and %i only where that is allowed',
  async (payloadBytes, sent, tried) => {
    const { client, first } = await scripted();
    const room = client.join('lobby');
    await first.welcome({ limits: { ...WELCOME.limits, payloadBytes } });
    await first.joined();
    await room.joined;
    room.publish('x'.repeat(sent)).catch(() => undefined);
    await first.next('publish');
    const second = room.publish('x'.repeat(tried));
    if (payloadBytes === 0) await first.next('publish');
    else await expect(second).rejects.toMatchObject({ code: 'too_large' });
    second.catch(() => undefined);
  },
);

test('before the first welcome a large publish waits, and those behind it with it', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  for (const data of ['small', 'x'.repeat(40_000), 'done']) room.publish(data).catch(() => undefined);
  const hello = await first.next('hello');
  await first.joined();
  expect(await first.next('publish')).toMatchObject({ data: 'small' });
  first.send({ ...WELCOME, id: hello['id'], limits: { ...WELCOME.limits, payloadBytes: 65_536 } });
  expect(String((await first.next('publish'))['data']).length).toBe(40_000);
  expect(await first.next('publish')).toMatchObject({ data: 'done' });
});

test('the outbox is bounded by messages and by bytes, and says so', async () => {
  const { client } = await scripted({ outboxMessages: 2, outboxBytes: 10 });
  const room = client.join('lobby');
  room.publish('1').catch(() => undefined);
  await expect(room.publish('23456789')).rejects.toMatchObject({ code: 'outbox_full', retryable: true });
  room.publish('2').catch(() => undefined);
  await expect(room.publish('3')).rejects.toMatchObject({ code: 'outbox_full' });
});

test('a publish is given up after its time: not stored where it never left, unknown where it did', async () => {
  const { client, first } = await scripted({ publishTimeoutMs: 300 });
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  const sent = expect(room.publish(1)).rejects.toMatchObject({ code: 'unknown_outcome', retryable: false });
  await first.next('publish');
  await sent;
  first.send({ type: 'status', redis: 'down' });
  await expect.poll(() => client.redis).toBe('down');
  await expect(room.publish(2)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
});

test('a loop sees every message once, one that falls behind is told so, and leaving ends it', async () => {
  const { client, first } = await scripted();
  const room = client.join<number>('lobby');
  const [fast, slow] = [room.iterate(), room.iterate({ buffer: 1 })];
  const [one, first_] = [fast.next(), slow.next()];
  const message = (seq: number) => ({ type: 'message', room: 'lobby', seq, ts: 1, data: seq });
  await first.welcome();
  await first.joined({}, message(1), message(2), message(3));
  const data = [(await one).value?.data, (await fast.next()).value?.data, (await fast.next()).value?.data];
  expect(data).toEqual([1, 2, 3]);
  expect((await first_).value?.data).toBe(1);
  await expect(slow.next().then(() => slow.next())).rejects.toMatchObject({ code: 'limit_exceeded' });
  const last = fast.next();
  const left = room.leave();
  const leave = await first.next('leave');
  first.send({ type: 'ok', id: leave['id'], room: 'lobby' });
  await left;
  expect((await last).done).toBe(true);
});

test('without a WebSocket to use it says which one to pass', () => {
  expect(() => connect('ws://127.0.0.1:1/ws')).toThrow(/ws/);
});

test.each(['localhost:8080/ws', '/ws', 'https://chat.example/ws', 'ws://'])(
  'the url %s is refused at the call, with what would be right',
  (url) => {
    const wrong = { code: 'bad_request', message: expect.stringMatching(/needs wss?:/) };
    expect(() => clientForTest(url)).toThrow(expect.objectContaining(wrong));
  },
);

test('an address that the WebSocket refuses ends it with the reason, and what waits is told', async () => {
  const client = clientForTest('ws://127.0.0.1:99999/ws');
  const states: unknown[] = [];
  client.on('state', ({ state, reason }) => states.push([state, reason]));
  await expect(client.send('bob', 1)).rejects.toMatchObject({ code: 'closed' });
  expect(states).toEqual([['closed', expect.stringContaining('Invalid URL')]]);
});

test('a listener that throws harms neither the others nor the stream', async () => {
  const { client, first } = await scripted();
  const caught: unknown[] = [];
  const onError = (error: unknown): void => void caught.push(error);
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', onError);
  try {
    const room = client.join<number>('lobby');
    const seen: number[] = [];
    room.on('message', () => {
      throw new Error('mine');
    });
    room.on('message', ({ data }) => seen.push(data));
    await first.welcome();
    await first.joined({}, { type: 'message', room: 'lobby', seq: 1, ts: 1, data: 1 });
    await expect.poll(() => seen).toEqual([1]);
    await expect.poll(() => caught.map(String)).toEqual(['Error: mine']);
  } finally {
    process.removeListener('uncaughtException', onError);
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
});

test('two clients of one process share nothing', async () => {
  const { server, first } = await scripted({ user: 'ann' });
  await first.welcome();
  clientForTest(server.url, { user: 'bob' });
  expect(await (await server.connection()).welcome()).toMatchObject({ user: 'bob' });
});
