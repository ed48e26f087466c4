/**
 * The programs that tests need are found, installed where that may be done without asking, or named with
 * what to type. Played with a PATH of its own and an apt-get that only pretends: nothing of the machine is touched.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ensurePrograms, findProgram } from '../../scripts/programs.mjs';
import { ROOT } from '../support/cli-process.ts';

let root: string;
let said: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'roomcast-programs-'));
  mkdirSync(join(root, 'bin'));
  vi.stubEnv('PATH', join(root, 'bin'));
  for (const name of ['JQ_BIN', 'HAPROXY_BIN', 'OPENSSL_BIN', 'PYTHON_BIN']) vi.stubEnv(name, undefined);
  said = [];
  vi.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(root, { recursive: true, force: true });
});

function program(name: string, script = 'exit 0'): string {
  const path = join(root, 'bin', name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Notes how it was called and whether services were forbidden meanwhile, and puts the programs of a package there. */
function aptGet(installs: boolean): void {
  const puts = installs
    ? `if [ "$2" = install ]; then for name in "$@"; do case $name in jq|haproxy)
      printf '#!/bin/sh\\nexit 0\\n' > ${root}/bin/$name; /bin/chmod 755 ${root}/bin/$name;; esac; done; fi`
    : 'exit 100';
  program(
    'apt-get',
    `echo "$@" "$(/bin/cat ${root}/policy 2>&1 | /usr/bin/tail -n 1)" >> ${root}/apt.log\n${puts}`,
  );
}

const ensure = (names: string[], isRoot: boolean) =>
  ensurePrograms(names, { isRoot, policy: join(root, 'policy') });
const aptCalls = () =>
  existsSync(join(root, 'apt.log')) ? readFileSync(join(root, 'apt.log'), 'utf8').trim().split('\n') : [];

describe('a program', () => {
  test('is the first on PATH that can be run', () => {
    writeFileSync(join(root, 'bin', 'jq'), 'not to be run');
    expect(findProgram('jq')).toBeUndefined();
    const path = program('jq');
    expect(findProgram('jq')).toBe(path);
  });

  test('is the one that its variable names, and then no other', () => {
    program('jq');
    const other = program('jq-1.7');
    vi.stubEnv('JQ_BIN', other);
    expect(findProgram('jq')).toBe(other);
    vi.stubEnv('JQ_BIN', join(root, 'nowhere'));
    expect(findProgram('jq')).toBeUndefined();
  });
});

describe('where programs are missing', () => {
  test('root on Debian gets those that are, and no service is started by it', () => {
    program('openssl');
    aptGet(true);
    expect(ensure(['jq', 'openssl', 'haproxy'], true)).toBe(true);
    expect(aptCalls()).toEqual([
      '-q update exit 101',
      '-q install -y --no-install-recommends jq haproxy exit 101',
    ]);
    expect(existsSync(join(root, 'policy'))).toBe(false);
    expect(said).toEqual(['roomcast: jq, haproxy missing, installing with apt-get']);
  });

  test('a policy that was there before stays', () => {
    writeFileSync(join(root, 'policy'), 'mine');
    aptGet(true);
    expect(ensure(['jq'], true)).toBe(true);
    expect(readFileSync(join(root, 'policy'), 'utf8')).toBe('mine');
  });

  test('an apt-get that fails is not taken for a success', () => {
    aptGet(false);
    expect(ensure(['jq'], true)).toBe(false);
    expect(said.at(-1)).toContain('sudo apt-get install jq');
    expect(existsSync(join(root, 'policy'))).toBe(false);
  });

  test('whoever is not root is told of each what to install, and nothing is run', () => {
    aptGet(true);
    expect(ensure(['jq', 'haproxy'], false)).toBe(false);
    expect(aptCalls()).toEqual([]);
    expect(said).toEqual([
      'roomcast: the tests need jq 1.6 or newer. Install it (Debian, Ubuntu: sudo apt-get install jq; ' +
        'macOS: brew install jq) or set JQ_BIN to its path. npm run test:fast does without.',
      'roomcast: the tests need haproxy 2.6 or newer. Install it (Debian, Ubuntu: sudo apt-get install haproxy; ' +
        'macOS: brew install haproxy) or set HAPROXY_BIN to its path. npm run test:fast does without.',
    ]);
  });

  test('one that its variable names is the affair of whoever set it', () => {
    aptGet(true);
    vi.stubEnv('JQ_BIN', join(root, 'nowhere'));
    expect(ensure(['jq'], true)).toBe(false);
    expect(aptCalls()).toEqual([]);
    expect(said).toEqual([`roomcast: JQ_BIN names ${root}/nowhere, which cannot be run`]);
  });

  test('the command ends with 1, and with 0 once they are there', () => {
    const run = () =>
      spawnSync(process.execPath, [`${ROOT}scripts/programs.mjs`, 'jq'], {
        env: { PATH: join(root, 'bin') },
        encoding: 'utf8',
      });
    const without = run();
    expect([without.status, without.stdout]).toEqual([1, '']);
    expect(without.stderr).toContain('sudo apt-get install jq');
    program('jq');
    expect(run().status).toBe(0);
  });
});
