/**
 * What a command sees of the process it runs in: two streams of lines, signals, time and chance. Commands
 * take it as an argument, so that tests run them without a process, and main.ts alone touches the real one.
 */
import type { Clock, Random } from '../core/clock.ts';

export interface Terminal {
  /** One line to standard output: results, nothing else. */
  out(line: string): void;
  /** One line to standard error: what a person should know, prefixed by the caller. */
  err(line: string): void;
  /** Whether people read standard output. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  /** How this program was called, for lines to try: `npx roomcast`. */
  readonly command: string;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Calls `run` for every SIGINT, SIGTERM or SIGHUP. Returns the way to stop listening. */
  onSignal(run: (signal: Signal) => void): () => void;
  /** Calls `run` for what nobody caught. Returns the way to stop listening. */
  onUncaught(run: (error: unknown) => void): () => void;
  /** Ends the process now. For what cannot wait; everything else returns its exit code. */
  exit(code: number): void;
}

export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The exit codes of every command, as its help lists them. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** It did not work: one line on standard error, exit code 1. */
export class Failure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Failure';
  }
}

/** It was called wrongly: one line on standard error, exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
