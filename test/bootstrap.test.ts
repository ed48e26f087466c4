/**
 * The scripts that stand between a fresh clone and a running server or test.
 * They have to tell apart "nothing to do" from "something is missing", and a
 * run that tested nothing from one that passed.
 */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isStale } from '../scripts/build.mjs';
import { isAtLeast, isInstalled } from '../scripts/install.mjs';
import { missingEntries, platformOf } from '../scripts/lockfile.mjs';
import { countResults, parseArguments, RUN_MINUTES_MAX } from '../scripts/test.mjs';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'roomcast-bootstrap-'));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, content: unknown): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
}

test.each([
  ['20.19.0', '20.19', true],
  ['20.18.9', '20.19', false],
  ['20.19.0', '20.19.1', false],
  ['18.20.4', '20.19', false],
  ['22.0.0', '20.19', true],
  ['100.0.0', '20.19', true],
])('Node %s satisfies %s: %s', (have, want, enough) => {
  expect(isAtLeast(have, want)).toBe(enough);
});

describe('an installation', () => {
  const locked = {
    packages: {
      '': { name: 'x' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/other-platform': { version: '1.0.0', optional: true },
    },
  };
  const present = (packages: object) => write('node_modules/.package-lock.json', { packages });

  beforeEach(() => write('package-lock.json', locked));

  test('is missing without node_modules', () => {
    expect(isInstalled(root)).toBe(false);
  });

  test('is complete when every package has its version, whatever the file times say', () => {
    present({ 'node_modules/a': { version: '1.0.0' } });
    utimesSync(join(root, 'node_modules/.package-lock.json'), 1, 1);
    expect(isInstalled(root)).toBe(true);
  });

  test('is out of date when a version differs', () => {
    present({ 'node_modules/a': { version: '1.0.1' } });
    expect(isInstalled(root)).toBe(false);
  });

  test('is out of date when a package is absent or the record was cut short', () => {
    present({});
    expect(isInstalled(root)).toBe(false);
    write('node_modules/.package-lock.json', '{"packages":{');
    expect(isInstalled(root)).toBe(false);
  });
});

describe('a build', () => {
  const SOURCE_S = 1_700_000_000;
  const touch = (path: string, seconds: number) => utimesSync(join(root, path), seconds, seconds);

  beforeEach(() => {
    for (const path of ['src/core/a.ts', 'src/core/b.ts', 'package.json', 'tsconfig.json']) write(path, '{}');
    for (const path of [
      'src/core/a.ts',
      'src/core/b.ts',
      'src/core',
      'src',
      'package.json',
      'tsconfig.json',
    ]) {
      touch(path, SOURCE_S);
    }
    write('dist/.built', String(SOURCE_S * 1000));
  });

  test('is current while nothing changed', () => {
    expect(isStale(root)).toBe(false);
  });

  test('is stale when there is none', () => {
    rmSync(join(root, 'dist'), { recursive: true });
    expect(isStale(root)).toBe(true);
  });

  test.each(['src/core/a.ts', 'package.json', 'tsconfig.json'])('is stale after a change of %s', (path) => {
    touch(path, SOURCE_S + 1);
    expect(isStale(root)).toBe(true);
  });

  test('is stale after a source file was deleted', () => {
    rmSync(join(root, 'src/core/b.ts'));
    expect(isStale(root)).toBe(true);
  });
});

describe('the arguments of npm test', () => {
  test('choose the projects and leave the rest to vitest', () => {
    expect(parseArguments([])).toEqual({ projects: ['fast', 'system'], rest: [] });
    expect(parseArguments(['test/core', '-t', 'name'])).toEqual({
      projects: ['fast', 'system'],
      rest: ['test/core', '-t', 'name'],
    });
    expect(parseArguments(['--project', 'full', 'x'])).toEqual({ projects: ['full'], rest: ['x'] });
    expect(parseArguments(['--project=fast', '--bail=1'])).toEqual({
      projects: ['fast'],
      rest: ['--bail=1'],
    });
  });

  test.each([['--project=slow'], ['--project']])('refuse %s', (...args) => {
    expect(() => parseArguments(args)).toThrow('--project takes one of fast, system, full');
  });
});

test('a run is stopped where it takes longer than anybody should wait', () => {
  expect(RUN_MINUTES_MAX).toEqual({ fast: 5, system: 12, full: 50 });
});

describe('the result of a run', () => {
  const report = (passed: number, failed: number, ...testResults: object[]) => ({
    numPassedTests: passed,
    numFailedTests: failed,
    testResults,
  });
  const brokenFile = { status: 'failed', assertionResults: [] };
  const failedFile = { status: 'failed', assertionResults: [{ status: 'failed' }] };

  test.each([
    ['all pass', report(3, 0), 0, 3, 0],
    ['one fails', report(2, 1, failedFile), 1, 2, 1],
    ['a file cannot be loaded', report(2, 0, brokenFile), 1, 2, 1],
    ['one fails and a file cannot be loaded', report(2, 1, failedFile, brokenFile), 1, 2, 2],
    ['an error falls between the tests', report(2, 0), 1, 2, 1],
    ['vitest is killed', undefined, 'SIGKILL', 0, 1],
    ['nothing is run', report(0, 0), 0, 0, 1],
    ['the filter matches nothing', report(0, 0), 1, 0, 1],
  ])('when %s', (_what, given, outcome, passed, failed) => {
    expect(countResults(given, outcome)).toMatchObject({ passed, failed });
  });
});

describe('the lockfile', () => {
  test.each([
    ['@biomejs/cli-linux-arm64-musl', { os: 'linux', cpu: 'arm64', libc: 'musl' }],
    ['@oxlint/binding-linux-arm-gnueabihf', { os: 'linux', cpu: 'arm', libc: 'glibc' }],
    ['@esbuild/darwin-x64', { os: 'darwin', cpu: 'x64', libc: undefined }],
    ['fsevents', undefined],
  ])('knows the platform of %s', (name, platform) => {
    expect(platformOf(name)).toEqual(platform);
  });

  test('gets back the packages of other platforms, and only those', () => {
    const packages = {
      '': {},
      'node_modules/tool': {
        version: '1.0.0',
        dev: true,
        optionalDependencies: { '@tool/linux-x64': '1.0.0', '@tool/darwin-x64': '1.0.0', fsevents: '^2.0.0' },
      },
      'node_modules/@tool/linux-x64': { version: '1.0.0' },
      'node_modules/nested/node_modules/inner': {
        version: '2.0.0',
        optionalDependencies: { '@inner/linux-x64': '2.0.0', '@tool/linux-x64': '1.0.0' },
      },
      'node_modules/nested/node_modules/@inner/linux-x64': { version: '2.0.0' },
    };
    expect(missingEntries(packages)).toEqual({
      'node_modules/@tool/darwin-x64': {
        version: '1.0.0',
        cpu: ['x64'],
        dev: true,
        optional: true,
        os: ['darwin'],
      },
    });
  });
});
