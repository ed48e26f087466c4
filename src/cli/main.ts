#!/usr/bin/env node
/**
 * The `roomcast` program: connects the commands to the real process. Everything of the process that a
 * command may touch goes through the one `Terminal` made here.
 */
import { hostname } from 'node:os';
import { basename, relative, sep } from 'node:path';
import { processEnvironment } from '../config.ts';
import { createLogger } from '../ops/logger.ts';
import { systemClock, systemRandom } from '../ops/system-clock.ts';
import { VERSION } from '../version.ts';
import { run } from './program.ts';
import { EXIT, type Signal, type Terminal } from './terminal.ts';

const SIGNALS: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const terminal: Terminal = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  isTerminal: process.stdout.isTTY === true,
  env: processEnvironment(),
  hostname: hostname(),
  command: calledAs(process.argv[1] ?? 'roomcast'),
  version: VERSION,
  clock: systemClock,
  random: systemRandom,
  onSignal: (handle) => {
    const listeners = SIGNALS.map((signal) => ({ signal, listener: () => handle(signal) }));
    for (const { signal, listener } of listeners) process.on(signal, listener);
    return () => {
      for (const { signal, listener } of listeners) process.off(signal, listener);
    };
  },
  onUncaught: (handle) => {
    process.on('uncaughtException', handle);
    process.on('unhandledRejection', handle);
    return () => {
      process.off('uncaughtException', handle);
      process.off('unhandledRejection', handle);
    };
  },
  exit: (code) => process.exit(code),
};

/** What to type to get here again: by npx, by an installed name, or by node in a checkout. */
function calledAs(script: string): string {
  if (script.split(sep).includes('node_modules')) return 'npx roomcast';
  return basename(script) === 'roomcast' ? 'roomcast' : `node ${relative(process.cwd(), script)}`;
}

// Whoever read our output has what they wanted (`roomcast tail lobby | head -1`): a clean end, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});
// Nobody reads our complaints; the exit code still tells.
process.stderr.on('error', () => {});

// Timers of the clock keep no process alive, but a client that waits to reconnect has nothing else open.
const alive = new MessageChannel();
alive.port1.on('message', () => {});

const code = await run(process.argv.slice(2), terminal, {
  createServer: async (options) => (await import('../server.ts')).createServer(options),
  createLogger,
});
alive.port1.close();
// Standard output may be a pipe that takes its last lines later; leaving before would cut them.
process.stdout.write('', () => process.exit(code));
