/** `roomcast presence`: who is in a room, without the one who asks. */
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

const presence = (...words: string[]) =>
  runIn(terminal, ['presence', 'lobby', '--url', server.url, ...words]);

const member = (user: string, state = {}) => ({ user, state, since: 0 });
const MEMBERS = [member('alice', { sharing: true }), member('anon-1'), member('b\u001bob')];

describe('once', () => {
  it('is a list for people', async () => {
    terminal.isTerminal = true;
    const done = presence();
    const client = await server.connection();
    await client.welcome();
    await client.joined({ count: 3, version: 7, members: MEMBERS });
    await client.next('leave');
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual([
      '2 in lobby',
      'alice      since 1970-01-01T00:00:00.000Z  {"sharing":true}',
      'b\\u001bob  since 1970-01-01T00:00:00.000Z',
    ]);
  });

  it('is JSON lines for programs, and includes a named asker', async () => {
    const done = presence('--user', 'anon-1');
    const client = await server.connection();
    await client.welcome();
    await client.joined({ count: 3, version: 7, members: MEMBERS });
    expect(await done).toBe(0);
    expect(terminal.outLines.map((line) => JSON.parse(line))).toEqual(MEMBERS);
  });

  it('is a number where there are too many to list', async () => {
    terminal.isTerminal = true;
    const done = presence();
    const client = await server.connection();
    await client.welcome();
    await client.joined({ count: 1235, version: 7 });
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual(['1234 in lobby, too many to list']);
  });
});

describe('--watch', () => {
  it('prints changes, asks again where a diff does not fit, and goes on over reconnects', async () => {
    terminal.isTerminal = true;
    const done = presence('--watch');
    const first = await server.connection();
    await first.welcome();
    const diff = { type: 'presence', room: 'lobby', count: 2 };
    await first.joined(
      { count: 2, version: 1, members: [member('alice'), member('anon-1')] },
      { ...diff, version: 1, previous: 0, joined: [member('anon-1')] },
      {
        ...diff,
        version: 2,
        previous: 1,
        joined: [member('bob')],
        updated: [{ user: 'alice', state: { away: 1 } }],
      },
      { ...diff, version: 4, previous: 3, left: [{ user: 'alice', reason: 'closed' }] },
    );
    const ask = await first.next('presence');
    first.send({ type: 'ok', id: ask['id'], room: 'lobby', version: 5, count: 1, members: [member('bob')] });
    await terminal.outLine('- alice');
    first.socket.terminate();
    const second = await server.connection();
    expect(await second.welcome()).toMatchObject({ user: 'anon-1' });
    await second.joined({
      recovered: true,
      count: 3,
      version: 9,
      members: [member('anon-1'), member('bob'), member('carl')],
    });
    await terminal.outLine('+ carl');
    terminal.signal('SIGINT');
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual([
      '1 in lobby',
      'alice  since 1970-01-01T00:00:00.000Z',
      '+ bob',
      '~ alice  {"away":1}',
      '- alice',
      '+ carl',
    ]);
  });

  it('prints changes as JSON lines', async () => {
    const done = presence('--watch', '--json');
    const client = await server.connection();
    await client.welcome();
    await client.joined(
      { count: 1, version: 1, members: [member('anon-1')] },
      { type: 'presence', room: 'lobby', count: 2, version: 2, previous: 1, joined: [member('bob')] },
      { type: 'presence', room: 'lobby', count: 1001, version: 3 },
    );
    await terminal.outLine('1001');
    terminal.signal('SIGINT');
    expect(await done).toBe(0);
    expect(terminal.outLines).toEqual([
      '{"change":"joined","user":"bob","state":{},"since":0}',
      '{"change":"count","count":1001}',
    ]);
  });
});
