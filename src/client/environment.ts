/**
 * Everything the SDK takes from the world around it: time, timers, chance, and the events by which a browser
 * tells that the network or the page is back. The one place that touches globals; tests pass their own.
 */
import type { WebSocketConstructor } from './socket.ts';

export interface Environment {
  /** Milliseconds that never go back and that count a machine's sleep. */
  now(): number;
  /** Calls `run` once; returns what cancels it. Keeps a Node process alive: a client that waits to reconnect is at work. */
  after(ms: number, run: () => void): () => void;
  /** Uniform in [0, 1). */
  fraction(): number;
  /** Calls `run` when the network or the page came back. Returns what ends that. */
  onWake(run: () => void): () => void;
  readonly WebSocket: WebSocketConstructor | undefined;
}

interface Listened {
  addEventListener?(type: string, listener: () => void, options: { signal: AbortSignal }): void;
}

/** What may be there, depending on where this runs. */
interface Surroundings extends Listened {
  readonly WebSocket?: WebSocketConstructor;
  readonly document?: Listened;
}

export function realEnvironment(): Environment {
  const around = globalThis as unknown as Surroundings;
  return {
    now: sleepCountingClock(),
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    fraction: () => Math.random(),
    onWake: (run) => {
      const ended = new AbortController();
      const listen = (to: Listened | undefined, type: string): void =>
        to?.addEventListener?.(type, run, ended);
      listen(around, 'online');
      // Back from the browser's history cache, where sockets were cut.
      listen(around, 'pageshow');
      // Also when the page is hidden: a look too many, for want of another event to tell the two apart.
      listen(around.document, 'visibilitychange');
      return () => ended.abort();
    },
    WebSocket: around.WebSocket,
  };
}

/**
 * `performance.now()` stands still while some machines sleep, and the wall clock may be set back. The larger
 * step of the two is never too small: without it a laptop that slept ten minutes would repeat a publish whose
 * key the server has forgotten.
 */
function sleepCountingClock(): () => number {
  let at = 0;
  let steady = performance.now();
  let wall = Date.now();
  return () => {
    const steadyNow = performance.now();
    const wallNow = Date.now();
    at += Math.max(steadyNow - steady, wallNow - wall);
    steady = steadyNow;
    wall = wallNow;
    return at;
  };
}
