/** `roomcast conformance`: what it prints, how it ends, and what it refuses to be asked. The suite itself is in test/conformance/. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AlteringProxy } from '../support/altering-proxy.ts';
import { LocalServer } from '../support/local-server.ts';
import { runIn, TestTerminal } from '../support/test-terminal.ts';

let server: LocalServer;
let terminal: TestTerminal;

beforeEach(async () => {
  server = await LocalServer.start();
  terminal = new TestTerminal();
});
afterEach(() => server.close());

const conformance = (...words: string[]) => runIn(terminal, ['conformance', '--url', server.url, ...words]);

describe('a run', () => {
  it('prints one line for each check and the sums, and exits 0', async () => {
    expect(await conformance('--filter', 'ping is answered')).toBe(0);
    expect(terminal.outLines).toEqual([
      'ok      session: ping is answered by pong, with its id where it has one',
      '',
      '1 ok, 0 failed, 0 skipped',
    ]);
    expect(terminal.errLines).toEqual([`roomcast: checking ${server.url}`]);
  });

  it('says of what it skips why, and does not fail for it', async () => {
    expect(await conformance('--filter', 'worked session: 8')).toBe(0);
    expect(terminal.outLines[0]).toMatch(/^skipped worked session: 8\. .*: needs the operator: give --drain/);
    expect(terminal.outLines.at(-1)).toBe('0 ok, 0 failed, 1 skipped');
  });

  it('says of a failure what was expected and what came, and exits 1', async () => {
    const proxy = await AlteringProxy.start(server.url, {
      frame: (frame) => [frame.type === 'pong' ? { ...frame, id: 'mine' } : frame],
    });
    try {
      const words = ['conformance', '--url', proxy.url, '--filter', 'ping is answered', '--timeout', '300'];
      expect(await runIn(terminal, words)).toBe(1);
    } finally {
      await proxy.stop();
    }
    const [head, expected, came] = terminal.outLines;
    expect(head).toBe('failed  session: ping is answered by pong, with its id where it has one');
    expect(expected).toBe('          expected no reply that nobody asked for');
    expect(came).toBe('          came     {"type":"pong","id":"mine"}');
    expect(terminal.outLines.at(-1)).toBe('0 ok, 1 failed, 0 skipped');
  });

  it('gives back what it took away where it is interrupted, and exits 1', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'roomcast-taken-'));
    const [paused, resumed] = [join(folder, 'paused'), join(folder, 'resumed')];
    // Interrupted while it is being taken away: it may have been by then.
    const words = [
      '--redis-pause',
      `touch ${paused} && sleep 2`,
      '--redis-resume',
      `touch ${resumed}`,
      '--filter',
      'unknown_outcome',
    ];
    const ended = conformance(...words, '--timeout', '5000');
    await vi.waitFor(() => expect(existsSync(paused)).toBe(true), 5000);
    expect(existsSync(resumed)).toBe(false);
    terminal.signal('SIGINT');
    await vi.waitFor(() => expect(terminal.exits).toEqual([1]), 5000);
    expect(existsSync(resumed)).toBe(true);
    await ended;
    rmSync(folder, { recursive: true });
  });

  it('prints JSON lines with --json, nothing else', async () => {
    expect(await conformance('--filter', 'ping is answered', '--json')).toBe(0);
    const [result, sums] = terminal.outLines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(result).toMatchObject({
      check: 'session: ping is answered by pong, with its id where it has one',
      outcome: 'ok',
    });
    expect(sums).toEqual({ ok: 1, failed: 0, skipped: 0 });
    expect(terminal.errLines).toEqual([]);
  });

  it('drains by the command it was given, and reports a command that fails', async () => {
    expect(await conformance('--filter', 'worked session: 8', '--drain', 'echo no such node; exit 3')).toBe(
      1,
    );
    const shown = terminal.outLines.join('\n');
    expect(shown).toContain('expected the command to end with 0: echo no such node; exit 3');
    expect(shown).toContain('came     3 no such node');
  });

  it('takes the address from ROOMCAST_URL', async () => {
    terminal.env = { ROOMCAST_URL: server.url };
    expect(await runIn(terminal, ['conformance', '--filter', 'ping is answered'])).toBe(0);
  });
});

describe('what cannot be run', () => {
  it('lists its checks with --list and connects to nothing', async () => {
    expect(await runIn(terminal, ['conformance', '--url', 'ws://127.0.0.1:1/ws', '--list'])).toBe(0);
    expect(terminal.outLines.length).toBeGreaterThan(90);
    expect(new Set(terminal.outLines).size).toBe(terminal.outLines.length);
    for (const number of Array.from({ length: 12 }, (_, at) => at + 1)) {
      expect(terminal.outLines.some((line) => line.startsWith(`worked session: ${number}. `))).toBe(true);
    }
  });

  it('exits 1 with one line where nothing listens', async () => {
    expect(await runIn(terminal, ['conformance', '--url', 'ws://127.0.0.1:1/ws'])).toBe(1);
    expect(terminal.errLines.at(-1)).toMatch(
      /^roomcast: cannot connect to ws:\/\/127\.0\.0\.1:1\/ws: .*ECONNREFUSED/,
    );
    expect(terminal.outLines).toEqual([]);
  });

  it.each([
    [['--filter', 'no check is called so'], 'no check has "no check is called so"'],
    [['--timeout', 'soon'], '--timeout takes a whole number from 100'],
    [['--parallel', '0'], '--parallel takes a whole number from 1'],
    [['--redis-stop', 'true'], '--redis-stop needs --redis-start'],
    [['--redis-pause', 'true'], '--redis-pause needs --redis-resume'],
    [['--node-kill', 'true'], '--node-stop and --node-kill need --node-start'],
    [['--url', 'ftp://x'], 'is no WebSocket URL'],
  ])('exits 2 on %j', async (words, said) => {
    expect(await conformance(...words)).toBe(2);
    expect(terminal.errLines.join('\n')).toContain(said);
  });

  it('has help with examples and the commands it takes', async () => {
    expect(await runIn(terminal, ['conformance', '--help'])).toBe(0);
    const help = terminal.outLines.join('\n');
    for (const word of ['--drain <command>', '--redis-empty <command>', 'Examples:', 'Exit codes:']) {
      expect(help).toContain(word);
    }
  });
});
