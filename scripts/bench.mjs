/** `npm run bench -- <scenario>`: brings what a bench needs, compiles bench/ into dist.bench/ and runs it. */
import { spawnSync } from 'node:child_process';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled, ROOT } from './install.mjs';
import { ensureRedis } from './redis.mjs';

const run = (...args) => spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;

ensureInstalled();
const ready = ensureRedis() !== undefined && ensureBuilt();
const compiled = ready && run('node_modules/@typescript/native/bin/tsc', '-p', 'tsconfig.bench.json') === 0;
process.exitCode = compiled ? run('dist.bench/bench/main.js', ...process.argv.slice(2)) : 1;
