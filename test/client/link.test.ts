/** When the SDK connects: every pause to the millisecond, with a clock that stands still and chance that is known. */
import { beforeEach, expect, test, vi } from 'vitest';
import type { StateChange } from '../../src/client/index.ts';
import { Link } from '../../src/client/link.ts';
import { settingsOf } from '../../src/client/settings.ts';
import { FakeSocket, fakeWebSocket, settled } from './surroundings.ts';

const around = await vi.hoisted(async () => {
  const { Surroundings: Made } = await import('./surroundings.ts');
  return new Made();
});
vi.mock('../../src/client/environment.ts', () => around.module);
beforeEach(() => around.begin());

interface Rig {
  readonly link: Link;
  readonly states: StateChange[];
  readonly told: string[];
}

async function rig(options: Parameters<typeof settingsOf>[0] = {}): Promise<Rig> {
  const states: StateChange[] = [];
  const told: string[] = [];
  const link = new Link('ws://x', fakeWebSocket, settingsOf(options), {
    opened: () => told.push('opened'),
    receive: ({ type }) => told.push(type),
    gone: () => told.push('lost'),
    changed: (change) => states.push(change),
    report: ({ code }) => told.push(`error ${code}`),
  });
  link.connect();
  await settled();
  return { link, states, told };
}

/** Greeted, alive for so long, and gone. */
function live(ms: number, code = 1006, welcome: Record<string, unknown> = {}): void {
  FakeSocket.last.greet(welcome);
  around.clock.advance(ms);
  FakeSocket.last.end(code);
}

/** Waits out a pause: the next attempt begins at its end and not a millisecond before. */
async function pause(states: readonly StateChange[]): Promise<number> {
  const { state, retryInMs } = states.at(-1) ?? {};
  expect(state).toBe('waiting');
  const attempts = FakeSocket.all.length;
  await around.clock.advanceAsync((retryInMs ?? 0) - 1);
  expect(FakeSocket.all.length).toBe(attempts);
  await around.clock.advanceAsync(1);
  expect(FakeSocket.all.length).toBe(attempts + 1);
  return retryInMs ?? -1;
}

const SPREAD = { reconnect: { minMs: 100, maxMs: 900 } };

test('the first attempt falls into the spread of the server, the next ones back off and grow to the cap', async () => {
  const { states } = await rig();
  around.chances = [0.25];
  live(1000, 1006, SPREAD);
  const pauses = [await pause(states)];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    FakeSocket.last.end();
    pauses.push(await pause(states));
  }
  expect(pauses).toEqual([300, 500, 1000, 2000, 4000, 7500, 7500]);
});

test('without a welcome the first attempt is spread over two seconds', async () => {
  const { states } = await rig();
  around.chances = [0.75];
  FakeSocket.last.end();
  expect(await pause(states)).toBe(1500);
});

test('chance is asked anew for each pause', async () => {
  const { states } = await rig();
  around.chances = [0.1, 0.9, 0.2];
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 3; attempt += 1) {
    FakeSocket.last.end();
    pauses.push(await pause(states));
  }
  expect(pauses).toEqual([200, 1800, 800]);
});

test.each([
  ['30 s and more was a success: the next pause is a first one', 30_000, 300],
  ['less was none: the pauses go on growing', 29_999, 1000],
])('a connection that lived %s', async (_what, livedMs, expected) => {
  const { states } = await rig();
  around.chances = [0.25];
  for (let attempt = 0; attempt < 2; attempt += 1) {
    FakeSocket.last.end();
    await pause(states);
  }
  live(livedMs, 1006, SPREAD);
  expect(await pause(states)).toBe(expected);
});

test('a connection that never got a welcome is no success, however long it took', async () => {
  const { states } = await rig({ connectTimeoutMs: 100_000 });
  around.chances = [0.25];
  FakeSocket.last.end();
  await pause(states);
  FakeSocket.last.onopen?.();
  around.clock.advance(60_000);
  FakeSocket.last.end();
  expect(await pause(states)).toBe(500);
});

