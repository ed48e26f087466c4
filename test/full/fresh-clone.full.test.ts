/** What the README promises of a fresh clone, kept on a real one: one command, and somebody can chat. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CliProcess, ROOT } from '../support/cli-process.ts';
import { TestClient } from '../support/test-client.ts';

/** It installs and builds on the way. */
const READY_MS = 300_000;

/** A home of its own would have an empty cache, and ask the registry for every package. */
const HOME = { HOME: process.env['HOME'] ?? '/root' };

/** A clone of what is committed: nothing installed, nothing built. */
function freshClone(): string {
  const clone = mkdtempSync(join(tmpdir(), 'roomcast-clone-'));
  onTestFinished(() => rmSync(clone, { recursive: true, force: true }));
  execFileSync('git', ['clone', '--quiet', '--depth', '1', `file://${ROOT}`, clone]);
  expect(existsSync(join(clone, 'node_modules'))).toBe(false);
  expect(existsSync(join(clone, 'dist'))).toBe(false);
  return clone;
}

// It once passed only where something had been built: a test imported the build by its path, and CI was the first to see.
test('`npm run check` on a fresh clone installs and finds nothing to repair, with nothing built', async () => {
  const check = CliProcess.start('npm', ['run', '--silent', 'check'], HOME, freshClone());
  expect(await check.exited, check.out.join('\n')).toBe(0);
});

test('`npm start` on a fresh clone installs, builds and serves, and SIGTERM ends it with 0', async () => {
  const npm = CliProcess.start(
    'npm',
    ['start', '--', '--port', '0', '--host', '127.0.0.1'],
    HOME,
    freshClone(),
  );
  const { port, url } = JSON.parse(await npm.line('"listening"', READY_MS)) as { port: number; url: string };
  expect(npm.err).toContain('roomcast: node_modules is missing or out of date, running npm ci');
  expect(npm.err).toContain('roomcast: dist is missing or out of date, building');
  expect(await npm.line('publish lobby')).toContain(`--url ${url}`);

  const health = await fetch(`http://127.0.0.1:${port}/health`);
  expect(await health.json()).toMatchObject({ ready: true, redis_status: 'disabled' });
  const client = await TestClient.hello(url, 'anna');
  await client.join('lobby');
  expect(await client.publish('lobby', 'hello')).toMatchObject({ type: 'ok', seq: 1 });
  await client.close();

  npm.child.kill('SIGTERM');
  expect(await npm.exited).toBe(0);
});
