/**
 * Builds src/ into dist/: compiles, bundles what browsers load, copies the Lua scripts, and leaves a stamp
 * that names the newest source it saw, by which `isStale` tells a build that
 * no longer matches. The output is made beside dist/ and swapped in at the
 * end, so a failed build leaves the last good one, and the output of a deleted
 * source file does not live on.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleClient } from './client-bundle.mjs';
import { ensureInstalled, ROOT } from './install.mjs';
import { bundlePages } from './pages.mjs';

const INPUTS = [
  'src',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/build.mjs',
  'scripts/client-bundle.mjs',
  'scripts/pages.mjs',
];
const STAMP = '.built';
const LUA = 'broker/redis/lua';

/** The newest modification time under `path`, in ms. Folders count: deleting a file changes only them. */
function newestMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}

const inputsMs = (root) =>
  Math.max(
    ...INPUTS.map((path) => join(root, path))
      .filter(existsSync)
      .map(newestMs),
  );

/** Whether dist/ was built from something other than the present sources. */
export function isStale(root = ROOT) {
  const stamp = join(root, 'dist', STAMP);
  return !existsSync(stamp) || Number(readFileSync(stamp, 'utf8')) !== inputsMs(root);
}

/** Replaces dist/. Returns whether it succeeded; the compiler's messages go to stderr. */
export function build(root = ROOT) {
  // Taken before compiling: a file saved meanwhile must make the result stale.
  const builtFromMs = inputsMs(root);
  const out = join(root, `dist.${process.pid}`);
  try {
    const tsc = join(root, 'node_modules/@typescript/native/bin/tsc');
    const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', out], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    if (status !== 0) return false;
    writeFileSync(join(out, 'client/roomcast.min.js'), bundleClient(root));
    const lua = join(root, 'src', LUA);
    if (existsSync(lua)) {
      mkdirSync(join(out, LUA), { recursive: true });
      const scripts = readdirSync(lua).filter((name) => name.endsWith('.lua'));
      for (const name of scripts) cpSync(join(lua, name), join(out, LUA, name));
    }
    if (!bundlePages(root, out)) return false;
    const main = join(out, 'cli/main.js');
    if (existsSync(main)) chmodSync(main, 0o755);
    writeFileSync(join(out, STAMP), String(builtFromMs));
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    renameSync(out, join(root, 'dist'));
    return true;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Builds only when needed, and says so. Returns whether dist/ is now current. */
export function ensureBuilt(root = ROOT) {
  if (!isStale(root)) return true;
  console.error('roomcast: dist is missing or out of date, building');
  return build(root);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  ensureInstalled();
  process.exitCode = build() ? 0 : 1;
}
