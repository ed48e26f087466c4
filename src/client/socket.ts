/**
 * The WebSocket as the SDK needs it: what browsers, Node 22 and the `ws` package have in common. One socket
 * is one attempt; when it ends, for whatever reason, `closed` is called once and nothing after it.
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
  opened(): void;
  text(text: string): void;
  closed(code: number, reason: string): void;
}

export interface Socket {
  send(text: string): void;
  /** Says goodbye, or lets go of it at once as if the network had taken it. Nothing is reported afterwards. */
  end(politely: boolean): void;
}

export function openSocket(constructor: WebSocketConstructor, url: string, events: SocketEvents): Socket {
  const socket = new constructor(url, PROTOCOL);
  let over = false;
  socket.onopen = () => over || events.opened();
  socket.onmessage = ({ data }: { readonly data: unknown }) => {
    if (!over && typeof data === 'string') events.text(data);
  };
  // `close` follows and reports it; without a listener `ws` would end the process here.
  socket.onerror = () => {};
  socket.onclose = ({ code, reason }: { readonly code: number; readonly reason: string }) => {
    if (!over) events.closed(code, reason);
    over = true;
  };
  return {
    send: (text) => socket.send(text),
    end: (politely) => {
      over = true;
      // Browsers have no way to end a socket by force; close() then waits for a peer that may be gone, unseen.
      if (!politely && socket.terminate) socket.terminate();
      else socket.close(1000);
    },
  };
}
