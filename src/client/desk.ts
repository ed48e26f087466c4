/**
 * What a room or an inbox asks of its client. A port, so that they neither know nor hold the client, and a
 * test can hand them a desk of its own.
 */
import type { PublishOptions, Receipt, Welcome } from './api.ts';
import type { RoomcastError } from './errors.ts';
import type { Outbox } from './outbox.ts';
import type { Answer, Reply } from './requests.ts';

export interface Desk {
  readonly outbox: Outbox;
  /** The last one. */
  readonly welcome: Welcome | undefined;
  /**
   * Sends what is told again on the next connection. The answer comes in the turn of the reply; none comes
   * where the connection ends before, or where there is none.
   */
  request(frame: object, answer: Answer): void;
  /** Sends what is not kept. Rejects with `offline` or `timeout` where no reply comes. */
  ask(frame: object): Promise<Reply>;
  enqueue(target: string, data: unknown, options?: PublishOptions): Promise<Receipt>;
  /** When to try again what was refused for the moment. Sees to it that a flush comes then. */
  retryAt(error: Pick<RoomcastError, 'retryAfterMs'>): number;
  /** Something may be due: look at everything. */
  flush(): void;
  forget(room: string): void;
  report(error: RoomcastError): void;
}

/** Whether the server may do it later, or on the next connection: then it is tried again rather than given up. */
export function isPassing(error: RoomcastError): boolean {
  return error.retryable || error.code === 'unauthorized';
}
