/**
 * Starts a server for a measurement and ends it again: pinned, with its output
 * kept for the error message, known by its pid alone. Whatever the bench
 * started is killed when the bench ends, however that happens.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { pinned } from './pinning.ts';

const START_MS = 20_000;
const STOP_MS = 3000;
const OUTPUT_LENGTH = 4000;
const running = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface LaunchOptions {
  readonly cores: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export class Launched {
  readonly pid: number;
  readonly #child: ChildProcess;
  #output = '';

  constructor(command: readonly string[], { cores, env, cwd }: LaunchOptions) {
    const [program = '', ...args] = pinned(cores, command);
    this.#child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.pid = this.#child.pid ?? 0;
    running.add(this.#child);
    this.#child.once('exit', () => running.delete(this.#child));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#keep(chunk.toString()));
    }
  }

  /** What it printed last. */
  get output(): string {
    return this.#output;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves with the match once its output has one. */
  async printed(pattern: RegExp, waitMs = START_MS): Promise<RegExpExecArray> {
    return this.#until(() => pattern.exec(this.#output) ?? undefined, `did not print ${pattern}`, waitMs);
  }

  /** Resolves once it accepts connections. */
  async listens(port: number, waitMs = START_MS): Promise<void> {
    const until = performance.now() + waitMs;
    while (!(await accepts(port))) {
      if (this.hasEnded || performance.now() > until) throw this.#failure(`does not listen on ${port}`);
      await delay(20);
    }
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(timer);
  }

  async #until<T>(look: () => T | undefined, failure: string, waitMs: number): Promise<T> {
    const until = performance.now() + waitMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.hasEnded || performance.now() > until) throw this.#failure(failure);
      await delay(20);
    }
  }

  #failure(what: string): Error {
    return new Error(`${this.#child.spawnargs.slice(4).join(' ')} ${what}; its output:\n${this.#output}`);
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_LENGTH);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
