/**
 * The process as a command sees it, without a process: lines are kept, signals are sent by the test, and
 * chance is always 0, so that a reconnect waits for nothing.
 */
import type { Clock } from '../../src/core/clock.ts';
import { run } from '../../src/cli/program.ts';
import type { ServeParts } from '../../src/cli/serve.ts';
import type { Signal, Terminal } from '../../src/cli/terminal.ts';
import { systemClock } from '../../src/ops/system-clock.ts';

const WAIT_MS = 10_000;

export class TestTerminal implements Terminal {
  readonly outLines: string[] = [];
  readonly errLines: string[] = [];
  readonly exits: number[] = [];
  isTerminal = false;
  env: Record<string, string | undefined> = {};
  readonly hostname = 'test-host';
  readonly command = 'roomcast';
  readonly version = '9.9.9';
  readonly random = { fraction: () => 0, id: () => 'id', token: () => 'token' };
  clock: Clock = systemClock;
  readonly #signal = new Set<(signal: Signal) => void>();
  readonly #uncaught = new Set<(error: unknown) => void>();
  readonly #watchers = new Set<() => void>();

  out(line: string): void {
    this.outLines.push(line);
    for (const watch of this.#watchers) watch();
  }

  err(line: string): void {
    this.errLines.push(line);
    for (const watch of this.#watchers) watch();
  }

  onSignal(handle: (signal: Signal) => void): () => void {
    this.#signal.add(handle);
    return () => this.#signal.delete(handle);
  }

  onUncaught(handle: (error: unknown) => void): () => void {
    this.#uncaught.add(handle);
    return () => this.#uncaught.delete(handle);
  }

  exit(code: number): void {
    this.exits.push(code);
  }

  signal(signal: Signal): void {
    if (this.#signal.size === 0) throw new Error(`nobody listens for ${signal}`);
    for (const handle of this.#signal) handle(signal);
  }

  crash(error: unknown): void {
    for (const handle of this.#uncaught) handle(error);
  }

  get listeners(): number {
    return this.#signal.size + this.#uncaught.size;
  }

  /** Waits for a line of standard error, or of standard output, that contains the text. */
  async errLine(text: string): Promise<string> {
    return await this.#line(this.errLines, text);
  }

  async outLine(text: string): Promise<string> {
    return await this.#line(this.outLines, text);
  }

  async #line(lines: readonly string[], text: string): Promise<string> {
    const all = (): string => [...this.outLines, ...this.errLines].join('\n');
    return await new Promise((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new Error(`"${text}" was not printed, but:\n${all()}`)),
        WAIT_MS,
      );
      const look = (): void => {
        const found = lines.find((line) => line.includes(text));
        if (found === undefined) return;
        clearTimeout(deadline);
        this.#watchers.delete(look);
        resolve(found);
      };
      this.#watchers.add(look);
      look();
    });
  }
}

const NO_SERVER: ServeParts = {
  createServer: () => Promise.reject(new Error('this test serves nothing')),
  createLogger: () => {
    throw new Error('this test serves nothing');
  },
};

/** Runs one command line in this process. */
export function runIn(
  terminal: TestTerminal,
  words: readonly string[],
  parts: ServeParts = NO_SERVER,
): Promise<number> {
  return run(words, terminal, parts);
}
