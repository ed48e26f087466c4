/**
 * What the suite needs of the world: a WebSocket that can also misbehave, a clock, fresh names, and the
 * operator's hand. All of it is passed in, so the suite runs in a test, in the command and behind any
 * WebSocket library. Nothing of the protocol is in here.
 */

export interface WireOptions {
  /** Subprotocols to offer; none where empty. */
  readonly protocols: readonly string[];
  /** Whether WebSocket pings are answered, as every honest peer does. */
  readonly answerPings: boolean;
}

/** Called in the order things happen; `closed` once and last, also where the connection never opened. */
export interface WireEvents {
  opened(agreed: { readonly protocol: string; readonly extensions: string }): void;
  text(text: string): void;
  binary(bytes: number): void;
  pinged(): void;
  closed(end: WireEnd): void;
}

export interface WireEnd {
  /** 1006 where the connection ended without a close frame, 1005 where the frame had no code. */
  readonly code: number;
  readonly reason: string;
  /** Set where the connection never opened: why, and the status where HTTP answered. */
  readonly refused?: { readonly status?: number; readonly problem: string };
}

export interface Wire {
  send(text: string): void;
  /** One text message in these pieces. */
  sendFragments(pieces: readonly string[]): void;
  sendBinary(bytes: Uint8Array): void;
  /** A text message of bytes that need not be UTF-8. */
  sendTextBytes(bytes: Uint8Array): void;
  /** Bytes past the WebSocket layer, for framing that no library would send. */
  sendRaw(bytes: Uint8Array): void;
  /** Stops reading, until `resume`: a slow consumer. */
  pause(): void;
  resume(): void;
  close(): void;
  /** As a pulled cable: no closing handshake. */
  terminate(): void;
}

export type OpenWire = (url: string, options: WireOptions, events: WireEvents) => Wire;

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  after(ms: number, run: () => void): Timer;
}

/** What only the operator can do. Each resolves when it is done; a part of the suite is skipped without it. */
export interface Hooks {
  /** Drains one node: what SIGTERM does. */
  readonly drain?: () => Promise<void>;
  /** Stops one node at once, without a drain: what SIGINT does. */
  readonly nodeStop?: () => Promise<void>;
  /** Ends one node without a word, as a crash or a power cut would: SIGKILL. */
  readonly nodeKill?: () => Promise<void>;
  /** Starts the node again that was stopped or killed. */
  readonly nodeStart?: () => Promise<void>;
  readonly redisStop?: () => Promise<void>;
  readonly redisStart?: () => Promise<void>;
  /** Removes the data of a Redis that is stopped. */
  readonly redisEmpty?: () => Promise<void>;
  /** Redis takes commands and answers none: SIGSTOP. */
  readonly redisPause?: () => Promise<void>;
  readonly redisResume?: () => Promise<void>;
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
