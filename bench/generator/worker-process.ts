/** The bench's end of a worker process: started on its cores, asked by promise, ended by its own pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pinned } from '../machine/pinning.ts';
import type { Orders, Reply, Request } from './orders.ts';

const MAIN = fileURLToPath(new URL('./worker-main.js', import.meta.url));
const HEAP = '--max-semi-space-size=64';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  constructor(cores: readonly number[]) {
    const [program = '', ...args] = pinned(cores, [process.execPath, HEAP, MAIN]);
    this.#child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#child.on('message', (message) => this.#answered(message as Reply));
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`a worker ended with ${code ?? signal}`));
      this.#waiting.clear();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ask<O extends keyof Orders>(
    order: O,
    ...args: Parameters<Orders[O]>
  ): Promise<Awaited<ReturnType<Orders[O]>>> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // Sound because worker-main.ts answers an order with what its method of `Orders` returned.
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      const request: Request = { id, order, argument: args[0] };
      this.#child.send(request, (error) => {
        if (error) this.#answered({ id, error: error.message });
      });
    });
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #answered({ id, result, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }
}
