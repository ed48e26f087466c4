/**
 * `for await` over messages that come by themselves. What the loop has not taken yet waits in a bounded
 * buffer: a loop that falls further behind is told so with an error, after what was kept, because a hole
 * that nobody mentions is the one thing this SDK exists to prevent.
 */
import { RoomcastError } from './errors.ts';

export class Iteration<T> implements AsyncIterableIterator<T> {
  readonly #bufferMax: number;
  readonly #onReturn: (iteration: Iteration<T>) => void;
  readonly #buffer: T[] = [];
  readonly #waiting: { resolve(result: IteratorResult<T>): void; reject(error: RoomcastError): void }[] = [];
  #over = false;
  #error: RoomcastError | undefined;

  constructor(bufferMax: number, onReturn: (iteration: Iteration<T>) => void) {
    this.#bufferMax = bufferMax;
    this.#onReturn = onReturn;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(value: T): void {
    if (this.#over) return;
    const taker = this.#waiting.shift();
    if (taker) taker.resolve({ value, done: false });
    else if (this.#buffer.length < this.#bufferMax) this.#buffer.push(value);
    else {
      const what = `the loop is ${this.#bufferMax} messages behind; its later ones were dropped`;
      this.#error = new RoomcastError('limit_exceeded', what);
      this.end();
    }
  }

  end(): void {
    this.#over = true;
    this.#onReturn(this);
    for (const taker of this.#waiting.splice(0)) taker.resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#buffer.length > 0) return Promise.resolve({ value: this.#buffer.shift() as T, done: false });
    const error = this.#error;
    this.#error = undefined;
    if (error) return Promise.reject(error);
    if (this.#over) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.#buffer.length = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }
}
