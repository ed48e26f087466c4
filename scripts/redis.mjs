/**
 * Finds the redis-server that the tests start for themselves, and installs it
 * where that is possible without asking (root on a Debian machine). It never
 * leaves the packaged service running: the tests own every Redis they use, and
 * one on the default port would hide a test that forgot to start its own.
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

/** The redis-server to use: REDIS_SERVER_BIN when set (and then only that), else the one on PATH. */
export function findRedis() {
  const named = process.env.REDIS_SERVER_BIN;
  if (named) return isExecutable(named) ? named : undefined;
  return onPath('redis-server');
}

function apt(...args) {
  return spawnSync('apt-get', ['-q', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

function installWithApt() {
  const guarded = !existsSync(POLICY);
  if (guarded) writeFileSync(POLICY, POLICY_DENIES, { mode: 0o755 });
  try {
    // The lists of a fresh image are empty; where they are not, a failed update may still do.
    apt('update');
    apt('install', '-y', '--no-install-recommends', 'redis-server');
  } finally {
    if (guarded) rmSync(POLICY, { force: true });
  }
}

/** The path of redis-server, installed first if it must and can be; undefined after saying what to do. */
export function ensureRedis() {
  const found = findRedis();
  if (found) return found;
  if (process.env.REDIS_SERVER_BIN) {
    console.error(`roomcast: REDIS_SERVER_BIN names ${process.env.REDIS_SERVER_BIN}, which cannot be run`);
    return undefined;
  }
  if (process.getuid?.() === 0 && onPath('apt-get')) {
    console.error('roomcast: redis-server is missing, installing it with apt-get');
    installWithApt();
    // What counts is whether it is there now: apt-get also fails over things that do not concern us.
    const installed = findRedis();
    if (installed) return installed;
  }
  console.error(
    'roomcast: the tests need redis-server 7.0 or newer. Install it (Debian, Ubuntu: sudo apt-get install ' +
      'redis-server; macOS: brew install redis) or set REDIS_SERVER_BIN to its path. ' +
      'npm run test:fast does without.',
  );
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = ensureRedis() ? 0 : 1;
