/**
 * `npm run check`: everything that can be said about the code without running
 * it. Each step is one line with its time; all of them run even when one
 * fails, so that one run shows all there is to repair.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureInstalled, ROOT } from './install.mjs';

const tool = (path) => join('node_modules', path);

/** name -> what node runs */
const STEPS = {
  format: [tool('@biomejs/biome/bin/biome'), 'format', '.', '--reporter=summary'],
  lint: [tool('oxlint/bin/oxlint'), '--type-aware', '--deny-warnings', '--report-unused-disable-directives'],
  types: [tool('@typescript/native/bin/tsc'), '--noEmit', '-p', 'tsconfig.json'],
  // What runs in a browser has a document and no process: types of its own.
  pages: [tool('@typescript/native/bin/tsc'), '--noEmit', '-p', 'src/admin/tsconfig.json'],
  browser: [tool('@typescript/native/bin/tsc'), '--noEmit', '-p', 'test/browser/tsconfig.json'],
  layers: ['scripts/layers.mjs'],
  texts: ['scripts/texts.mjs'],
  unused: [tool('knip/bin/knip.js'), '--no-progress', '--no-config-hints'],
  lockfile: ['scripts/lockfile.mjs', '--check'],
  docs: ['scripts/docs.mjs', '--check'],
};

ensureInstalled();
const failed = [];
for (const [name, command] of Object.entries(STEPS)) {
  const startedMs = performance.now();
  const { status, stdout, stderr, error } = spawnSync(process.execPath, command, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(9)} ${seconds} s`);
  if (status === 0) continue;
  failed.push(name);
  console.log(`${error?.message ?? ''}${stdout}${stderr}`.trimEnd());
}
console.log(failed.length === 0 ? 'check: nothing to repair' : `check: repair ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
