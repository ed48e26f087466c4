/**
 * What a room or an inbox asks of its client. A port, so that they neither know nor hold the client, and a
 * test can hand them a desk of its own.
 */
import type { PublishOptions, Receipt } from './api.ts';
import type { RoomcastError } from './errors.ts';
import type { Outbox } from './outbox.ts';
import type { Answer, Reply } from './requests.ts';

export interface Desk {
  readonly outbox: Outbox;
  /** Sends with an id. The answer comes in the turn of the reply; `offline` at once where there is no connection. */
  request(frame: object, answer: Answer): void;
  /** The same as a promise. */
  ask(frame: object): Promise<Reply>;
  enqueue(target: string, data: unknown, options?: PublishOptions): Promise<Receipt>;
  /** When to try again what was refused for the moment. Sees to it that a flush comes then. */
  retryAt(error: RoomcastError): number;
  /** Something may be due: look at everything. */
  flush(): void;
  forget(room: string): void;
  report(error: RoomcastError): void;
  /** The connection behaves as none of ours does: a new one is safer. */
  drop(): void;
}

/** Whether the server may do it later, or on the next connection: then it is tried again rather than given up. */
export function isPassing(error: RoomcastError): boolean {
  return error.retryable || error.code === 'unauthorized';
}
