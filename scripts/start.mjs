/**
 * `npm start` on a fresh clone: installs and builds if needed, then becomes
 * `roomcast serve` with the remaining arguments. A signal is passed on once:
 * npm and the shell between may repeat what they receive, and to a server that
 * is draining a repeated signal reads as "hurry".
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled, ROOT } from './install.mjs';

const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP'];
/** What a terminal sends to the whole group by itself, with Ctrl-C and when it is closed: the server has it already. */
const OF_TERMINALS = ['SIGINT', 'SIGHUP'];
// Asked now: once the terminal is closed there is nothing to ask.
const atTerminal = isatty(0);

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
    if (forwarded || (atTerminal && OF_TERMINALS.includes(signal))) return;
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
