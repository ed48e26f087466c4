/**
 * Every error code and every close code of the protocol, in one table each: the
 * server answers from it, the client decides from it whether to try again, and
 * a test compares it with the tables of docs/PROTOCOL.md. A code that is not
 * here does not exist; one that was here is never given another meaning.
 */

export type ErrorCode =
  | 'bad_request'
  | 'unsupported'
  | 'unauthorized'
  | 'forbidden'
  | 'not_joined'
  | 'too_large'
  | 'limit_exceeded'
  | 'rate_limited'
  | 'unavailable'
  | 'unknown_outcome'
  | 'internal';

export interface ErrorMeaning {
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean;
  readonly meaning: string;
}

export const ERRORS: Readonly<Record<ErrorCode, ErrorMeaning>> = {
  bad_request: {
    retryable: false,
    meaning: 'not JSON, a field missing or of the wrong type, a bad name, too deep, or a forbidden key',
  },
  unsupported: { retryable: false, meaning: 'a frame type or feature this server does not know' },
  unauthorized: { retryable: false, meaning: 'there is no identity yet' },
  forbidden: { retryable: false, meaning: 'the identity does not allow it' },
  not_joined: { retryable: false, meaning: 'the room is not joined by this connection' },
  too_large: { retryable: false, meaning: 'data over limits.payloadBytes' },
  limit_exceeded: { retryable: false, meaning: 'too many rooms, too long a batch, or too large a state' },
  rate_limited: { retryable: true, meaning: 'over a rate; retryAfterMs says when to try again' },
  unavailable: { retryable: true, meaning: 'Redis is away, or cannot do it just now; certainly not applied' },
  unknown_outcome: {
    retryable: true,
    meaning: 'no answer in time; perhaps applied, so repeat it with the same key',
  },
  internal: { retryable: true, meaning: 'a defect of the server, logged there with the id' },
};

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/**
 * Close codes by name. 1000–1015 are those of RFC 6455 section 7.4.1 and the
 * IANA registry; 4000–4499 are ours and mean "reconnect", 4500–4999 are ours
 * and mean "do not".
 */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  invalidUtf8: 1007,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  drain: 1012,
  overload: 1013,
  noHello: 4001,
  tokenExpired: 4005,
  rateLimited: 4008,
  tooSlow: 4009,
  badToken: 4501,
  forbidden: 4503,
  badFrames: 4508,
  connectionLimit: 4509,
  disconnected: 4510,
} as const;

export type CloseName = keyof typeof CLOSE;
export type CloseCode = (typeof CLOSE)[CloseName];

/**
 * What a client does after the close. `now`: at once, within the spread of
 * `welcome.reconnect`. `after`: at the time `closing.afterMs` named, and where
 * nothing was named with growing pauses. `never`: the same would happen again.
 */
export type Reconnect = 'now' | 'after' | 'never';

export interface CloseMeaning {
  readonly name: CloseName;
  readonly meaning: string;
  readonly reconnect: Reconnect;
}

const MEANINGS: Readonly<Record<CloseCode, CloseMeaning>> = {
  1000: { name: 'normal', reconnect: 'never', meaning: 'the client said goodbye' },
  1001: {
    name: 'goingAway',
    reconnect: 'after',
    meaning: 'one side goes away: a page closed, a process ended',
  },
  1002: { name: 'protocolError', reconnect: 'after', meaning: 'the WebSocket framing was broken' },
  1003: {
    name: 'unsupportedData',
    reconnect: 'never',
    meaning: 'a binary frame; only text frames are spoken',
  },
  1007: { name: 'invalidUtf8', reconnect: 'after', meaning: 'a text frame that is not UTF-8' },
  1008: { name: 'policy', reconnect: 'never', meaning: 'a message in too many fragments' },
  1009: { name: 'tooBig', reconnect: 'never', meaning: 'a frame over 64 KB; sent again it is refused again' },
  1011: { name: 'internal', reconnect: 'after', meaning: 'a defect of the server' },
  1012: {
    name: 'drain',
    reconnect: 'after',
    meaning: 'the node is being drained or the connection is old; reconnect when closing told',
  },
  1013: { name: 'overload', reconnect: 'after', meaning: 'the node has too much to do; back off' },
  4001: { name: 'noHello', reconnect: 'after', meaning: 'no first frame in time' },
  4005: { name: 'tokenExpired', reconnect: 'now', meaning: 'the token expired; come back with a new one' },
  4008: { name: 'rateLimited', reconnect: 'after', meaning: 'over a rate for too many seconds in a row' },
  4009: { name: 'tooSlow', reconnect: 'now', meaning: 'the peer did not read for too long' },
  4501: { name: 'badToken', reconnect: 'never', meaning: 'the token is not valid' },
  4503: { name: 'forbidden', reconnect: 'never', meaning: 'the identity may not connect' },
  4508: { name: 'badFrames', reconnect: 'never', meaning: 'too many bad frames' },
  4509: { name: 'connectionLimit', reconnect: 'never', meaning: 'the user has too many connections' },
  4510: { name: 'disconnected', reconnect: 'never', meaning: 'an operator ended the connection' },
};

/** By code: exact for the codes in `CLOSE`, possibly undefined for any other number. */
export const CLOSES: Readonly<Record<CloseCode, CloseMeaning> & Record<number, CloseMeaning | undefined>> =
  MEANINGS;

/**
 * What a client does after a close that no `closing` frame explained. Codes not
 * in the table follow their range, so that a client of today treats a code of
 * tomorrow rightly; 1005 and 1006 (no code at all: a cable pulled) are `now`.
 */
export function reconnectAfter(code: number): Reconnect {
  const known = CLOSES[code];
  if (known !== undefined) return known.reconnect;
  if (code >= 4500 && code <= 4999) return 'never';
  return code === 1005 || code === 1006 ? 'now' : 'after';
}
