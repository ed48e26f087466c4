/**
 * Replies that may be megabytes (a `joined`, a page of history, the members of a
 * room) wait until their connection took what it was sent before: asking costs
 * a few bytes, and a burst of it was gigabytes of answers. docs/decisions/0025.
 */
import type { Clock } from '../core/clock.ts';
import type { Session } from '../core/session.ts';
import { Stall } from './stall.ts';

export interface LargeReplySettings {
  readonly limitOutboxBytes: number;
}

export class LargeReplies {
  /** Connections that are waited for. Who takes nothing meanwhile is closed like a paused member (slow-consumers.ts). */
  readonly waiting = new Map<Session, Stall>();
  readonly #clock: Clock;
  readonly #settings: LargeReplySettings;

  constructor(clock: Clock, settings: LargeReplySettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Until what is queued was taken, or the connection is gone. Undefined where it is little. */
  whenTaken(session: Session): Promise<void> | undefined {
    const { connection, closed } = session;
    const { limitOutboxBytes } = this.#settings;
    if (closed || limitOutboxBytes === 0 || connection.queuedBytes <= limitOutboxBytes) return undefined;
    if (!this.waiting.has(session)) this.waiting.set(session, new Stall(connection, this.#clock.now()));
    return new Promise((resolve) => {
      connection.onDrained(() => {
        this.waiting.delete(session);
        resolve();
      });
    });
  }

  /**
   * Calls `say` once little is queued, unless the connection is gone: in the turn of the last look, so that of many
   * who wait each sees what the others said.
   */
  async say(session: Session, say: () => void): Promise<void> {
    for (let full = this.whenTaken(session); full; full = this.whenTaken(session)) await full;
    if (!session.closed) say();
  }
}
