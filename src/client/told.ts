/**
 * Something the server shall know, the last value of which counts: a state, a read mark. It is told until
 * the server confirmed it, and again on the next connection; all callers wait for the newest value.
 */
import { type Desk, isPassing } from './desk.ts';
import type { RoomcastError } from './errors.ts';

export class Told<T> {
  value: T | undefined;
  readonly #desk: Desk;
  readonly #frame: (value: T) => object;
  #confirmed: T | undefined;
  #status: 'waiting' | 'asked' | 'told' = 'told';
  #attempts = 0;
  #retryAt = 0;
  #waiters: { resolve(): void; reject(error: RoomcastError): void }[] = [];

  constructor(desk: Desk, frame: (value: T) => object) {
    this.#desk = desk;
    this.#frame = frame;
  }

  set(value: T): Promise<void> {
    this.value = value;
    this.again();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#desk.flush();
    });
  }

  /** To be told anew: a new connection. */
  again(): void {
    this.#retryAt = 0;
    if (this.value !== undefined) this.#status = 'waiting';
  }

  /** Sends it where it is due. */
  flush(): void {
    const { value } = this;
    if (this.#status !== 'waiting' || value === undefined || this.#retryAt > this.#desk.now()) return;
    this.#status = 'asked';
    this.#desk.request(this.#frame(value), (_reply, error) => {
      if (error === undefined) this.confirm(value);
      else if (error.code !== 'offline') this.#refused(value, error);
    });
  }

  /** The server has this value. */
  confirm(value: T): void {
    this.#confirmed = value;
    if (value !== this.value) return;
    this.#status = 'told';
    this.#attempts = 0;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  fail(error: RoomcastError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  nextAt(): number | undefined {
    return this.#status === 'waiting' ? this.#retryAt : undefined;
  }

  #refused(value: T, error: RoomcastError): void {
    if (value !== this.value) return;
    if (isPassing(error)) {
      this.#attempts += 1;
      this.#retryAt = this.#desk.retryAt(this.#attempts, error);
      this.#status = 'waiting';
      return;
    }
    // Given up: told again at the next reconnect it would be refused again.
    this.value = this.#confirmed;
    this.#status = 'told';
    this.fail(error);
  }
}
