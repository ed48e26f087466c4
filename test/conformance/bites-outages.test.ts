/**
 * The suite bites also where something goes wrong: worked sessions 8, 10 and 11, a node that is stopped and
 * one that dies. All lies about one outage are told at the same time, each by proxies of its own, because
 * what takes time is the outage; one that tells the truth is among them, and passes.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Hooks } from '../../src/conformance/wire.ts';
import { AlteringProxy, type Lies } from '../support/altering-proxy.ts';
import { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import type { Frame } from '../support/test-client.ts';
import { results, SHORT } from './whole-suite.ts';

const OUTAGE_MS = 90_000;
const TIMEOUT_MS = 4000;

let redis: RedisServer;
let one: NodeProcess;
let two: NodeProcess;

async function start(name: string, port = 0): Promise<NodeProcess> {
  const times = { REDIS_DEADLINE_MS: '1000', LEASE_MS: '5000', HEARTBEAT_MS: '1000' };
  const env = { ...SHORT, ...times, DRAIN_NOTICE_MS: '200', REDIS_URL: redis.url, NODE_NAME: name };
  return (await NodeProcess.start(env, port)).ready();
}

beforeAll(async () => {
  redis = await startRedis({ aof: true });
  [one, two] = await Promise.all([start('one'), start('two')]);
}, OUTAGE_MS);
afterAll(async () => {
  await Promise.all([one, two].map((node) => node.kill('SIGKILL')));
  await redis.stop();
});

/** Done once, as soon as so many have asked for it; all wait for it. */
function together(count: number, act: () => Promise<unknown>): () => Promise<void> {
  let asked = 0;
  let begin = (): void => {};
  const done = new Promise<void>((resolve) => {
    begin = resolve;
  }).then(act);
  return async () => {
    asked += 1;
    if (asked === count) begin();
    await done;
  };
}

const TRUTH = 'the truth';

/** How the check ended, by lie. */
async function judged(filter: string, lies: Readonly<Record<string, Lies>>): Promise<Record<string, string>> {
  const all = Object.entries({ [TRUTH]: {}, ...lies });
  const once = (act: () => Promise<unknown>) => together(all.length, act);
  let empty = false;
  const hooks: Hooks = {
    drain: once(async () => two.child.kill('SIGTERM')),
    nodeStop: once(() => two.kill('SIGINT')),
    nodeKill: once(() => two.kill('SIGKILL')),
    nodeStart: once(async () => {
      two = await start('two', two.port);
    }),
    redisStop: once(() => redis.kill()),
    redisEmpty: async () => {
      empty = true;
    },
    redisStart: once(() => redis.restart({ empty })),
  };
  const run = async ([lie, how]: (typeof all)[number]): Promise<[string, string]> => {
    const proxies = await Promise.all([one, two].map(({ url }) => AlteringProxy.start(url, how)));
    const urls = proxies.map(({ url }) => url);
    const [result] = await results({ urls, hooks, filter, timeoutMs: TIMEOUT_MS });
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    if (lie === TRUTH) expect(result?.outcome, JSON.stringify(result)).toBe('ok');
    return [lie, result?.outcome ?? 'no such check'];
  };
  return Object.fromEntries(await Promise.all(all.map(run)));
}

/** Every lie was caught. */
function caught(lies: Readonly<Record<string, Lies>>): Record<string, string> {
  const failed = Object.keys(lies).map((lie) => [lie, 'failed'] as const);
  return { [TRUTH]: 'ok', ...Object.fromEntries(failed) };
}

const change = (type: string, how: (frame: Frame) => readonly Frame[]): Lies => ({
  frame: (frame) => (frame.type === type ? how(frame) : [frame]),
});

/** The frame comes after the one that should follow it. */
const after = (type: string, next: (frame: Frame) => boolean): Lies => ({
  frame: (frame, memory) => {
    if (frame.type === type && memory.held === undefined) {
      memory.held = frame;
      return [];
    }
    const { held } = memory;
    if (held === undefined || !next(frame)) return [frame];
    memory.held = undefined;
    return [frame, held];
  },
});

