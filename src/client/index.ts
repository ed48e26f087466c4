/**
 * The SDK's entry: `import { connect } from 'roomcast/client'`. It runs in browsers and in Node, depends on
 * nothing, and speaks docs/PROTOCOL.md and nothing more; docs/CLIENT.md is its guide.
 */
import type { Client, ClientOptions } from './api.ts';
import { RoomcastClient } from './client.ts';
import { globalWebSocket } from './environment.ts';
import { RoomcastError } from './errors.ts';

export type * from './api.ts';
export { RoomcastError, type RoomcastErrorCode } from './errors.ts';
export type { WebSocketConstructor, WebSocketLike } from './socket.ts';

/**
 * Begins to connect and returns at once; it stays connected until `close()`. Throws where there is no WebSocket
 * to use, and where `url` is none: later there is nobody to throw to, and no pause makes it a better one.
 */
export function connect(url: string, options: ClientOptions = {}): Client {
  const WebSocket = options.WebSocket ?? globalWebSocket();
  if (!WebSocket) {
    throw new RoomcastError('unsupported', 'no WebSocket: pass that of ws');
  }
  // Browsers of today take http:// and relative ones as well, those of yesterday and Node do not.
  if (!/^wss?:\/\/./i.test(url)) {
    throw new RoomcastError('bad_request', `url needs ws:// or wss://, got ${url}`);
  }
  return new RoomcastClient(url, options, WebSocket);
}
