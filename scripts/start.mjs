/**
 * `npm start` on a fresh clone: installs and builds if needed, then becomes
 * `roomcast serve` with the remaining arguments. A signal is passed on once:
 * npm and the shell between may repeat what they receive, and to a server that
 * is draining a repeated signal reads as "hurry".
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled, ROOT } from './install.mjs';

const FORWARDED = ['SIGTERM', 'SIGINT'];

ensureInstalled();
if (!ensureBuilt()) {
  console.error('roomcast: the build failed');
  process.exit(1);
}

const server = spawn(process.execPath, [join(ROOT, 'dist/cli/main.js'), 'serve', ...process.argv.slice(2)], {
  stdio: 'inherit',
});

let forwarded = false;
for (const signal of FORWARDED) {
  process.on(signal, () => {
    // A Ctrl-C at a terminal reaches the server by itself: the terminal sends it to the whole group.
    if (forwarded || (signal === 'SIGINT' && process.stdin.isTTY)) return;
    forwarded = true;
    server.kill(signal);
  });
}

server.on('error', (error) => {
  console.error(`roomcast: cannot start ${process.execPath}: ${error.message}`);
  process.exit(1);
});
server.on('exit', (code, signal) => {
  process.exit(code ?? 128 + constants.signals[signal]);
});
