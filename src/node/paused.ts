/**
 * A connection that is paused, and how far it got with the rooms it is behind in:
 * they go on a step each in turn, pass after pass, until it is behind in none and was
 * told who is in each.
 */
import type { ReadResult } from '../core/entry.ts';
import type { Session, Subscription } from '../core/session.ts';
import type { Position } from '../protocol/position.ts';
import { Stall } from './stall.ts';

/** What the store was asked for a paused member; a step of its own once it is there. */
export interface Answer {
  readonly subscription: Subscription;
  readonly behind: Position;
  /** Undefined where the store could not be asked. */
  readonly result: ReadResult | undefined;
}

export class Paused {
  readonly session: Session;
  readonly stall: Stall;
  answer: Answer | undefined;
  #pass: readonly Subscription[] = [];
  #at = 0;
  #tried = 0;
  #moved = 0;

  constructor(session: Session, nowMs: number) {
    this.session = session;
    this.stall = new Stall(session.connection, nowMs);
  }

  /** The room of this pass whose step is next; undefined where the pass is through. */
  get next(): Subscription | undefined {
    for (; this.#at < this.#pass.length; this.#at += 1) {
      const subscription = this.#pass[this.#at];
      if (subscription && isDue(subscription) && isCurrent(subscription)) return subscription;
    }
    return undefined;
  }

  /** The step was made, with or without something to tell. */
  stepped(hasMoved: boolean): void {
    this.#at += 1;
    this.#tried += 1;
    if (hasMoved) this.#moved += 1;
  }

  /**
   * Another pass, also for the rooms that fell behind again while a later one was read. `stuck`: nothing could be
   * told in any of them just now.
   */
  beginPass(): 'caught up' | 'stuck' | 'on' {
    const isStuck = this.#tried > 0 && this.#moved === 0;
    this.#pass = [...this.session.subscriptions.values()].filter(isDue);
    this.#at = 0;
    this.#tried = 0;
    this.#moved = 0;
    if (this.#pass.length === 0) return 'caught up';
    return isStuck ? 'stuck' : 'on';
  }
}

/** Behind in messages, or owed the members of the room. */
function isDue({ behind, missedPresence }: Subscription): boolean {
  return behind !== undefined || missedPresence;
}

/** Whether it is still its session's in this room. */
export function isCurrent(subscription: Subscription): boolean {
  const { session, room } = subscription;
  return !session.closed && session.subscriptions.get(room) === subscription;
}
