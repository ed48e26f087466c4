/** `roomcast publish`: one message, one position, and an error that says what to do. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runIn, TestTerminal } from '../support/test-terminal.ts';
import { WireServer } from '../support/wire-server.ts';

let server: WireServer;
let terminal: TestTerminal;

beforeEach(async () => {
  server = await WireServer.start();
  terminal = new TestTerminal();
});
afterEach(() => server.stop());

const publish = (...words: string[]) => runIn(terminal, ['publish', 'lobby', ...words, '--url', server.url]);

describe('publishing', () => {
  it('joins without presence, publishes, prints the position, leaves and closes', async () => {
    const done = publish('{"a":[1,null]}', '--key', 'k1', '--user', 'alice');
    const client = await server.connection();
    expect(await client.welcome()).toMatchObject({
      user: 'alice',
      client: { name: 'roomcast-cli', version: '9.9.9' },
    });
    expect(await client.joined()).toMatchObject({ room: 'lobby', presence: 'none' });
    const frame = await client.next('publish');
    expect(frame).toMatchObject({ room: 'lobby', data: { a: [1, null] }, key: 'k1' });
    // The own message may come before the answer.
    client.send(
      { type: 'message', room: 'lobby', seq: 3, ts: 1, data: {} },
      { type: 'ok', id: frame['id'], room: 'lobby', epoch: 'e.1', seq: 3, duplicate: true },
    );
    await client.next('leave');
    expect(await client.closed).toBe(1000);
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual(['{"epoch":"e.1","seq":3,"duplicate":true}']);
    expect(terminal.errLines).toEqual([]);
    expect(terminal.listeners).toBe(0);
  });

  it.each([
    [['--text', '17'], '17'],
    [['"17"'], '17'],
    [['17'], 17],
    [['null'], null],
    [['--text', ''], ''],
  ])('sends %j as %j', async (words, data) => {
    const done = publish(...words);
    const client = await server.connection();
    await client.welcome();
    await client.joined();
    const frame = await client.next('publish');
    expect(frame['data']).toBe(data);
    client.send({ type: 'ok', id: frame['id'], room: 'lobby', epoch: 'e', seq: 1 });
    expect(await done).toBe(0);
  });

  it('exits 1 with the reason where the server refuses', async () => {
    const done = publish('1');
    const client = await server.connection();
    await client.welcome();
    await client.joined();
    const { id } = await client.next('publish');
    client.send({
      type: 'error',
      id,
      code: 'unknown_outcome',
      message: 'no answer from Redis',
      retryable: true,
    });
    expect(await done).toBe(1);
    expect(terminal.errLines).toEqual([
      'roomcast: unknown_outcome: no answer from Redis (may be tried again)',
    ]);
    expect(terminal.outLines).toEqual([]);
  });

  it('exits 1 where the connection ends before the answer', async () => {
    const done = publish('1');
    const client = await server.connection();
    await client.welcome();
    await client.joined();
    await client.next('publish');
    client.socket.terminate();
    expect(await done).toBe(1);
    expect(terminal.errLines).toEqual(['roomcast: the connection broke']);
  });

  it('stops on a signal', async () => {
    const done = publish('1');
    const client = await server.connection();
    await client.welcome();
    await client.next('join');
    terminal.signal('SIGINT');
    expect(await done).toBe(1);
    expect(await client.closed).toBe(1000);
  });
});

describe('a wrong call', () => {
  it.each([
    [
      ['hello'],
      `hello is not JSON: quote it for JSON and for the shell, '"hello"', or add --text to send it as a string`,
    ],
    [['{a:1}'], '{a:1} is not JSON'],
    [['1', '--key', ''], '--key takes 1-64 characters'],
    [['1', '--key', 'x'.repeat(65)], '--key takes 1-64 characters'],
    [['1', '--user', 'a{b}'], '"a{b}" is no user name'],
    [['1', '2'], 'too many arguments'],
    [[], "missing required argument 'json'"],
  ])('%j exits 2 before anything is connected', async (words, said) => {
    expect(await publish(...words)).toBe(2);
    expect(terminal.errLines).toHaveLength(1);
    expect(terminal.errLines[0]).toMatch(/^roomcast: /);
    expect(terminal.errLines[0]).toContain(said);
  });
});
