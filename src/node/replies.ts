/** The short frames a connection is sent directly: `ok`, `error`, `closing`. */
import type { Connection } from '../core/connection.ts';
import { CLOSES, type CloseCode, ERRORS, type ErrorCode, type Reconnect } from '../protocol/codes.ts';
import { encodeFrame } from '../protocol/encode.ts';

export type RequestId = string | number;

export interface ErrorReply {
  readonly code: ErrorCode;
  readonly message: string;
  readonly id?: RequestId | undefined;
  readonly room?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

export function sendError(connection: Connection, error: ErrorReply): void {
  const { id, code, message, retryAfterMs, room } = error;
  const { retryable } = ERRORS[code];
  connection.send(encodeFrame({ type: 'error', id, code, message, retryable, retryAfterMs, room }));
}

/** Says why and whether to come back (as the code says, unless told), then closes. PROTOCOL "closing". */
export function closeWith(
  connection: Connection,
  code: CloseCode,
  reason: string,
  reconnect: Reconnect = CLOSES[code].reconnect,
): void {
  connection.send(encodeFrame({ type: 'closing', code, reason, reconnect }));
  connection.close(code, reason);
}
