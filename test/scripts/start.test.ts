/**
 * `npm start` between npm and the server: what it does before, what it passes on, and what it makes of the
 * end. The scripts are copied beside a server that only says what reaches it and an npm that only pretends.
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliProcess, ROOT } from '../support/cli-process.ts';

/** Says its arguments, then each signal. The first one ends it with 7, or is sent back to whoever sent it, ten times. */
const SERVER = `
  const told = process.argv.slice(2);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
    process.on(signal, () => {
      console.log('got ' + signal);
      if (!told.includes('--sends-back')) process.exit(7);
      let times = 0;
      setInterval(() => ((times += 1) > 10 ? process.exit(0) : process.kill(process.ppid, signal)), 20);
    });
  }
  console.log('runs with ' + told.join(' '));
  if (told.includes('--die')) process.kill(process.pid, 'SIGKILL');
  // Whoever started it was killed by its test: nobody would end it.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(0), 50);
`;
const SOURCE_S = 1_700_000_000;
const LOCK = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' } } };

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'roomcast-start-'));
  cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
  write('package.json', JSON.stringify({ type: 'module', engines: { node: '>=20.19' } }));
  write('package-lock.json', JSON.stringify(LOCK));
  write('node_modules/.package-lock.json', JSON.stringify(LOCK));
  write('src/a.ts', '');
  // Built from exactly these sources: nothing is compiled here.
  const inputs = ['src/a.ts', 'src', 'package.json'];
  const scripts = ['build', 'client-bundle', 'pages'].map((name) => `scripts/${name}.mjs`);
  for (const path of [...inputs, ...scripts]) utimesSync(join(root, path), SOURCE_S, SOURCE_S);
  write('dist/cli/main.js', SERVER);
  write('dist/.built', String(SOURCE_S * 1000));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** The next npm that is called is this one. */
function fakeNpm(script: string): void {
  write('bin/npm', `#!/bin/sh\necho "npm $*"\n${script}\n`);
  chmodSync(join(root, 'bin/npm'), 0o755);
}

const start = (...words: string[]) =>
  CliProcess.start(process.execPath, [join(root, 'scripts/start.mjs'), ...words], {
    PATH: join(root, 'bin'),
  });

describe('npm start', () => {
  test('passes its arguments on, as they are, to serve', async () => {
    const started = start('--port', '0', '--node-name', 'a b');
    expect(await started.line('runs with')).toBe('runs with serve --port 0 --node-name a b');
    expect(started.err).toEqual([]);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'passes %s on, and ends as the server did',
    async (signal) => {
      const started = start();
      await started.line('runs with');
      started.child.kill(signal);
      expect(await started.exited).toBe(7);
      expect(started.out).toEqual(['runs with serve', `got ${signal}`]);
    },
  );

  test('passes a signal on once: repeated, it would tell a server that drains to hurry', async () => {
    const started = start('--sends-back');
    await started.line('runs with');
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
    expect(started.out).toEqual(['runs with serve --sends-back', 'got SIGTERM']);
  });

  test('ends as shells do where a signal killed the server', async () => {
    expect(await start('--die').exited).toBe(128 + 9);
  });

  test('installs first where packages are missing, says so, and leaves standard output to the server', async () => {
    rmSync(join(root, 'node_modules'), { recursive: true });
    fakeNpm(`/bin/mkdir -p node_modules && /bin/cp package-lock.json node_modules/.package-lock.json`);
    const started = start();
    await started.line('runs with');
    expect(started.out).toEqual(['runs with serve']);
    expect(started.err).toEqual([
      'roomcast: node_modules is missing or out of date, running npm ci',
      'npm ci --no-audit --no-fund',
    ]);
  });

  test('ends with 1 and one line where the installation fails', async () => {
    rmSync(join(root, 'node_modules'), { recursive: true });
    fakeNpm('exit 5');
    const started = start();
    expect(await started.exited).toBe(1);
    expect(started.out).toEqual([]);
    expect(started.err.at(-1)).toBe('roomcast: npm ci failed');
  });

  test('without npm says what is missing', async () => {
    rmSync(join(root, 'node_modules'), { recursive: true });
    const started = start();
    expect(await started.exited).toBe(1);
    expect(started.err.at(-1)).toMatch(/^roomcast: npm ci failed: .*npm.*ENOENT/);
  });

  test('with a Node that is too old says which one is needed, before anything else', async () => {
    write('package.json', JSON.stringify({ type: 'module', engines: { node: '>=99.1' } }));
    const started = start();
    expect(await started.exited).toBe(1);
    expect(started.err).toEqual([
      `roomcast needs Node 99.1 or newer, this is Node ${process.versions.node}. Install a newer one from https://nodejs.org`,
    ]);
  });

  test('ends with 1 where the build fails, and starts nothing', async () => {
    write('src/b.ts', 'not a program');
    const started = start();
    expect(await started.exited).toBe(1);
    expect(started.out).toEqual([]);
    expect(started.err[0]).toBe('roomcast: dist is missing or out of date, building');
    expect(started.err.at(-1)).toBe('roomcast: the build failed');
  });
});