test('worked session 10: lies about status, epoch and reset', { timeout: OUTAGE_MS }, async () => {
  const lies = {
    'status down does not come': change('status', (f) => (f['redis'] === 'down' ? [] : [f])),
    'epoch does not come': change('epoch', () => []),
    'epoch comes after its first message': after('epoch', ({ type }) => type === 'message'),
    'epoch names another one than joined': change('epoch', (f) => [{ ...f, epoch: 'e' }]),
    'a reset comes with it': change('epoch', (f) => [f, { ...f, type: 'reset', reason: 'lost' }]),
    'who was away is told that it is lost': change('joined', (f) =>
      f['recovered'] === true ? [{ ...f, recovered: false, reason: 'lost', messages: [] }] : [f],
    ),
  };
  expect(await judged('worked session: 10.', lies)).toEqual(caught(lies));
});

test('worked session 11: lies about status, reset and presence', { timeout: OUTAGE_MS }, async () => {
  const lies = {
    'status up does not come': change('status', (f) => (f['redis'] === 'up' ? [] : [f])),
    'reset does not come': change('reset', () => []),
    'reset tells another reason': change('reset', (f) => [{ ...f, reason: 'diverged' }]),
    'reset comes after status up': after('reset', ({ type }) => type === 'status'),
    'reset begins at another number': change('reset', (f) => [{ ...f, seq: 7 }]),
    'epoch in the place of reset': change('reset', ({ reason: _reason, ...f }) => [
      { ...f, type: 'epoch' } as Frame,
    ]),
  };
  expect(await judged('worked session: 11.', lies)).toEqual(caught(lies));
});

test("Redis is brought back also where one of the operator's commands fails", async () => {
  // Whoever ran the suite was left without Redis, and every check behind it failed.
  const calls: string[] = [];
  const does = (name: string) => async () => void calls.push(name);
  const fails = (name: string) => async () => {
    calls.push(name);
    throw new Error(`${name} exited with 1`);
  };
  const urls = [one.url, two.url];
  const run = async (hooks: Hooks, filter: string): Promise<void> => {
    const [result] = await results({ urls, hooks, filter, timeoutMs: TIMEOUT_MS });
    expect(result?.outcome, JSON.stringify(result)).toBe('failed');
  };
  await run({ redisStop: fails('stop'), redisStart: does('start') }, 'worked session: 10.');
  await run(
    { redisPause: fails('pause'), redisResume: does('resume') },
    'worked session: 9. unknown_outcome',
  );
  const start = does('start anew');
  await run(
    { redisStop: fails('stop'), redisEmpty: fails('empty'), redisStart: start },
    'worked session: 11.',
  );
  expect(calls).toEqual(['stop', 'start', 'pause', 'resume', 'stop', 'empty', 'start anew']);
});

test('1001: lies of a node that is stopped', { timeout: OUTAGE_MS }, async () => {
  const lies = {
    'closing does not come': change('closing', () => []),
    'closing says come back at once': change('closing', (f) => [{ ...f, reconnect: 'now' }]),
    'it is a normal close': { close: () => 1000 },
  };
  expect(await judged('close: 1001', lies)).toEqual(caught(lies));
});

test('a node that died: lies about who was on it', { timeout: OUTAGE_MS }, async () => {
  const told = (how: object): Lies =>
    change('presence', (f) =>
      f['left'] === undefined
        ? [f]
        : [{ ...f, left: (f['left'] as object[]).map((each) => ({ ...each, ...how })) }],
    );
  const lies = {
    'they are said to have closed': told({ reason: 'closed' }),
    'somebody else is said to be lost': told({ user: 'eve' }),
  };
  expect(await judged('told as node_lost', lies)).toEqual(caught(lies));
});

// Last in this file: the drained node stays away.
test('worked session 8: lies about closing', { timeout: OUTAGE_MS }, async () => {
  const lies = {
    'closing does not come': change('closing', () => []),
    'closing says at once': change('closing', (f) => [{ ...f, reconnect: 'now' }]),
    'closing tells no time': change('closing', ({ afterMs: _afterMs, ...f }) => [f as Frame]),
    'closing tells a later time': change('closing', (f) => [{ ...f, afterMs: Number(f['afterMs']) + 5000 }]),
    'the close has another code': { close: () => 1000 },
    'who comes back lost what was said': change('joined', (f) =>
      f['recovered'] === true ? [{ ...f, recovered: false, reason: 'lost', messages: [] }] : [f],
    ),
  };
  expect(await judged('worked session: 8.', lies)).toEqual(caught(lies));
});