test.each([
  ['a slot counts from its announcement', { reconnect: 'after', afterMs: 8000 }, 1012, 3000, 5000],
  ['a slot that has passed is now', { reconnect: 'after', afterMs: 8000 }, 1012, 9000, 0],
  ['"now" is spread as by the welcome', { reconnect: 'now' }, 1012, 3000, 300],
  ['"after" without a slot backs off', { reconnect: 'after' }, 4009, 3000, 250],
])('closing: %s', async (_what, closing, code, agoMs, expected) => {
  const { states } = await rig();
  around.chances = [0.25];
  FakeSocket.last.greet(SPREAD);
  FakeSocket.last.receive({ type: 'closing', code, reason: 'because', ...closing });
  around.clock.advance(agoMs);
  FakeSocket.last.end(code, 'said by the socket');
  expect(states.at(-1)).toEqual({ state: 'waiting', retryInMs: expected, code, reason: 'because' });
});

test('what a closing said counts for its connection alone', async () => {
  const { states } = await rig();
  around.chances = [0.25];
  FakeSocket.last.greet(SPREAD);
  FakeSocket.last.receive({ type: 'closing', code: 1012, reason: 'r', reconnect: 'after', afterMs: 8000 });
  FakeSocket.last.end(1012);
  await pause(states);
  FakeSocket.last.end();
  expect(states.at(-1)).toMatchObject({ retryInMs: 500, code: 1006, reason: '' });
});

test.each([4501, 1000, 1008])('%i is for good', async (code) => {
  const { link, states, told } = await rig();
  FakeSocket.last.greet();
  FakeSocket.last.end(code, 'no');
  expect(states.at(-1)).toEqual({ state: 'closed', code, reason: 'no' });
  await around.clock.advanceAsync(600_000);
  expect([FakeSocket.all.length, around.clock.pendingTimers(), around.wakes.size]).toEqual([1, 0, 0]);
  // Until somebody asks for it; and then the pauses begin anew.
  link.connect();
  await settled();
  expect([FakeSocket.all.length, told.includes('lost')]).toEqual([2, true]);
  around.chances = [0.25];
  FakeSocket.last.end();
  expect(await pause(states)).toBe(0);
});

test('whoever does not answer within 10 s is let go', async () => {
  const { states } = await rig();
  FakeSocket.last.onopen?.();
  around.clock.advance(9999);
  expect(FakeSocket.last.ended).toBe(false);
  around.clock.advance(1);
  expect(FakeSocket.last.ended).toBe(true);
  expect(states.at(-1)).toMatchObject({ state: 'waiting', reason: 'no answer', code: 1006 });
});

test('a welcome ends that time, and a token counts into it', async () => {
  const { states } = await rig({ token: () => new Promise<string>(() => {}) });
  expect(FakeSocket.all).toEqual([]);
  around.clock.advance(10_000);
  expect(states.at(-1)).toMatchObject({ state: 'waiting', reason: 'no answer' });
  around.begin();
  const greeted = await rig();
  FakeSocket.last.greet();
  around.clock.advance(60_000);
  expect(greeted.states.at(-1)).toEqual({ state: 'connected' });
});

test('silence of two pings, or of 5 s where a reply is awaited, is asked about once and then the end', async () => {
  for (const [awaiting, quietMs] of [
    [false, 50_000],
    [true, 5000],
  ] as const) {
    around.begin();
    const { link, states } = await rig();
    const socket = FakeSocket.last;
    const watch = (ms: number): void => {
      around.clock.advance(ms);
      link.watch(awaiting);
    };
    socket.greet();
    watch(quietMs);
    expect(socket.types()).toEqual([]);
    watch(1);
    expect(socket.types()).toEqual(['ping']);
    watch(5000);
    socket.receive({ type: 'pong' });
    watch(1);
    expect(states.at(-1)?.state).toBe('connected');
    watch(quietMs);
    watch(5001);
    expect(states.at(-1)).toMatchObject({ state: 'waiting', reason: 'no answer' });
    expect(socket.types()).toEqual(['ping', 'ping']);
  }
});

