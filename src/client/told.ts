/**
 * Something the server shall know, the last value of which counts: a state, a read mark. It is told until
 * the server confirmed it, and again on the next connection; all callers wait for the newest value.
 */
import { type Desk, isPassing } from './desk.ts';
import { now } from './environment.ts';
import type { RoomcastError } from './errors.ts';

export class Told<T> {
  value: T | undefined;
  readonly #desk: Desk;
  readonly #frame: (value: T) => object;
  #confirmed: T | undefined;
  #due = false;
  #retryAt = 0;
  readonly #waiters = new Set<(error: RoomcastError | undefined) => void>();

  constructor(desk: Desk, frame: (value: T) => object, value?: T) {
    this.#desk = desk;
    this.#frame = frame;
    this.value = value;
  }

  set(value: T): Promise<void> {
    this.value = value;
    this.again();
    return new Promise((resolve, reject) => {
      this.#waiters.add((error) => (error ? reject(error) : resolve()));
      this.#desk.flush();
    });
  }

  /** To be told anew: a new value, or a new connection. */
  again(): void {
    this.#retryAt = 0;
    this.#due = this.value !== undefined;
  }

  /** Sends it where it is due. */
  flush(): void {
    const value = this.value as T;
    if (!this.#due || this.#retryAt > now()) return;
    this.#due = false;
    this.#desk.request(this.#frame(value), (error) => {
      if (!error) this.confirm(value);
      else if (error.code !== 'offline' && value === this.value) this.#refused(error);
    });
  }

  /** The server has this value. */
  confirm(value: T): void {
    this.#confirmed = value;
    if (value !== this.value) return;
    this.#due = false;
    this.end();
  }

  /** Lets those go who wait. */
  end(error?: RoomcastError): void {
    for (const waiter of this.#waiters) waiter(error);
    this.#waiters.clear();
  }

  #refused(error: RoomcastError): void {
    this.#due = isPassing(error);
    if (this.#due) {
      this.#retryAt = this.#desk.retryAt(error);
      return;
    }
    // Given up: told again at the next reconnect it would be refused again.
    this.value = this.#confirmed;
    this.end(error);
  }
}
