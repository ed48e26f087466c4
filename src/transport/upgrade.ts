/**
 * Whether an HTTP request may become a WebSocket, and the answer where it may
 * not. The decision is pure, about the request line and headers only (RFC 6455
 * section 4.2.1), and made before any state exists for the connection. Limits of
 * connections and rates are the listener's.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { BEARER_PREFIX, SUBPROTOCOL } from '../protocol/limits.ts';

export const WS_PATH = '/ws';
/** Headers of one request. Node drops what is beyond its own limit in silence; a header dropped may be the token. */
export const HEADERS_MAX = 64;

export interface UpgradeRefusal {
  readonly status: 400 | 403 | 404 | 405 | 426 | 429 | 431 | 503;
  readonly message: string;
}

/** Headers a status must have (RFC 9110 sections 15.5.6, 15.5.22, 10.2.3). */
const HEADERS_OF: Readonly<Partial<Record<UpgradeRefusal['status'], readonly string[]>>> = {
  405: ['Allow: GET'],
  426: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  429: ['Retry-After: 2'],
  503: ['Retry-After: 2'],
};

/**
 * `origins`: the pages that may connect; undefined = any. A browser sends the cookies of this host along with a
 * WebSocket that a page of anybody opens, and no rule of the browser stands against that: only this check does.
 * Who sends no origin is no browser, and has no cookies of others.
 */
export function refuseUpgrade(
  request: IncomingMessage,
  origins: ReadonlySet<string> | undefined,
): UpgradeRefusal | undefined {
  // First, because a proxy forwards any upgrade (h2c) on any path.
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    return { status: 400, message: 'the only upgrade here is websocket' };
  }
  const path = (request.url ?? '').split('?', 1)[0];
  if (path !== WS_PATH) return { status: 404, message: `WebSockets are at ${WS_PATH}` };
  if (request.method !== 'GET') return { status: 405, message: 'a WebSocket begins with GET' };
  // Of a request that has a body, newer releases of Node hand over a stream that is no socket.
  const { 'content-length': bodyBytes = '0', 'transfer-encoding': coding } = request.headers;
  if (bodyBytes !== '0' || coding !== undefined) {
    return { status: 400, message: 'a request for a WebSocket has no body' };
  }
  if (request.rawHeaders.length > 2 * HEADERS_MAX) {
    return { status: 431, message: `a request has at most ${HEADERS_MAX} headers` };
  }
  // Version 8 puts the origin into another header, which no check of ours would read.
  if (request.headers['sec-websocket-version'] !== '13') {
    return { status: 426, message: 'WebSocket version 13 is spoken here' };
  }
  const { origin } = request.headers;
  if (origins && origin !== undefined && !origins.has(origin)) {
    return {
      status: 403,
      message: 'pages of this origin may not connect; ALLOWED_ORIGINS names those that may',
    };
  }
  const offered = offeredProtocols(request);
  if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
    return { status: 400, message: `the subprotocol here is ${SUBPROTOCOL}; offer it, or none` };
  }
  return undefined;
}

/** Answers and ends the connection. */
export function sendRefusal(socket: Socket, refusal: UpgradeRefusal): void {
  const { status, message } = refusal;
  const body = JSON.stringify({ error: message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(HEADERS_OF[status] ?? []),
  ];
  // The HTTP server does not watch this socket any more: without the end a peer that stays could hold it for ever.
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** Subprotocols offered, without the value that carries a token. */
function offeredProtocols(request: IncomingMessage): readonly string[] {
  const header = request.headers['sec-websocket-protocol'];
  if (header === undefined) return [];
  const values = header.split(',').map((value) => value.trim());
  return values.filter((value) => value !== '' && !value.startsWith(BEARER_PREFIX));
}
