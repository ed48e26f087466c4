/** `roomcast tail` against a server that says what each test wants it to say. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '../support/fake-clock.ts';
import { runIn, TestTerminal } from '../support/test-terminal.ts';
import { WireServer } from '../support/wire-server.ts';

let server: WireServer;
let terminal: TestTerminal;

beforeEach(async () => {
  server = await WireServer.start();
  terminal = new TestTerminal();
});
afterEach(() => server.stop());

const tail = (...words: string[]) => runIn(terminal, ['tail', 'lobby', '--url', server.url, ...words]);

const message = (seq: number, data: unknown, user = 'alice') => ({
  type: 'message',
  room: 'lobby',
  seq,
  ts: 1000 + seq,
  from: { user, connection: 'c' },
  data,
});

/** A message as it stands inside `joined`. */
function stored(seq: number, data: unknown): Record<string, unknown> {
  const { type: _type, room: _room, ...rest } = message(seq, data);
  return rest;
}

describe('what is printed', () => {
  it('is one line per message for people on a terminal', async () => {
    terminal.isTerminal = true;
    const done = tail('--count', '3');
    const client = await server.connection();
    await client.welcome();
    await client.joined({}, message(1, 'hi'), message(2, { a: [1] }, 'bob'), {
      ...message(3, null),
      from: undefined,
    });
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual(['1  alice: "hi"', '2  bob: {"a":[1]}', '3  -: null']);
  });

  it('is JSON lines with the epoch where nobody reads along', async () => {
    const done = tail('--count', '1');
    const client = await server.connection();
    await client.welcome();
    await client.joined({}, { ...message(1, 'hi'), key: 'k' });
    expect(await done).toBe(0);
    expect(JSON.parse(terminal.outLines[0] ?? '')).toEqual({ ...message(1, 'hi'), key: 'k', epoch: 'e.1' });
  });

  it.each([true, false])('holds nothing that a terminal obeys (terminal: %s)', async (isTerminal) => {
    terminal.isTerminal = isTerminal;
    const evil = '\u001b[2J\r\n\u009b31m\u202e';
    const done = tail('--count', '1');
    const client = await server.connection();
    await client.welcome();
    await client.joined({}, message(1, evil, `a${evil}`));
    expect(await done).toBe(0);
    expect(terminal.outLines).toHaveLength(1);
    expect(terminal.outLines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
    if (!isTerminal) expect(JSON.parse(terminal.outLines[0] ?? '')).toMatchObject({ data: evil });
  });

  it('keeps the order where messages follow `joined` in the same segment', async () => {
    const done = tail('--history', '2', '--count', '4');
    const client = await server.connection();
    await client.welcome();
    const join = await client.joined(
      { seq: 7, messages: [stored(6, 'a'), stored(7, 'b')] },
      message(8, 'c'),
      message(9, 'd'),
    );
    expect(join).toMatchObject({ room: 'lobby', history: 2, presence: 'none' });
    expect(await done).toBe(0);
    expect(terminal.outLines.map((line) => JSON.parse(line).data)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('shows who joins, leaves and changes when asked', async () => {
    terminal.isTerminal = true;
    const done = tail('--presence', '--count', '1');
    const client = await server.connection();
    await client.welcome();
    const join = await client.joined(
      { count: 1, members: [], version: 1 },
      {
        type: 'presence',
        room: 'lobby',
        version: 2,
        previous: 1,
        count: 2,
        joined: [{ user: 'bob', state: {}, since: 1 }],
        left: [{ user: 'eve', reason: 'node_lost' }],
        updated: [{ user: 'al', state: { x: 1 } }],
      },
      { type: 'presence', room: 'lobby', version: 3, count: 1001 },
      message(1, 1),
    );
    expect(join['presence']).toBe('full');
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual([
      '--  bob joined',
      '--  eve left (node_lost)',
      '--  al {"x":1}',
      '--  1001 in the room',
      '1  alice: 1',
    ]);
  });

  it('says so where the server leaves out a seq', async () => {
    const done = tail('--count', '2');
    const client = await server.connection();
    await client.welcome();
    await client.joined({}, message(1, 'a'), message(3, 'c'));
    expect(await done).toBe(0);
    expect(terminal.errLines).toEqual(['roomcast: the server sent seq 3 where 2 was next']);
  });
});

describe('ending', () => {
  it('after --count leaves the room and closes cleanly, also half-way through history', async () => {
    const done = tail('--history', '5', '--count', '2');
    const client = await server.connection();
    await client.welcome();
    await client.joined({ seq: 3, messages: [stored(1, 'a'), stored(2, 'b'), stored(3, 'c')] });
    expect(await client.next('leave')).toEqual({ type: 'leave', room: 'lobby' });
    expect(await client.closed).toBe(1000);
    expect(await done).toBe(0);
    expect(terminal.outLines).toHaveLength(2);
  });

  it('on SIGINT exits 0 and says how to go on', async () => {
    const done = tail();
    const client = await server.connection();
    await client.welcome();
    await client.joined({ epoch: 'e:7.x' }, message(1, 'a'));
    await terminal.outLine('"a"');
    terminal.signal('SIGINT');
    await client.next('leave');
    expect(await done).toBe(0);
    expect(terminal.errLines).toEqual(['roomcast: continue with --since e:7.x:1']);
    expect(terminal.listeners).toBe(0);
  });

  it.each(['before hello is answered', 'before join is answered', 'while it waits to reconnect'])(
    'on SIGTERM %s exits 0 at once',
    async (when) => {
      const done = tail();
      const client = await server.connection();
      const hello = client.next('hello');
      if (when === 'before hello is answered') await hello;
      else {
        client.send({
          type: 'welcome',
          id: (await hello)['id'],
          pingIntervalMs: 25_000,
          user: 'u',
          reconnect: { minMs: 0, maxMs: 0 },
        });
        if (when === 'before join is answered') await client.next('join');
        else {
          await client.joined();
          client.send({ type: 'closing', code: 1012, reason: 'drain', reconnect: 'after', afterMs: 250_000 });
          client.socket.close(1012);
          await terminal.errLine('connecting again in 2');
        }
      }
      terminal.signal('SIGTERM');
      expect(await done).toBe(0);
    },
  );

  it('exits 1 where the server puts it out', async () => {
    const done = tail();
    const client = await server.connection();
    await client.welcome();
    await client.joined({}, { type: 'left', room: 'lobby', reason: 'kicked' }, message(1, 'after'));
    expect(await done).toBe(1);
    expect(terminal.errLines).toEqual(['roomcast: put out of the room: kicked']);
    expect(terminal.outLines).toEqual([]);
  });

  it('exits 1 where the server refuses the join for good', async () => {
    const done = tail();
    const client = await server.connection();
    await client.welcome();
    const { id } = await client.next('join');
    client.send({ type: 'error', id, code: 'forbidden', message: 'not \u001b[31myou', retryable: false });
    expect(await done).toBe(1);
    expect(terminal.errLines).toEqual(['roomcast: forbidden: not \\u001b[31myou']);
  });

  it.each([4503, 4510])('exits 1 after close code %i, which says not to come back', async (code) => {
    const done = tail();
    const client = await server.connection();
    await client.welcome();
    await client.joined();
    client.socket.close(code);
    expect(await done).toBe(1);
    expect(terminal.errLines[0]).toContain(`closed by the server, ${code}`);
    expect(terminal.errLines[0]).toContain('the server asks not to come back');
  });
});

describe('coming back', () => {
  it('resumes after the last message, under the same name, and prints each message once', async () => {
    const done = tail('--history', '1', '--count', '4');
    const first = await server.connection();
    await first.welcome();
    await first.joined({ seq: 4, messages: [stored(4, 'd')] }, message(5, 'e'));
    await terminal.outLine('"e"');
    first.socket.terminate();
    const second = await server.connection();
    expect(await second.welcome()).toMatchObject({ user: 'anon-1' });
    const join = await second.joined(
      { seq: 6, recovered: true, messages: [stored(6, 'f')] },
      message(7, 'g'),
    );
    expect(join['since']).toEqual({ epoch: 'e.1', seq: 5 });
    expect(join).not.toHaveProperty('history');
    expect(await done).toBe(0);
    expect(terminal.outLines.map((line) => JSON.parse(line).data)).toEqual(['d', 'e', 'f', 'g']);
    expect(terminal.errLines).toEqual([
      'roomcast: the connection broke; connecting again in 0.0 s',
      'roomcast: resumed after seq 5 with 1 missed message',
    ]);
  });

  it('gives back the position of the subscription: epoch and reset included, of an empty room too', async () => {
    const done = tail();
    const since: unknown[] = [];
    const steps: [Record<string, unknown>, ...Record<string, unknown>[]][] = [
      [{}, { type: 'signal', room: 'lobby', from: { user: 'x', connection: 'y' }, data: 1 }],
      [{ recovered: true }, message(1, 'a'), { type: 'epoch', room: 'lobby', epoch: 'e.2', seq: 1 }],
      [
        { recovered: true, epoch: 'e.2', seq: 1 },
        { type: 'reset', room: 'lobby', epoch: 'f.1', seq: 9, reason: 'lost' },
      ],
      [{ recovered: false, reason: 'trimmed', epoch: 'f.1', seq: 50 }, message(51, 'z')],
      [{ recovered: true, epoch: 'f.1', seq: 51 }],
    ];
    for (const [change, ...more] of steps) {
      const client = await server.connection();
      await client.welcome();
      since.push(
        (await client.joined(change, ...more, { type: 'closing', code: 1012, reason: '', reconnect: 'now' }))[
          'since'
        ],
      );
      client.socket.close(1012);
    }
    terminal.signal('SIGINT');
    expect(await done).toBe(0);
    expect(since).toEqual([
      undefined,
      { epoch: 'e.1', seq: 0 },
      { epoch: 'e.2', seq: 1 },
      { epoch: 'f.1', seq: 9 },
      { epoch: 'f.1', seq: 51 },
    ]);
    const said = terminal.errLines.join('\n');
    expect(said).toContain('continuity broke after seq 1 (lost): next is seq 10');
    expect(said).toContain('could not resume after seq 9 (trimmed): going on after seq 50');
  });

  it('begins with --since and drops what another room says', async () => {
    const done = tail('--since', '3.ab:cd:41', '--count', '1');
    const client = await server.connection();
    await client.welcome();
    const join = await client.joined(
      { recovered: true, seq: 41 },
      { ...message(1, 'x'), room: 'other' },
      message(42, 'y'),
    );
    expect(join['since']).toEqual({ epoch: '3.ab:cd', seq: 41 });
    expect(await done).toBe(0);
    expect(terminal.outLines).toHaveLength(1);
  });

  it('waits for a node that has lost Redis', async () => {
    const done = tail('--count', '1');
    const client = await server.connection();
    await client.welcome();
    client.send({ type: 'status', redis: 'down' });
    for (let tries = 0; tries < 3; tries++) {
      const { id } = await client.next('join');
      client.send({
        type: 'error',
        id,
        code: 'unavailable',
        message: 'Redis is away',
        retryable: true,
        retryAfterMs: 1,
      });
    }
    await client.joined({}, { type: 'status', redis: 'up' }, message(1, 'a'));
    expect(await done).toBe(0);
    expect(terminal.errLines).toContain('roomcast: the node lost Redis, waiting');
    expect(terminal.errLines).toContain(
      'roomcast: unavailable: Redis is away (may be tried again); joining again',
    );
  });

  it('keeps trying while nobody listens', async () => {
    const done = tail('--count', '1');
    const first = await server.connection();
    await first.welcome();
    await first.joined();
    const { port } = server;
    await server.stop();
    await terminal.errLine('nothing listens there');
    server = await WireServer.start(port);
    const second = await server.connection();
    await second.welcome();
    await second.joined({ recovered: true }, message(1, 'a'));
    expect(await done).toBe(0);
  });

  it('leaves a server that has gone silent, and stays with one that only pings', async () => {
    const clock = createFakeClock();
    terminal.clock = clock;
    const done = tail('--count', '1');
    const first = await server.connection();
    await first.welcome({ pingIntervalMs: 1000 });
    await first.joined();
    for (let pings = 0; pings < 10; pings++) {
      first.socket.ping();
      await once(first.socket, 'pong');
      clock.advance(1000);
    }
    expect(terminal.errLines).toEqual([]);
    clock.advance(3000);
    await first.closed;
    await terminal.errLine('the connection broke; connecting again');
    clock.advance(0);
    const second = await server.connection();
    await second.welcome();
    await second.joined({ recovered: true }, message(1, 'a'));
    expect(await done).toBe(0);
  });

  it('leaves a server that does not answer its join', async () => {
    const clock = createFakeClock();
    terminal.clock = clock;
    const done = tail('--count', '1');
    const first = await server.connection();
    await first.welcome();
    await first.next('join');
    clock.advance(15_000);
    await terminal.errLine('no answer to join in 15 s');
    clock.advance(0);
    const second = await server.connection();
    await second.welcome();
    await second.joined({}, message(1, 'a'));
    expect(await done).toBe(0);
  });
});

describe('a first connection that fails', () => {
  it('is an error that says what to do', async () => {
    const { url } = server;
    await server.stop();
    expect(await tail()).toBe(1);
    expect(terminal.errLines).toEqual([
      `roomcast: cannot connect to ${url}: nothing listens there; start a server with \`roomcast serve\`, or name another with --url`,
    ]);
  });

  it.each([
    [404, 'the default path is /ws'],
    [503, 'draining or overloaded'],
    [401, 'HTTP 401'],
  ])('with HTTP %i says %s', async (status, said) => {
    const http = createServer().on('upgrade', (_request, socket) => {
      socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    expect(await runIn(terminal, ['tail', 'lobby', '--url', `ws://u:hunter2@127.0.0.1:${port}/ws`])).toBe(1);
    expect(terminal.errLines).toHaveLength(1);
    expect(terminal.errLines[0]).toContain(said);
    expect(terminal.errLines[0]).not.toContain('hunter2');
    http.close();
  });

  it('to something else than roomcast ends after 15 s', async () => {
    const clock = createFakeClock();
    terminal.clock = clock;
    const done = tail();
    const client = await server.connection();
    await client.next('hello');
    client.socket.send('220 smtp.example ESMTP');
    client.send({ type: 'hello' }, { type: 'unheard-of', id: '1' });
    clock.advance(15_000);
    expect(await done).toBe(1);
    expect(terminal.errLines[0]).toMatch(/is it a roomcast server|does not answer hello with welcome/);
  });
});
