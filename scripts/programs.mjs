/**
 * Finds the programs that the tests start for themselves (redis-server, haproxy,
 * chromium; openssl for certificates; python3 with websockets and jq for the examples), and installs what is missing where that is possible without asking
 * (root on a Debian machine). It never leaves a packaged service running: the
 * tests own every server they use, and one on the default port would hide a
 * test that forgot to start its own.
 *
 * usage: node scripts/programs.mjs [redis-server haproxy chromium openssl jq python3]
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Debian's maintainer scripts ask this file before they start a service; 101 means "do not". */
const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_DENIES = '#!/bin/sh\nexit 101\n';

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there or not ours to run: the next folder of PATH may have it.
    return false;
  }
}

/** Every `name` on PATH, in its order. */
function allOnPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).filter(isExecutable);
}

const hasWebsockets = (python) =>
  spawnSync(python, ['-c', 'import websockets'], { stdio: 'ignore', timeout: 10_000 }).status === 0;

/**
 * What the tests need beside Node: the variable that names a copy elsewhere, and how others install it.
 * `debian` is the package where it is not called as the program; `serves` says whether a copy that can
 * be run has what is needed of it; `also` is where else to look.
 */
const PROGRAMS = {
  'redis-server': { variable: 'REDIS_SERVER_BIN', version: '7.0 or newer', brew: 'redis' },
  haproxy: { variable: 'HAPROXY_BIN', version: '2.6 or newer', brew: 'haproxy' },
  chromium: { variable: 'CHROMIUM_BIN', version: 'of any recent version', brew: '--cask chromium' },
  openssl: { variable: 'OPENSSL_BIN', version: '1.1.1 or newer', brew: 'openssl' },
  jq: { variable: 'JQ_BIN', version: '1.6 or newer', brew: 'jq' },
  python3: {
    variable: 'PYTHON_BIN',
    version: 'with the module websockets 10 or newer',
    debian: 'python3-websockets',
    brew: 'python, then: pip3 install websockets',
    serves: hasWebsockets,
    // Debian installs modules for this one, which need not be the first on PATH.
    also: ['/usr/bin/python3'],
  },
};

/** The path of a program: the one its variable names when set (and then only that), else the first that serves. */
export function findProgram(name) {
  const { variable, serves = () => true, also = [] } = PROGRAMS[name];
  const named = process.env[variable];
  const candidates = named ? [named] : [...allOnPath(name), ...also];
  return candidates.find((path) => isExecutable(path) && serves(path));
}

function apt(...args) {
  return spawnSync('apt-get', ['-q', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

function installWithApt(names, policy) {
  const guarded = !existsSync(policy);
  if (guarded) writeFileSync(policy, POLICY_DENIES, { mode: 0o755 });
  try {
    // The lists of a fresh image are empty; where they are not, a failed update may still do.
    apt('update');
    apt('install', '-y', '--no-install-recommends', ...names);
  } finally {
    if (guarded) rmSync(policy, { force: true });
  }
}

/**
 * Whether all of `names` are there, installed first where they must and can be; false after saying what to do.
 * Tests say who we are and where the policy lies.
 */
export function ensurePrograms(
  names = Object.keys(PROGRAMS),
  { isRoot = process.getuid?.() === 0, policy = POLICY } = {},
) {
  const missing = names.filter((name) => findProgram(name) === undefined);
  const installable = missing.filter((name) => !process.env[PROGRAMS[name].variable]);
  if (installable.length > 0 && isRoot && allOnPath('apt-get').length > 0) {
    console.error(`roomcast: ${installable.join(', ')} missing, installing with apt-get`);
    installWithApt(
      installable.map((name) => PROGRAMS[name].debian ?? name),
      policy,
    );
  }
  // What counts is whether it is there now: apt-get also fails over things that do not concern us.
  const absent = missing.filter((name) => findProgram(name) === undefined);
  for (const name of absent) console.error(`roomcast: ${advice(name)}`);
  return absent.length === 0;
}

function advice(name) {
  const { variable, version, brew, debian = name } = PROGRAMS[name];
  const named = process.env[variable];
  if (named)
    return `${variable} names ${named}, which ${isExecutable(named) ? `is not ${name} ${version}` : 'cannot be run'}`;
  return (
    `the tests need ${name} ${version}. Install it (Debian, Ubuntu: sudo apt-get install ${debian}; ` +
    `macOS: brew install ${brew}) or set ${variable} to its path. npm run test:fast does without.`
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !(name in PROGRAMS));
  if (unknown) console.error(`roomcast: no program ${unknown}; known: ${Object.keys(PROGRAMS).join(', ')}`);
  process.exitCode = !unknown && ensurePrograms(names.length > 0 ? names : undefined) ? 0 : 1;
}
