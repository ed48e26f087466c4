/**
 * What every command needs before it can import a package: a Node that is new
 * enough and a node_modules that holds what package-lock.json says. It imports
 * only Node's own modules, because on a fresh clone there is nothing else.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

const readJson = (root, path) => JSON.parse(readFileSync(join(root, path), 'utf8'));

/** Whether version `have` is at least `want`; both are dotted numbers, a missing part counts as 0. */
export function isAtLeast(have, want) {
  const [a, b] = [have, want].map((version) => version.split('.').map(Number));
  for (let part = 0; part < 3; part += 1) {
    const difference = (a[part] ?? 0) - (b[part] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Ends the process with one line when this Node is older than `engines.node` asks for. */
export function requireNode(root = ROOT, have = process.versions.node) {
  const want = readJson(root, 'package.json').engines.node.replace(/^[^\d]*/, '');
  if (isAtLeast(have, want)) return;
  console.error(
    `roomcast needs Node ${want} or newer, this is Node ${have}. Install a newer one from https://nodejs.org`,
  );
  process.exit(1);
}

/**
 * Whether node_modules holds each package at the version that the lockfile
 * names. Versions are compared rather than file times: a checkout touches the
 * lockfile without changing it, and reinstalling then would pull the packages
 * from under whatever is running. Optional packages may be absent, they belong
 * to other platforms.
 */
export function isInstalled(root = ROOT) {
  const wanted = readJson(root, 'package-lock.json').packages;
  let present;
  try {
    present = readJson(root, 'node_modules/.package-lock.json').packages;
  } catch {
    // Missing or cut short by an interrupted install: both mean "not installed".
    return false;
  }
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || present[path]?.version === entry.version,
  );
}

/** Runs `npm ci` when needed, and says so. Ends the process when that fails. */
export function ensureInstalled(root = ROOT) {
  requireNode(root);
  if (isInstalled(root)) return;
  console.error('roomcast: node_modules is missing or out of date, running npm ci');
  // npm's own output goes to stderr: stdout belongs to the command that called us.
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status === 0) return;
  console.error(`roomcast: npm ci failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) ensureInstalled();
