/** What only a real process shows: exit codes, signals, pipes, and that no password gets out of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { CliProcess, PROCESS_TEST_MS, ROOT, startServing, waitForMember } from '../support/cli-process.ts';

vi.setConfig({ testTimeout: PROCESS_TEST_MS });

const SECRET = 'hunter2';

describe('serve', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('stops cleanly on %s with clients connected', async (signal) => {
    const server = await startServing([
      '--drain-notice-ms',
      '0',
      '--drain-spread-min-ms',
      '0',
      '--drain-spread-max-ms',
      '0',
    ]);
    const tail = CliProcess.roomcast('tail', 'lobby', '--url', server.url);
    await waitForMember(server.port);
    server.process.child.kill(signal);
    expect(await server.process.exited).toBe(0);
    const last = JSON.parse(server.process.out.at(-1) ?? '') as { msg: string };
    expect(last.msg).toBe('stopped');
    // The client does not end with the server: it says so and tries again.
    await tail.line('connecting again in');
  });

  it('ends at once with exit code 1 on a second signal', async () => {
    const server = await startServing(['--drain-notice-ms', '60000']);
    const tail = CliProcess.roomcast('tail', 'lobby', '--url', server.url);
    await waitForMember(server.port);
    server.process.child.kill('SIGTERM');
    await server.process.line('"stopping"');
    server.process.child.kill('SIGTERM');
    expect(await server.process.exited).toBe(1);
    tail.child.kill('SIGKILL');
  });

  it('on a port in use says what to do in one line and exits 1', async () => {
    const first = await startServing();
    const second = CliProcess.roomcast('serve', '--port', String(first.port), '--host', '127.0.0.1');
    expect(await second.exited).toBe(1);
    expect(second.err).toEqual([
      `roomcast: 127.0.0.1 port ${first.port} is in use: stop what listens there, or choose another with --port (0 picks a free one)`,
    ]);
    expect(second.out).toEqual([]);
  });

  it('with wrong settings tells all of them and exits 2', async () => {
    const server = CliProcess.start(process.execPath, ['dist/cli/main.js', 'serve', '--port', 'x'], {
      LIMIT_BATCH: 'y',
      REDIS_PASSWORD: SECRET,
    });
    expect(await server.exited).toBe(2);
    expect(server.err.map((line) => line.split(' = ')[0])).toEqual([
      'roomcast: --port',
      'roomcast: LIMIT_BATCH',
      'roomcast: REDIS_PASSWORD',
    ]);
    expect(server.err.join()).not.toContain(SECRET);
  });

  it('never shows the password of its Redis: not in logs, not over HTTP, not by config', async () => {
    const env = { REDIS_URL: `redis://user:${SECRET}@127.0.0.1:1`, LOG_LEVEL: 'debug' };
    const server = await startServing([], env);
    const seen: string[] = [];
    for (const path of ['/health', '/ready', '/live', '/']) {
      seen.push(await (await fetch(`http://127.0.0.1:${server.port}${path}`)).text());
    }
    const config = CliProcess.start(process.execPath, ['dist/cli/main.js', 'config'], env);
    expect(await config.exited).toBe(0);
    server.process.child.kill('SIGINT');
    expect(await server.process.exited).toBe(0);
    expect(server.process.out.length).toBeGreaterThan(1);
    seen.push(...server.process.out, ...server.process.err, ...config.out, ...config.err);
    expect(seen.join('\n')).toContain('redis://user:***@127.0.0.1:1');
    expect(seen.join('\n')).not.toContain(SECRET);
  });

  it('starts with lines for people where the log is pretty', async () => {
    const server = CliProcess.roomcast(
      'serve',
      '--port',
      '0',
      '--host',
      '127.0.0.1',
      '--log-format',
      'pretty',
    );
    await server.line('publish lobby');
    expect(server.out[0]).toMatch(/^roomcast \d+\.\d+\.\d+, node /);
    expect(server.out[3]).toMatch(
      /^ {2}try +node dist\/cli\/main\.js tail lobby --url ws:\/\/127\.0\.0\.1:\d+\/ws$/,
    );
    server.child.kill('SIGINT');
    expect(await server.exited).toBe(0);
  });
});

describe('the lines to try', () => {
  it('work as they are printed', async () => {
    const server = CliProcess.roomcast(
      'serve',
      '--port',
      '0',
      '--host',
      '127.0.0.1',
      '--log-format',
      'pretty',
    );
    await server.line('publish lobby');
    const line = (server.out[4] ?? '').trim();
    const shell = CliProcess.start('/bin/sh', ['-c', line.replace(/^node /, `${process.execPath} `)]);
    expect(await shell.exited).toBe(0);
    expect(JSON.parse(shell.out[0] ?? '')).toMatchObject({ seq: 1 });
    server.child.kill('SIGINT');
    expect(await server.exited).toBe(0);
  });
});

describe('tail', () => {
  it('ends cleanly where its reader has enough', async () => {
    const { url } = await startServing();
    for (const word of ['1', '2']) {
      expect(await CliProcess.roomcast('publish', 'lobby', word, '--url', url).exited).toBe(0);
    }
    const child = spawn(
      process.execPath,
      ['dist/cli/main.js', 'tail', 'lobby', '--history', '1', '--url', url],
      { cwd: ROOT },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    child.stdout.destroy();
    // The next line finds nobody.
    expect(await CliProcess.roomcast('publish', 'lobby', '3', '--url', url).exited).toBe(0);
    expect(await exited).toEqual([0, null]);
  });

  it('goes on over a server that is killed and started again', async () => {
    const first = await startServing();
    const tail = CliProcess.roomcast('tail', 'lobby', '--url', first.url, '--count', '2');
    const port = String(first.port);
    await waitForMember(first.port);
    expect(await CliProcess.roomcast('publish', 'lobby', '1', '--url', first.url).exited).toBe(0);
    await tail.line('"data":1');
    first.process.child.kill('SIGKILL');
    await tail.line('connecting again in');
    const second = CliProcess.roomcast('serve', '--port', port, '--host', '127.0.0.1');
    await second.line('"listening"');
    // An embedded broker keeps nothing: the client is told, and goes on.
    await tail.line('could not resume after seq 1 (lost)');
    expect(await CliProcess.roomcast('publish', 'lobby', '2', '--url', first.url).exited).toBe(0);
    expect(await tail.exited).toBe(0);
    expect(tail.out.map((line) => (JSON.parse(line) as { data: number }).data)).toEqual([1, 2]);
  });
});

it('every command the README names exists', () => {
  const path = `${ROOT}/README.md`;
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const commands = [...text.matchAll(/dist\/cli\/main\.js (\w+)/g)].map((match) => match[1]);
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands)
    expect(['serve', 'tail', 'publish', 'presence', 'config']).toContain(command);
});
