/**
 * What closed connections leave behind: their places in rooms, their share in what this node hears, and their users'
 * presence, which is held for a while. When a proxy dies, hundreds of connections with hundreds of rooms each end in one
 * turn, and all of it at once would keep the loop; so what is more than a few is a piece of work of the turn (turn.ts).
 * Until then a closed connection takes nothing; its user's hold begins a moment late, and who is back before that is
 * present as with two tabs.
 */
import { Fifo } from '../core/fifo.ts';
import type { Session } from '../core/session.ts';
import { isInboxRoom } from '../protocol/names.ts';
import type { LeaveParts } from './leave.ts';
import type { Turn, Work } from './turn.ts';

/** Rooms left before the clock is read again: some tenths of a millisecond. */
const ROOMS_PER_LOOK = 64;
/** Rooms left before it is somebody else's turn: about a millisecond. */
const ROOMS_PER_STEP = 256;

export class ClosedSessions implements Work {
  listed = false;
  readonly #parts: Omit<LeaveParts, 'fanOut' | 'status'>;
  readonly #turn: Pick<Turn, 'add'>;
  readonly #waiting = new Fifo<Session>();
  /** Rooms that may still be left at once in this turn. */
  #atOnce = ROOMS_PER_STEP;

  constructor(parts: Omit<LeaveParts, 'fanOut' | 'status'>, turn: Pick<Turn, 'add'>) {
    this.#parts = parts;
    this.#turn = turn;
  }

  /** The connection is gone, clean or not: only `leave`, a kick or an expired token end membership at once. */
  add(session: Session): void {
    session.closed = true;
    this.#parts.hub.remove(session);
    // Who said leave and closed before its publishes were answered has left. Now: what waits is soon forgotten.
    if (session.queue.waiting > 0) {
      for (const room of session.subscriptions.keys()) {
        if (session.queue.endsWithLeave(room)) this.#leave(session, room, true);
      }
    }
    const { size } = session.subscriptions;
    if (size === 0) return;
    if (this.#waiting.size > 0 || size > this.#atOnce) this.#waiting.push(session);
    else {
      this.#atOnce -= size;
      for (const room of session.subscriptions.keys()) this.#leave(session, room, false);
    }
    this.#turn.add(this);
  }

  step(turn: Turn): boolean {
    let left = 0;
    for (let session = this.#waiting.peek(); session; session = this.#waiting.peek()) {
      for (const room of session.subscriptions.keys()) {
        this.#leave(session, room, false);
        left += 1;
        if (left % ROOMS_PER_LOOK === 0 && (left >= ROOMS_PER_STEP || turn.isOver)) return true;
      }
      this.#waiting.shift();
    }
    this.#atOnce = ROOMS_PER_STEP;
    return false;
  }

  /** `isAsked`: the client said leave. Any other end is held, it may be a reload. */
  #leave(session: Session, room: string, isAsked: boolean): void {
    const { hub, interest, writer, logger } = this.#parts;
    hub.leave(session, room);
    // Whoever has the inbox open is in nobody's presence by that; the online state of the same name is hello's.
    if (isAsked) writer.leave(room, session.user, 'left');
    else if (!isInboxRoom(room)) writer.close(room, session.user);
    interest.release(room);
    logger.debug({ connection: session.id, user: session.user, room }, 'room left by a closed connection');
  }
}
