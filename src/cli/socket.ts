/**
 * The one WebSocket of a client command, and the only place of the CLI that knows the library behind it.
 * It turns what can go wrong while connecting into a sentence that says what to do.
 */
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../protocol/limits.ts';

/** Called in the order things happen; `closed` once and last, also where the connection never opened. */
export interface SocketEvents {
  opened(): void;
  text(text: string): void;
  /** The peer gave a sign of life: a message or a ping. */
  heard(): void;
  closed(end: SocketEnd): void;
}

export interface SocketEnd {
  /** 1006 where the connection ended without a close frame. */
  readonly code: number;
  readonly reason: string;
  /** Set where the connection never opened: why, and what to do. */
  readonly refused?: string;
}

export interface Socket {
  send(text: string): void;
  /** Starts the closing handshake; after 2 s without an answer the socket is destroyed. */
  close(): void;
  /** Ends it by force: the peer is gone. */
  terminate(): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2000;
/** A `joined` carries at most 1 MiB of messages by default; the rest is headroom for other settings. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024;

export function openSocket(url: string, events: SocketEvents): Socket {
  // A constant of its own, because the types of the library miss `closeTimeout`.
  const options = {
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
  };
  const socket = new WebSocket(url, SUBPROTOCOL, options);
  let opened = false;
  let problem: string | undefined;
  socket.on('open', () => {
    opened = true;
    events.opened();
  });
  socket.on('message', (data, isBinary) => {
    events.heard();
    if (!isBinary && Buffer.isBuffer(data)) events.text(data.toString('utf8'));
  });
  socket.on('ping', () => events.heard());
  socket.on('unexpected-response', (_request, response) => {
    problem = answered(response.statusCode ?? 0);
    // With this listener the library leaves ending the attempt to us; without it `closed` never comes.
    socket.terminate();
  });
  // Always followed by `close`, which reports it. Without a listener the process would end here.
  socket.on('error', (error) => {
    problem ??= advice(error);
  });
  socket.on('close', (code, reason) => {
    const end = { code, reason: reason.toString('utf8') };
    events.closed(opened ? end : { ...end, refused: problem ?? 'the connection was closed while opening' });
  });
  return {
    send: (text) => socket.send(text),
    close: () => socket.close(1000),
    terminate: () => socket.terminate(),
  };
}

function answered(status: number): string {
  switch (status) {
    case 404:
      return 'there is no WebSocket at that path (HTTP 404); the default path is /ws';
    case 429:
      return 'this address has too many connections (HTTP 429)';
    case 503:
      return 'the server takes no new connections now (HTTP 503): it is draining or overloaded; try again later';
    default:
      return `the server refused the WebSocket (HTTP ${status})`;
  }
}

function advice(error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there; start a server with `roomcast serve`, or name another with --url';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'no such host; name another with --url';
    case 'EPROTO':
      return 'the server does not speak TLS there; use ws:// instead of wss://';
    default:
      return error.message;
  }
}
