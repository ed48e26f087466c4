/**
 * Something the server shall know, the last value of which counts: a state, a read mark. It is told until
 * the server confirmed it, over any number of connections; all callers wait for the newest value. What was
 * confirmed is not told again by itself: the server keeps it, or somebody has changed it since.
 */
import { type Desk, isPassing } from './desk.ts';
import { now } from './environment.ts';
import type { RoomcastError } from './errors.ts';

export class Told<T extends object> {
  value: T | undefined;
  readonly #desk: Desk;
  readonly #frame: (value: T) => object;
  #confirmed: T | undefined;
  /** When to send it: Infinity while it is under way, and once it is confirmed. */
  #dueAt = Infinity;
  readonly #waiters = new Set<(error: RoomcastError | undefined) => void>();

  constructor(desk: Desk, frame: (value: T) => object, value?: T) {
    this.#desk = desk;
    this.#frame = frame;
    this.value = value;
  }

  /** What the server has not confirmed yet. Values are told apart as objects. */
  get open(): T | undefined {
    return this.value === this.#confirmed ? undefined : this.value;
  }

  set(value: T): Promise<void> {
    this.value = value;
    this.#dueAt = 0;
    return new Promise((resolve, reject) => {
      this.#waiters.add((error) => (error ? reject(error) : resolve()));
      this.#desk.flush();
    });
  }

  /** To be told, though it may have been confirmed: from now on it is not. */
  again(): void {
    this.#confirmed = undefined;
    this.disconnected();
  }

  /** The connection is gone, and with it the answer. */
  disconnected(): void {
    if (this.open) this.#dueAt = 0;
  }

  /** Sends it where it is due. */
  flush(): void {
    const value = this.value as T;
    if (this.#dueAt > now()) return;
    this.#dueAt = Infinity;
    this.#desk.request(this.#frame(value), (error) => {
      if (error) this.refused(error, value);
      else this.confirm(value);
    });
  }

  /** The server has this value. */
  confirm(value: T): void {
    this.#confirmed = value;
    if (value !== this.value) return;
    this.#dueAt = Infinity;
    this.end();
  }

  /** Lets those go who wait. */
  end(error?: RoomcastError): void {
    for (const waiter of this.#waiters) waiter(error);
    this.#waiters.clear();
  }

  /** The server does not take this value. */
  refused(error: RoomcastError, value: T): void {
    if (value !== this.value) return;
    if (isPassing(error)) {
      this.#dueAt = this.#desk.retryAt(error);
      return;
    }
    // Given up: told again at the next reconnect it would be refused again. Nor is the one of before told now.
    this.value = this.#confirmed;
    this.#dueAt = Infinity;
    this.end(error);
  }
}
