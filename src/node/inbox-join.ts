/**
 * The inbox of a connection: a room like any other, joined because `hello` asked
 * for it. It is heard, caught up and relayed by the same parts as every room; what
 * differs is where it begins and how much it may bring. Without a position it
 * begins at the user's read mark. What is more than one reply may carry is not
 * `too_far` but follows in chunks, as to a slow consumer that comes back, and so
 * does all that is still kept after a break: what was sent to somebody who was
 * away is not theirs to page for.
 *
 * A client asks once, in `hello`, and has no frame to ask again: while Redis is
 * away the join is tried until it works or the connection ends. docs/decisions/0013.
 */
import { type Broker, BrokerError } from '../broker/broker.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import type { Session, Subscription } from '../core/session.ts';
import { joinedFrame } from '../protocol/encode.ts';
import { inboxOf } from '../protocol/names.ts';
import { type Position, samePosition } from '../protocol/position.ts';
import type { CatchUp, Missed } from './catch-up.ts';
import type { FanOut } from './fan-out.ts';
import type { RoomInterest } from './interest.ts';
import type { LargeReplies } from './large-replies.ts';
import type { LinkStatus } from './link-status.ts';
import { sendError } from './replies.ts';
import type { SlowConsumers } from './slow-consumers.ts';

export interface InboxJoinParts {
  readonly broker: Broker;
  readonly hub: Hub;
  readonly fanOut: FanOut;
  readonly interest: RoomInterest;
  readonly catchUp: CatchUp;
  readonly slow: Pick<SlowConsumers, 'beginsBehind'>;
  readonly replies: Pick<LargeReplies, 'whenTaken'>;
  readonly status: Pick<LinkStatus, 'roomsChanged'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** `true`: from the read mark on. */
type Wanted = true | Position;

interface Waiting {
  readonly session: Session;
  readonly wanted: Wanted;
  retryMs: number;
  timer: Timer | undefined;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;

export class InboxJoins {
  readonly #parts: InboxJoinParts;
  /** Joins that failed for now; at most one per connection. */
  readonly #waiting = new Set<Waiting>();

  constructor(parts: InboxJoinParts) {
    this.#parts = parts;
  }

  /** Joins the session's inbox, now or as soon as that is possible. Frames sent behind the hello wait for the first try. */
  open(session: Session, wanted: Wanted): void {
    session.awaitsInbox = true;
    this.#queue({ session, wanted, retryMs: RETRY_MIN_MS, timer: undefined });
  }

  /** Redis is back: nobody waits for their timer. */
  retryNow(): void {
    for (const waiting of this.#waiting) this.#again(waiting);
  }

  #queue(waiting: Waiting): void {
    waiting.session.queue.run(inboxOf(waiting.session.user), 'other', () => this.#try(waiting));
  }

  async #try(waiting: Waiting): Promise<void> {
    const { session, wanted } = waiting;
    if (session.closed) return;
    try {
      await this.#join(session, wanted);
    } catch (error) {
      if (session.closed) return;
      if (error instanceof BrokerError) this.#later(waiting, error);
      else this.#giveUp(session, error);
    }
  }

  async #join(session: Session, wanted: Wanted): Promise<void> {
    const { broker, interest, catchUp, replies } = this.#parts;
    const room = inboxOf(session.user);
    await interest.acquire(room);
    try {
      const since = wanted === true ? await broker.readMark(room) : wanted;
      const drained = () => replies.whenTaken(session);
      await catchUp.missed(room, { since }, drained, (missed) => {
        if (session.closed) throw new BrokerError('unavailable', 'the connection closed while it joined');
        this.#attach(session, room, wanted, missed);
      });
    } catch (error) {
      interest.release(room);
      throw error;
    }
  }

  #attach(session: Session, room: string, wanted: Wanted, missed: Missed): void {
    const { hub, fanOut, slow, status } = this.#parts;
    const subscription: Subscription = {
      session,
      room,
      connection: session.connection,
      // What waits to be written is part of the reply.
      nextItem: fanOut.nextItem,
      presence: 'none',
      presenceFrom: 0,
      behind: undefined,
      missedPresence: false,
    };
    hub.join(subscription);
    session.awaitsInbox = false;
    const broken = missed.reason !== undefined && missed.reason !== 'too_far';
    const begin = missed.reason === undefined ? missed.at : missed.from;
    session.connection.send(
      joinedFrame(
        {
          room,
          ...begin,
          // Who named no position is told only of what it could not know: that unread messages are gone.
          ...((wanted !== true || broken) && { recovered: !broken }),
          ...(broken && { reason: missed.reason }),
        },
        missed.entries,
      ),
    );
    if (!samePosition(begin, missed.at)) slow.beginsBehind(subscription, begin);
    status.roomsChanged(session);
    this.#parts.logger.debug(
      { connection: session.id, room, ...begin, reason: missed.reason },
      'inbox joined',
    );
  }

  #later(waiting: Waiting, error: BrokerError): void {
    this.#parts.logger.debug({ connection: waiting.session.id, error: error.message }, 'inbox put off');
    waiting.timer = this.#parts.clock.after(waiting.retryMs, () => this.#again(waiting));
    waiting.retryMs = Math.min(waiting.retryMs * 2, RETRY_MAX_MS);
    this.#waiting.add(waiting);
  }

  #again(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return;
    waiting.timer?.cancel();
    this.#queue(waiting);
  }

  #giveUp(session: Session, error: unknown): void {
    session.awaitsInbox = false;
    const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.logger.error(
      { connection: session.id, error: shown },
      'an inbox was not joined by a bug of ours',
    );
    const message = 'a bug of the server: your inbox was not joined; reconnect to ask again';
    sendError(session.connection, { code: 'internal', message, room: inboxOf(session.user) });
    this.#parts.status.roomsChanged(session);
  }
}
