/** What is tried again, when, and until when, with a clock that stands still: requests, refusals, tokens. */
import { beforeEach, expect, test, vi } from 'vitest';
import { type Client, type ClientOptions, connect } from '../../src/client/index.ts';
import { JOINED } from '../support/wire-server.ts';
import { FakeSocket, fakeWebSocket, settled } from './surroundings.ts';

const around = await vi.hoisted(async () => {
  const { Surroundings } = await import('./surroundings.ts');
  return new Surroundings();
});
vi.mock('../../src/client/environment.ts', () => around.module);
beforeEach(() => around.begin());

async function client(options: ClientOptions = {}): Promise<Client> {
  const made = connect('ws://x', { WebSocket: fakeWebSocket, ...options });
  await settled();
  return made;
}

async function live(options: ClientOptions = {}) {
  const made = await client(options);
  const room = made.join<number>('lobby');
  FakeSocket.last.greet();
  FakeSocket.last.receive({ ...JOINED, id: FakeSocket.last.latest('join')['id'] });
  return { client: made, room, socket: FakeSocket.last };
}

/** So much time, on a link that shows that it lives. */
async function alive(ms: number): Promise<void> {
  for (let spent = 0; spent < ms; spent += 1000) {
    await around.clock.advanceAsync(Math.min(1000, ms - spent));
    FakeSocket.last.receive({ type: 'pong' });
  }
}

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );

test('a request without a reply is given up after 15 s, on a link that lives', async () => {
  const { room } = await live();
  let ended: string | undefined;
  void code(room.history()).then((how) => {
    ended = how;
  });
  await alive(14_500);
  expect(ended).toBeUndefined();
  await alive(500);
  expect(ended).toBe('timeout');
});

test('a publish without a reply, on a link that lives, is tried on another', async () => {
  const { room } = await live();
  room.publish(1).catch(() => undefined);
  await alive(15_000);
  expect(FakeSocket.all.length).toBe(2);
});

test('a lost connection settles what is not kept, and keeps what is', async () => {
  const { client: made, room, socket } = await live({ inbox: true });
  const ended = new Map<string, string>();
  const watch = (what: string, promise: Promise<unknown>): void =>
    void code(promise).then((how) => ended.set(what, how));
  watch('history', room.history());
  watch('signal', room.signal(1));
  watch('publish', room.publish(1));
  watch('send', made.send('bob', 1));
  watch('state', room.setState({ mood: 'fine' }));
  watch('read', made.inbox.read(1));
  watch('joined', made.join('other').joined);
  socket.end();
  await settled();
  expect(Object.fromEntries(ended)).toEqual({ history: 'offline', signal: 'offline' });
  made.connect();
  await settled();
  FakeSocket.last.greet();
  FakeSocket.last.receive({ ...JOINED, id: FakeSocket.last.latest('join')['id'] });
  const kept = FakeSocket.last.sent.map(({ type, room: name }) => [type, name].join(' ').trim());
  for (const frame of ['join lobby', 'join other', 'publish lobby', 'send', 'read'])
    expect(kept).toContain(frame);
});

test('after close() nothing keeps a process alive, however much had been put off', async () => {
  const { client: made, room, socket } = await live();
  for (let n = 0; n < 50; n += 1) room.publish(n).catch(() => undefined);
  for (const { id, type } of [...socket.sent])
    if (type === 'publish')
      socket.receive({
        type: 'error',
        id,
        code: 'rate_limited',
        message: 'x',
        retryable: true,
        retryAfterMs: 6000,
      });
  // One timer for all of them.
  expect(around.clock.pendingTimers()).toBe(1);
  made.close();
  expect(around.clock.pendingTimers()).toBe(0);
});

test('what was put off is tried at its time, and never before', async () => {
  const { room, socket } = await live();
  room.publish(1).catch(() => undefined);
  const put = (retryAfterMs: number): void =>
    socket.receive({
      type: 'error',
      id: socket.latest('publish')['id'],
      code: 'unavailable',
      message: 'x',
      retryable: true,
      retryAfterMs,
    });
  const publishes = (): number => socket.types().filter((type) => type === 'publish').length;
  put(120);
  await around.clock.advanceAsync(119);
  expect(publishes()).toBe(1);
  await around.clock.advanceAsync(1);
  expect(publishes()).toBe(2);
  // Longer than a tick: with the next one.
  put(1200);
  await around.clock.advanceAsync(1199);
  expect(publishes()).toBe(2);
  await around.clock.advanceAsync(500);
  expect(publishes()).toBe(3);
});

