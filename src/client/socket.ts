/**
 * The WebSocket as the SDK needs it: what browsers, Node 22 and the `ws` package have in common. One socket
 * is one attempt; when it ends, for whatever reason, `closed` is called once and nothing after it.
 */
import type { SUBPROTOCOL } from '../protocol/limits.ts';

/** Written out, because importing it would bring the server's limits along. */
const PROTOCOL: typeof SUBPROTOCOL = 'roomcast.v1';

export interface WebSocketLike {
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
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
  socket.addEventListener('open', () => over || events.opened());
  socket.addEventListener('message', ({ data }) => {
    if (!over && typeof data === 'string') events.text(data);
  });
  // `close` follows and reports it; without a listener `ws` would end the process here.
  socket.addEventListener('error', () => undefined);
  socket.addEventListener('close', ({ code, reason }) => {
    if (over) return;
    over = true;
    events.closed(code, reason);
  });
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
