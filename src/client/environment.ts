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
  /** 24 characters nobody else has: the beginning of this client's keys. */
  token(): string;
  /** Calls `run` when the network or the page came back. Returns what ends that. */
  onWake(run: () => void): () => void;
  readonly WebSocket: WebSocketConstructor | undefined;
}

/** What may be there, depending on where this runs. */
interface Surroundings {
  readonly WebSocket?: WebSocketConstructor;
  readonly document?: EventSource & { readonly visibilityState: string };
  readonly addEventListener?: EventSource['addEventListener'];
  readonly removeEventListener?: EventSource['removeEventListener'];
}

interface EventSource {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
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
    // getRandomValues, because randomUUID is missing on pages that came over plain http.
    token: () =>
      [...crypto.getRandomValues(new Uint8Array(12))]
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join(''),
    onWake: (run) => listenForWake(around, run),
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
    const [steadyNow, wallNow] = [performance.now(), Date.now()];
    at += Math.max(steadyNow - steady, wallNow - wall);
    steady = steadyNow;
    wall = wallNow;
    return at;
  };
}

function listenForWake(around: Surroundings, run: () => void): () => void {
  const { document } = around;
  const seen = (): void => {
    if (document?.visibilityState === 'visible') run();
  };
  // `pageshow`: back from the browser's history cache, where sockets were cut.
  for (const type of ['online', 'pageshow']) around.addEventListener?.(type, run);
  document?.addEventListener('visibilitychange', seen);
  return () => {
    for (const type of ['online', 'pageshow']) around.removeEventListener?.(type, run);
    document?.removeEventListener('visibilitychange', seen);
  };
}
