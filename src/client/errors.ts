/**
 * The one error of the SDK. `code` is for programs and `message` for people; the codes of the protocol are
 * the server's words, and the four others are what only a client can know.
 */
import type { ErrorFrame } from '../protocol/messages.ts';

export type RoomcastErrorCode =
  | ErrorFrame['code']
  /** There is no connection, and this is not kept until there is one. */
  | 'offline'
  /** `close()` was called, or the server said not to come back. */
  | 'closed'
  /** The outbox is full: publish more slowly, or wait for earlier ones. */
  | 'outbox_full'
  /** No reply in time. */
  | 'timeout';

export class RoomcastError extends Error {
  override readonly name = 'RoomcastError';
  readonly code: RoomcastErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: RoomcastErrorCode, message: string, retryable = false, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }
}

export function serverError({ code, message, retryable, retryAfterMs }: ErrorFrame): RoomcastError {
  return new RoomcastError(code, message, retryable, retryAfterMs);
}
