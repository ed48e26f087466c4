/**
 * Everything the SDK takes from the world around it: time, timers, chance, and the events by which a browser
 * tells that the network or the page is back. The one place that touches globals. What decides by time or
 * chance (backoff, outbox) is pure and gets the values as arguments.
 *
 * Functions rather than a port that is handed around, because every byte of this is loaded by every page.
 */
import type { WebSocketConstructor } from './socket.ts';

interface Listened {
  addEventListener?(type: string, listener: () => void, options: { signal: AbortSignal }): void;
}

/** What may be there, depending on where this runs. */
interface Surroundings extends Listened {
  readonly WebSocket?: WebSocketConstructor;
  readonly document?: Listened & { readonly hidden?: boolean };
}

const around = globalThis as unknown as Surroundings;

export const globalWebSocket = (): WebSocketConstructor | undefined => around.WebSocket;

let at = 0;
let wall = Date.now();

/**
 * Milliseconds that never go back and that count a machine's sleep, which `performance.now()` leaves out on
 * some. Without the sleep a laptop that was shut for ten minutes would repeat a publish whose key the server
 * has forgotten. A wall clock that jumps ahead only makes waits end early, and one set back costs a step.
 */
export function now(): number {
  const last = wall;
  wall = Date.now();
  at += Math.max(0, wall - last);
  return at;
}

/** Calls `run` once; returns what cancels it. Keeps a Node process alive: a client that waits to reconnect is at work. */
export function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}

/** Uniform in [0, 1). */
export const fraction = Math.random;

/** Calls `run` when the network or the page came back. Returns what ends that. */
export function onWake(run: () => void): () => void {
  const ended = new AbortController();
  const listen = (to: Listened | undefined, type: string, then = run): void =>
    to?.addEventListener?.(type, then, ended);
  listen(around, 'online');
  // Back from the browser's history cache, where sockets were cut.
  listen(around, 'pageshow');
  listen(around.document, 'visibilitychange', () => around.document?.hidden || run());
  return () => ended.abort();
}
