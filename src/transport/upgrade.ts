/**
 * Whether an HTTP request may become a WebSocket, and why not: a pure decision
 * about the request line and headers (RFC 6455 section 4.2.1), made before any
 * state exists for the connection. Limits of connections and rates are the
 * listener's.
 */
import type { IncomingMessage } from 'node:http';
import { BEARER_PREFIX, SUBPROTOCOL } from '../protocol/limits.ts';

export const WS_PATH = '/ws';

export interface UpgradeRefusal {
  readonly status: 400 | 404 | 405 | 426;
  readonly message: string;
}

export function refuseUpgrade(request: IncomingMessage): UpgradeRefusal | undefined {
  const path = (request.url ?? '').split('?', 1)[0];
  if (path !== WS_PATH) return { status: 404, message: `WebSockets are at ${WS_PATH}` };
  if (request.method !== 'GET') return { status: 405, message: 'a WebSocket begins with GET' };
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    return { status: 400, message: 'the only upgrade here is websocket' };
  }
  // Version 8 puts the origin into another header, which no check of ours would read.
  if (request.headers['sec-websocket-version'] !== '13') {
    return { status: 426, message: 'WebSocket version 13 is spoken here' };
  }
  const offered = offeredProtocols(request);
  if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
    return { status: 400, message: `the subprotocol here is ${SUBPROTOCOL}; offer it, or none` };
  }
  return undefined;
}

/** Subprotocols offered, without the value that carries a token. */
function offeredProtocols(request: IncomingMessage): readonly string[] {
  const header = request.headers['sec-websocket-protocol'];
  if (header === undefined) return [];
  const values = header.split(',').map((value) => value.trim());
  return values.filter((value) => value !== '' && !value.startsWith(BEARER_PREFIX));
}