test('over its rate a connection publishes nothing for a while, to nobody, so that some seconds see no refusal', async () => {
  // Each refused publish was tried again at its own hint of milliseconds, until the server ended the connection.
  const { client: made, room, socket } = await live();
  const published = () => socket.sent.filter(({ type }) => type === 'publish' || type === 'send');
  for (let n = 0; n < 50; n += 1) room.publish(n).catch(() => undefined);
  let answered = 0;
  for (let round = 0; round < 3; round += 1) {
    const refused = { type: 'error', code: 'rate_limited', message: 'x', retryable: true, retryAfterMs: 20 };
    for (const { id } of published().slice(answered)) socket.receive({ ...refused, id });
    answered = published().length;
    if (round === 0) made.send('bob', 'hi').catch(() => undefined);
    // By half of the chance one second and a half, and the hint; then with the next tick.
    await around.clock.advanceAsync(1519);
    expect(published().length).toBe(answered);
    await around.clock.advanceAsync(500);
    expect(published().length).toBe(answered + 51);
  }
});

test('a provider that fails when the token expires is asked again, with growing pauses, until it has one', async () => {
  const calls: number[] = [];
  let failing = false;
  const { client: made, socket } = await live({
    token: () => {
      calls.push(around.clock.now());
      return failing ? Promise.reject(new Error('no session')) : Promise.resolve('t');
    },
  });
  const errors: string[] = [];
  made.on('error', ({ code: told }) => errors.push(told));
  failing = true;
  const began = around.clock.now();
  socket.receive({ type: 'expiring', inMs: 30_000 });
  await settled();
  await alive(10_000);
  const waits = calls.slice(1).map((at) => at - began);
  expect(waits.length).toBeGreaterThan(3);
  expect(waits.length).toBeLessThan(7);
  const pauses = waits.slice(1).map((at, n) => at - (waits[n] ?? 0));
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  expect(new Set(errors)).toEqual(new Set(['unauthorized']));
  failing = false;
  await alive(15_000);
  const refresh = socket.latest('refresh');
  expect(refresh).toMatchObject({ token: 't' });
  socket.receive({ type: 'ok', id: refresh['id'] });
  const asked = calls.length;
  await alive(10_000);
  expect(calls.length).toBe(asked);
});

test.each(['close', 'drop'] as const)(
  'after %s() nobody asks for a token on behalf of the old connection',
  async (end) => {
    let calls = 0;
    let failing = false;
    const { client: made, socket } = await live({
      token: () => {
        calls += 1;
        return failing ? Promise.reject(new Error('no session')) : Promise.resolve('t');
      },
      backoff: { baseMs: 3_600_000, capMs: 3_600_000 },
    });
    made.on('error', () => undefined);
    failing = true;
    socket.receive({ type: 'expiring', inMs: 30_000 });
    await settled();
    const before = calls;
    made[end]();
    FakeSocket.last.end();
    await around.clock.advanceAsync(1500);
    // With drop(): that of the one new attempt.
    expect(calls - before).toBe(end === 'close' ? 0 : 1);
  },
);

test('a provider that fails after close() is told to nobody and asked no more: no timer is left', async () => {
  let fail: (error: Error) => void = () => undefined;
  let calls = 0;
  const { client: made, socket } = await live({
    token: () => {
      calls += 1;
      if (calls === 1) return Promise.resolve('t');
      return new Promise((_, reject) => {
        fail = reject;
      });
    },
  });
  const errors: unknown[] = [];
  made.on('error', (error) => errors.push(error));
  socket.receive({ type: 'expiring', inMs: 30_000 });
  await settled();
  made.close();
  fail(new Error('no session'));
  await settled();
  await around.clock.advanceAsync(60_000);
  expect([calls, errors]).toEqual([2, []]);
  expect(around.clock.pendingTimers()).toBe(0);
});

test('a publish that was only ever refused was certainly not stored, and says so in the end', async () => {
  const { room, socket } = await live({ publishTimeoutMs: 20_000 });
  const ended = code(room.publish(1));
  const refuse = (how: string): void =>
    socket.receive({
      type: 'error',
      id: socket.latest('publish')['id'],
      code: how,
      message: 'x',
      retryable: true,
      retryAfterMs: 60_000,
    });
  refuse('unavailable');
  await alive(20_000);
  expect(await ended).toBe('unavailable');
  const unclear = code(room.publish(2));
  refuse('unknown_outcome');
  await alive(20_000);
  expect(await unclear).toBe('unknown_outcome');
});
