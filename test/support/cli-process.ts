/** A command line as people run it: a process of its own, its lines as they come, its exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

/** Generous: a process that starts on a busy machine may take seconds for what takes half of one. */
const WAIT_MS = 40_000;
export const PROCESS_TEST_MS = 120_000;
export const ROOT = new URL('../..', import.meta.url).pathname;
/** What README.md tells to run, from the root of a checkout. */
const MAIN = 'dist/cli/main.js';

export class CliProcess {
  readonly child: ChildProcess;
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly exited: Promise<number | null>;
  readonly #watchers = new Set<() => void>();

  private constructor(child: ChildProcess) {
    this.child = child;
    // `close`, not `exit`: only then has everything that was printed arrived.
    this.exited = once(child, 'close').then(([code]) => {
      for (const watch of this.#watchers) watch();
      return code as number | null;
    });
    this.#collect(child.stdout, this.out);
    this.#collect(child.stderr, this.err);
  }

  /** Killed when the test ends, if it still runs then. The environment is PATH and what is given. */
  static start(
    program: string,
    words: readonly string[],
    env: Record<string, string> = {},
    cwd = ROOT,
  ): CliProcess {
    const child = spawn(program, words, { cwd, env: { PATH: process.env['PATH'], ...env } });
    const started = new CliProcess(child);
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await started.exited;
    });
    return started;
  }

  static roomcast(...words: string[]): CliProcess {
    return CliProcess.start(process.execPath, [MAIN, ...words]);
  }

  /** Waits for a line of standard output or error that contains the text. */
  async line(text: string, waitMs = WAIT_MS): Promise<string> {
    return await new Promise((resolve, reject) => {
      const fail = (why: string) =>
        reject(new Error(`"${text}" ${why}:\n${[...this.out, ...this.err].join('\n')}`));
      const deadline = setTimeout(() => fail('did not come'), waitMs);
      const look = (): void => {
        const found = [...this.out, ...this.err].find((line) => line.includes(text));
        const ended = this.child.exitCode !== null || this.child.signalCode !== null;
        if (found === undefined && !(ended && this.child.stdout?.readableEnded)) return;
        clearTimeout(deadline);
        this.#watchers.delete(look);
        if (found === undefined) fail('did not come before the end');
        else resolve(found);
      };
      this.#watchers.add(look);
      look();
    });
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  #collect(stream: NodeJS.ReadableStream | null, lines: string[]): void {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      for (const watch of this.#watchers) watch();
    });
  }
}

export interface Serving {
  readonly process: CliProcess;
  readonly port: number;
  readonly url: string;
}

/** `roomcast serve --port 0` on loopback, once it listens. */
export async function startServing(
  words: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Serving> {
  const process_ = CliProcess.start(
    process.execPath,
    [MAIN, 'serve', '--port', '0', '--host', '127.0.0.1', ...words],
    env,
  );
  const { port, url } = JSON.parse(await process_.line('"listening"')) as { port: number; url: string };
  return { process: process_, port, url };
}

/** Until the server counts a member: what is said next must find somebody there. */
export async function waitForMember(port: number): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as { rooms: number };
    if (health.rooms > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('no client joined a room');
}