test('coming back ends a pause of our own at once, and asks a link that looks alive whether it is', async () => {
  const { states } = await rig();
  live(1000);
  around.wake();
  await settled();
  expect(states.at(-1)).toEqual({ state: 'connecting' });
  FakeSocket.last.greet();
  around.wake();
  around.wake();
  expect(FakeSocket.last.types()).toEqual(['ping']);
});

test.each([
  ['a slot', { reconnect: 'after', afterMs: 60_000 }, 1012],
  ['"after"', { reconnect: 'after' }, 1006],
  ['a close code that says so', undefined, 1013],
])('coming back does not end a pause the server asked for by %s', async (_how, closing, code) => {
  const { link, states } = await rig();
  FakeSocket.last.greet();
  if (closing) FakeSocket.last.receive({ type: 'closing', code, reason: 'r', ...closing });
  FakeSocket.last.end(code);
  around.wake();
  await settled();
  expect([states.at(-1)?.state, FakeSocket.all.length]).toEqual(['waiting', 1]);
  // The application may: somebody pressed a button.
  link.connect();
  await settled();
  expect(FakeSocket.all.length).toBe(2);
});

test('what it listens to is listened to once, and no longer after close()', async () => {
  const { link, states } = await rig();
  expect(around.wakes.size).toBe(1);
  live(1);
  link.connect();
  expect(around.wakes.size).toBe(1);
  link.close();
  expect([around.wakes.size, around.clock.pendingTimers()]).toEqual([0, 0]);
  link.connect();
  expect(around.wakes.size).toBe(1);
  expect(states.at(-1)?.state).toBe('connecting');
});

test('an attempt that was given up says nothing any more', async () => {
  const { link, states, told } = await rig();
  const first = FakeSocket.last;
  link.drop();
  link.connect();
  await settled();
  const heard = [states.length, told.length];
  first.onopen?.();
  first.receive({ type: 'pong' });
  first.end(4501);
  expect([states.length, told.length]).toEqual(heard);
});

test.each([
  ['drop', 'waiting'],
  ['close', 'closed'],
] as const)('a token that comes after %s() opens nothing', async (end, state) => {
  const tokens: ((token: string) => void)[] = [];
  const { link, states } = await rig({
    token: () => new Promise<string>((resolve) => void tokens.push(resolve)),
  });
  link[end]();
  tokens[0]?.('old');
  await settled();
  expect([states.at(-1)?.state, FakeSocket.all.length]).toEqual([state, 0]);
  link.connect();
  tokens[1]?.('new');
  await settled();
  expect(FakeSocket.all.length).toBe(1);
});

test('a constructor that throws ends it with the reason, instead of the process', async () => {
  const states: StateChange[] = [];
  class Refusing {
    constructor() {
      throw new SyntaxError('port 99999');
    }
  }
  const events = { opened() {}, receive() {}, gone() {}, report() {} };
  const link = new Link('ws://x:99999', Refusing as never, settingsOf({}), {
    ...events,
    changed: (change) => states.push(change),
  });
  link.connect();
  await settled();
  expect(states).toEqual([
    { state: 'connecting' },
    { state: 'closed', code: 1006, reason: 'SyntaxError: port 99999' },
  ]);
});

test.each([
  ['close', ['closed']],
  ['drop', ['waiting']],
] as const)('%s() by who is told of the loss is not undone by the loss', async (end, said) => {
  // A client that was closed as soon as its room was cut off came back, and nothing could end it any more.
  const states: StateChange[] = [];
  let told = 0;
  const link: Link = new Link('ws://x', fakeWebSocket, settingsOf({}), {
    opened() {},
    receive() {},
    report() {},
    gone: () => {
      told += 1;
      if (told === 1) link[end]();
    },
    changed: (change) => states.push(change),
  });
  link.connect();
  await settled();
  FakeSocket.last.greet();
  const before = states.length;
  FakeSocket.last.end();
  expect(states.slice(before).map(({ state }) => state)).toEqual(said);
  expect(around.clock.pendingTimers()).toBe(said[0] === 'closed' ? 0 : 1);
});
