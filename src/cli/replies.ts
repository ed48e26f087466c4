/**
 * Matches replies to requests by `id`. A request ends in exactly one way: its reply, an `error`, the end
 * of the connection, or silence for too long.
 */
import type { Clock, Timer } from '../core/clock.ts';
import { safeText } from '../ops/redact.ts';
import type { ClientFrame, ErrorFrame, ServerFrame } from '../protocol/messages.ts';
import { Failure } from './terminal.ts';

type WithoutId<F> = F extends ClientFrame ? Omit<F, 'id'> : never;
/** A frame as commands write it; the `id` is added on the way. */
export type Request = WithoutId<ClientFrame>;

/** The server answered a request with `error`. */
export class Refused extends Failure {
  readonly frame: ErrorFrame;

  constructor(frame: ErrorFrame) {
    super(`${frame.code}: ${safeText(frame.message, 1024)}${frame.retryable ? ' (may be tried again)' : ''}`);
    this.name = 'Refused';
    this.frame = frame;
  }
}

/** The connection stands, but the server says nothing. */
export class Unanswered extends Failure {
  constructor(type: string) {
    super(`no answer to ${type} in ${REPLY_TIMEOUT_MS / 1000} s: is it a roomcast server?`);
    this.name = 'Unanswered';
  }
}

interface Waiting {
  resolve(frame: ServerFrame): void;
  reject(error: Error): void;
  readonly timer: Timer;
}

const REPLY_TIMEOUT_MS = 15_000; // above the 5 s for which a server itself retries a publish
const WAITING_MAX = 64;

export class Replies {
  readonly #clock: Clock;
  readonly #send: (text: string) => void;
  readonly #waiting = new Map<string, Waiting>();
  #lastId = 0;

  constructor(clock: Clock, send: (text: string) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Rejects with `Refused` where the server refuses, with `Unanswered` or `Failure` where no reply comes. */
  request(frame: Request): Promise<ServerFrame> {
    if (this.#waiting.size >= WAITING_MAX) {
      return Promise.reject(new Failure(`more than ${WAITING_MAX} requests wait for an answer`));
    }
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(REPLY_TIMEOUT_MS, () => {
        this.#waiting.delete(id);
        reject(new Unanswered(frame.type));
      });
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send(JSON.stringify({ ...frame, id }));
    });
  }

  /** Takes every frame; those that answer nothing are left alone. */
  settle(frame: ServerFrame): void {
    const one = 'id' in frame && frame.id !== undefined ? this.#take(String(frame.id)) : undefined;
    if (frame.type === 'error') one?.reject(new Refused(frame));
    else one?.resolve(frame);
  }

  fail(error: Error): void {
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(error);
  }

  #take(id: string): Waiting | undefined {
    const one = this.#waiting.get(id);
    one?.timer.cancel();
    this.#waiting.delete(id);
    return one;
  }
}
