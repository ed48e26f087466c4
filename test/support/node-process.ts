/**
 * A real node in a process of its own: started from the build as an operator
 * would, ended with real signals.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const MAIN = join(process.cwd(), 'dist/cli/main.js');
const START_MS = 15_000;

export class NodeProcess {
  readonly lines: LogLine[] = [];
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  #port = 0;
  #watchers = new Set<(line: LogLine) => void>();

  private constructor(child: ChildProcess) {
    this.child = child;
    this.exited = once(child, 'exit').then(([code]) => code as number | null);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (text) => this.#read(text));
    }
  }

  /** Starts a node, on a free port unless told one; `env` is all its settings. Who starts it, kills it. */
  static async start(env: Record<string, string> = {}, port = 0): Promise<NodeProcess> {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run npm run build first`);
    const child = spawn(process.execPath, [MAIN, 'serve', '--port', String(port), '--host', '127.0.0.1'], {
      env: { PATH: process.env['PATH'], LOG_FORMAT: 'json', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const node = new NodeProcess(child);
    const listening = await node.line((line) => line.msg === 'listening', START_MS);
    node.#port = listening['port'] as number;
    return node;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/ws`;
  }

  get http(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A log line that came already or will come. */
  line(matches: (line: LogLine) => boolean, waitMs = 10_000): Promise<LogLine> {
    const past = this.lines.find(matches);
    if (past) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const watcher = (line: LogLine) => {
        if (!matches(line)) return;
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        resolve(line);
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(watcher);
        const last = this.lines.slice(-8).map((line) => JSON.stringify(line));
        reject(new Error(`waited ${waitMs} ms for a log line; the last were\n${last.join('\n')}`));
      }, waitMs);
      this.#watchers.add(watcher);
    });
  }

  async health(): Promise<Record<string, unknown>> {
    return (await (await fetch(`${this.http}/health`)).json()) as Record<string, unknown>;
  }

  async readyStatus(): Promise<number> {
    return (await fetch(`${this.http}/ready`)).status;
  }

  /** Polls until `/ready` answers 200: the node is connected to its Redis. */
  async ready(waitMs = 10_000): Promise<this> {
    const until = performance.now() + waitMs;
    while ((await this.readyStatus()) !== 200) {
      if (performance.now() > until) throw new Error(`the node was not ready within ${waitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this;
  }

  async kill(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.exited;
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  #read(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      // Not of the logger: a crash, which a failing wait then shows.
      line = { level: 'raw', msg: text };
    }
    this.lines.push(line);
    for (const watcher of [...this.#watchers]) watcher(line);
  }
}
