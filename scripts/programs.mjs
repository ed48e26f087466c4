/**
 * Finds the programs that the tests start for themselves (redis-server, haproxy,
 * chromium), and installs what is missing where that is possible without asking
 * (root on a Debian machine). It never leaves a packaged service running: the
 * tests own every server they use, and one on the default port would hide a
 * test that forgot to start its own.
 *
 * usage: node scripts/programs.mjs [redis-server haproxy chromium]
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

/** The first `name` on PATH, or undefined. */
function onPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** What the tests need beside Node: the variable that names a copy elsewhere, and how others install it. */
const PROGRAMS = {
  'redis-server': { variable: 'REDIS_SERVER_BIN', version: '7.0 or newer', brew: 'redis' },
  haproxy: { variable: 'HAPROXY_BIN', version: '2.6 or newer', brew: 'haproxy' },
  chromium: { variable: 'CHROMIUM_BIN', version: 'of any recent version', brew: '--cask chromium' },
};

/** The path of a program: the one its variable names when set (and then only that), else the one on PATH. */
export function findProgram(name) {
  const named = process.env[PROGRAMS[name].variable];
  if (named) return isExecutable(named) ? named : undefined;
  return onPath(name);
}

function apt(...args) {
  return spawnSync('apt-get', ['-q', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

function installWithApt(names) {
  const guarded = !existsSync(POLICY);
  if (guarded) writeFileSync(POLICY, POLICY_DENIES, { mode: 0o755 });
  try {
    // The lists of a fresh image are empty; where they are not, a failed update may still do.
    apt('update');
    apt('install', '-y', '--no-install-recommends', ...names);
  } finally {
    if (guarded) rmSync(POLICY, { force: true });
  }
}

/** Whether all of `names` are there, installed first where they must and can be; false after saying what to do. */
export function ensurePrograms(names = Object.keys(PROGRAMS)) {
  const missing = names.filter((name) => findProgram(name) === undefined);
  const installable = missing.filter((name) => !process.env[PROGRAMS[name].variable]);
  if (installable.length > 0 && process.getuid?.() === 0 && onPath('apt-get')) {
    console.error(`roomcast: ${installable.join(', ')} missing, installing with apt-get`);
    installWithApt(installable);
  }
  // What counts is whether it is there now: apt-get also fails over things that do not concern us.
  const absent = missing.filter((name) => findProgram(name) === undefined);
  for (const name of absent) console.error(`roomcast: ${advice(name)}`);
  return absent.length === 0;
}

function advice(name) {
  const { variable, version, brew } = PROGRAMS[name];
  if (process.env[variable]) return `${variable} names ${process.env[variable]}, which cannot be run`;
  return (
    `the tests need ${name} ${version}. Install it (Debian, Ubuntu: sudo apt-get install ${name}; ` +
    `macOS: brew install ${brew}) or set ${variable} to its path. npm run test:fast does without.`
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !(name in PROGRAMS));
  if (unknown) console.error(`roomcast: no program ${unknown}; known: ${Object.keys(PROGRAMS).join(', ')}`);
  process.exitCode = !unknown && ensurePrograms(names.length > 0 ? names : undefined) ? 0 : 1;
}
