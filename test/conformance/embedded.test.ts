/** The embedded server conforms, directly and behind HAProxy; the direct run is the command as people call it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Result } from '../../src/conformance/run.ts';
import { CliProcess, ROOT } from '../support/cli-process.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { expectJudged, results, SHORT, SKIPPED } from './whole-suite.ts';

const WHOLE_SUITE_MS = 180_000;
const EMBEDDED = { ...SHORT, REDIS_MODE: 'off' };

/** Shell commands of an operator who keeps the process id of the node in a file. */
function operator(port: number): { readonly start: string; readonly signal: (name: string) => string } {
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-'));
  const file = join(folder, 'pid');
  onTestFinished(() => {
    process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const settings = Object.entries(EMBEDDED).map(([name, value]) => `${name}=${value}`);
  const serve = `${process.execPath} ${ROOT}/dist/cli/main.js serve --host 127.0.0.1 --port ${port}`;
  return {
    // Whatever ran there before has to be gone, or its port is still taken.
    start: `env ${settings.join(' ')} ${serve} >/dev/null 2>&1 & echo $! > ${file}`,
    signal: (name) => `kill -${name} $(cat ${file})`,
  };
}

test('directly, by the command', { timeout: WHOLE_SUITE_MS }, async () => {
  const first = await nodeForTest(EMBEDDED);
  const { start, signal } = operator(first.port);
  const stopFirst = `kill -INT ${first.child.pid}; while kill -0 ${first.child.pid} 2>/dev/null; do sleep 0.1; done`;
  const words = ['--url', first.url, '--parallel', '8', '--json', '--drain', signal('TERM')];
  const command = CliProcess.roomcast(
    'conformance',
    ...words,
    '--node-stop',
    stopFirst,
    '--node-start',
    start,
  );
  expect(await command.exited, command.out.join('\n')).toBe(0);
  const told = command.out.map((line) => JSON.parse(line) as Result | { failed: number });
  expect(told.at(-1)).toMatchObject({ failed: 0 });
  expectJudged(
    told.filter((one) => 'check' in one),
    SKIPPED.embedded,
  );
  expect(await first.exited).toBe(0);
});

test('behind HAProxy', { timeout: WHOLE_SUITE_MS }, async () => {
  const env = { ...EMBEDDED, TRUSTED_PROXIES: '127.0.0.1' };
  let node = await nodeForTest(env);
  const { port } = node;
  const proxy = await startHaproxy(port);
  try {
    const hooks = {
      drain: async () => void node.child.kill('SIGTERM'),
      nodeStop: async () => void (await node.kill('SIGINT')),
      nodeStart: async () => {
        node = await nodeForTest(env, port);
      },
    };
    expectJudged(await results({ urls: [proxy.url], hooks }), SKIPPED.embedded);
  } finally {
    await proxy.stop();
  }
});
