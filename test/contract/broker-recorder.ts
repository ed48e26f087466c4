/**
 * A `BrokerEvents` that writes down what it is told, in the order it was told,
 * and lets a test wait for it. Tests wait for what was heard instead of
 * sleeping, so the same suite is quick on the embedded broker and sure on Redis.
 */
import type { BrokerEvents, BrokerStatus, Entry, Signal } from '../../src/broker/broker.ts';
import type { PresenceChange } from '../../src/broker/presence.ts';

export type Heard =
  | { readonly kind: 'message'; readonly room: string; readonly epoch: string; readonly entry: Entry }
  | { readonly kind: 'presence'; readonly room: string; readonly change: PresenceChange }
  | { readonly kind: 'signal'; readonly room: string; readonly signal: Signal }
  | { readonly kind: 'gap'; readonly room: string }
  | { readonly kind: 'linkLost' }
  | { readonly kind: 'subscribed'; readonly room: string }
  | { readonly kind: 'status'; readonly status: BrokerStatus };

export interface HeardMessage {
  readonly epoch: string;
  readonly entry: Entry;
}

export interface BrokerRecorder extends BrokerEvents {
  /** Everything, of all rooms, oldest first. */
  readonly heard: readonly Heard[];
  messages(room: string): HeardMessage[];
  changes(room: string): PresenceChange[];
  signals(room: string): Signal[];
  statuses(): BrokerStatus[];
  /** Resolves as soon as `happened` holds, looking again after each event; rejects after `HEAR_MS`, naming `what`. */
  until(happened: () => boolean, what: string): Promise<void>;
}

/** Real time on purpose: how long a test waits for what must come anyway. */
const HEAR_MS = 5_000;

interface Waiter {
  readonly happened: () => boolean;
  readonly resolve: () => void;
}

export function createBrokerRecorder(): BrokerRecorder {
  const heard: Heard[] = [];
  const waiters = new Set<Waiter>();

  function hear(event: Heard): void {
    heard.push(event);
    for (const waiter of waiters) if (waiter.happened()) waiter.resolve();
  }

  function until(happened: () => boolean, what: string): Promise<void> {
    if (happened()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { happened, resolve: () => settle(resolve) };
      const timer = setTimeout(() => {
        settle(() => reject(new Error(`not heard within ${HEAR_MS} ms: ${what}`)));
      }, HEAR_MS);
      function settle(end: () => void): void {
        clearTimeout(timer);
        waiters.delete(waiter);
        end();
      }
      waiters.add(waiter);
    });
  }

  return {
    heard,
    message: (room, epoch, entry) => hear({ kind: 'message', room, epoch, entry }),
    presence: (room, change) => hear({ kind: 'presence', room, change }),
    signal: (room, signal) => hear({ kind: 'signal', room, signal }),
    gap: (room) => hear({ kind: 'gap', room }),
    linkLost: () => hear({ kind: 'linkLost' }),
    subscribed: (room) => hear({ kind: 'subscribed', room }),
    status: (status) => hear({ kind: 'status', status }),
    messages: (room) =>
      heard.flatMap((event) => (event.kind === 'message' && event.room === room ? [event] : [])),
    changes: (room) =>
      heard.flatMap((event) => (event.kind === 'presence' && event.room === room ? [event.change] : [])),
    signals: (room) =>
      heard.flatMap((event) => (event.kind === 'signal' && event.room === room ? [event.signal] : [])),
    statuses: () => heard.flatMap((event) => (event.kind === 'status' ? [event.status] : [])),
    until,
  };
}
