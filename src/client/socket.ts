/**
 * The WebSocket as the SDK needs it: what browsers, Node 22 and the `ws` package have in common. One socket
 * is one attempt; when it ends, for whatever reason, `onclose` is called once and nothing after it.
 */
import type { SUBPROTOCOL } from '../protocol/limits.ts';

/** Written out, because importing it would bring the server's limits along. */
const PROTOCOL: typeof SUBPROTOCOL = 'roomcast.v1';

/** Its listeners are `unknown` so that the classes of browsers and of `ws` fit, whose events have types of their own. */
export interface WebSocketLike {
  onopen: unknown;
  onmessage: unknown;
  onerror: unknown;
  onclose: unknown;
  send(text: string): void;
  close(code?: number): void;
  /** Only that of `ws` has it. */
  terminate?(): void;
}

export type WebSocketConstructor = new (url: string, protocol: string) => WebSocketLike;

export interface SocketEvents {
  onopen(): void;
  /** Binary frames too, which are none of the protocol's. */
  onmessage(event: { readonly data: unknown }): void;
  onclose(event: { readonly code: number; readonly reason: string }): void;
}

/** Throws where the constructor does: for an address or a port that is not allowed here. */
export function openSocket(
  constructor: WebSocketConstructor,
  url: string,
  events: SocketEvents,
): WebSocketLike {
  // `close` follows an error and reports it; without a listener `ws` would end the process here.
  return Object.assign(new constructor(url, PROTOCOL), events, { onerror() {} });
}

/** Says goodbye, or lets go of it at once as if the network had taken it. Nothing is reported afterwards. */
export function endSocket(socket: WebSocketLike, politely: boolean): void {
  Object.assign(socket, { onopen: null, onmessage: null, onclose: null });
  // Browsers have no way to end a socket by force; close() then waits for a peer that may be gone, unseen.
  if (!politely && socket.terminate) socket.terminate();
  else socket.close(1000);
}
