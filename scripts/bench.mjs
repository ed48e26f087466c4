/**
 * `npm run bench -- <scenario>`: brings what a bench needs, compiles bench/ into
 * dist.bench/ and runs it. `--help` and mistakes on the command line are answered
 * there too, so this file knows nothing about scenarios.
 */
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled, ROOT } from './install.mjs';
import { ensurePrograms } from './programs.mjs';

const OUT = 'dist.bench';
const COMPILER = 'node_modules/@typescript/native/bin/tsc';

function compile() {
  // A file that was renamed would otherwise go on being found under its old name.
  rmSync(join(ROOT, OUT), { recursive: true, force: true });
  const { status } = spawnSync(process.execPath, [COMPILER, '-p', 'tsconfig.bench.json'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  return status === 0;
}

ensureInstalled();
if (ensurePrograms(['redis-server']) && ensureBuilt() && compile()) {
  const bench = spawn(process.execPath, [`${OUT}/bench/main.js`, ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  // It started servers: a signal that ended only this process would leave them behind.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => bench.kill(signal));
  bench.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
} else {
  process.exitCode = 1;
}
