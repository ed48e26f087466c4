/**
 * The port through which everything of ours meets time and chance. Code that
 * takes a `Clock` can be tested without sleeping, and a wall clock set back by
 * an operator cannot stretch a timeout: all waits are measured on `now()`.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back. */
  now(): number;
  /** Milliseconds since 1970. For people and the wire only, never for waits. */
  wallMs(): number;
  /** Calls `run` once after `ms`. The timer does not keep the process alive. */
  after(ms: number, run: () => void): Timer;
  /** Calls `run` every `ms` until cancelled. The timer does not keep the process alive. */
  every(ms: number, run: () => void): Timer;
  /** Calls `run` once when the present turn of the event loop has handled its I/O. */
  afterTurn(run: () => void): void;
}

export interface Timer {
  cancel(): void;
}

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** A new connection or node id: uuid v7, so that ids sort by birth. */
  id(): string;
  /** 20 hexadecimal characters nobody can guess: incarnations and seeds of epochs. */
  token(): string;
}
