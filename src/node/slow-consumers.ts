/**
 * Members whose connection is full are paused, not dropped and not buffered
 * without end. A paused member is a position behind its room's top, and catches
 * up like anybody who fell behind: from the ring, else from the store, in chunks
 * no larger than its connection takes. What is no longer kept is told as `reset`.
 * Signals are shed; presence is told anew as a snapshot. Who takes nothing at all
 * for a while is closed with 4009 and resumes by its position; where all together hold too
 * much, the largest are closed with 1013 and told to back off.
 *
 * All of them together are one work of the turn, a chunk at a time: a thousand
 * that drain at once must not hold up those who were never slow.
 */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../core/clock.ts';
import type { ReadResult } from '../core/entry.ts';
import type { Logger } from '../core/logger.ts';
import type { MessagesKept } from '../core/retention.ts';
import type { RoomStream, StreamLimits } from '../core/room-stream.ts';
import type { Session, Subscription } from '../core/session.ts';
import { CLOSE } from '../protocol/codes.ts';
import { type Position, samePosition } from '../protocol/position.ts';
import { type Chunk, Chunks } from './chunks.ts';
import type { FanOut, SlowKeeper } from './fan-out.ts';
import type { LargeReplies } from './large-replies.ts';
import type { OutboxTotal } from './outbox-total.ts';
import { type Answer, isCurrent, Paused } from './paused.ts';
import type { PresenceRelay } from './presence-relay.ts';
import type { Relay } from './relay.ts';
import { closeWith } from './replies.ts';
import { SlowReads } from './slow-reads.ts';
import type { Stall } from './stall.ts';
import type { Turn, Work } from './turn.ts';

export interface SlowConsumerSettings extends StreamLimits, MessagesKept {
  readonly limitOutboxBytes: number;
  readonly limitOutboxStallMs: number;
}

export interface SlowConsumerParts {
  readonly broker: Broker;
  readonly relay: Relay;
  readonly presence: PresenceRelay;
  readonly fanOut: FanOut;
  readonly outbox: OutboxTotal;
  readonly replies: Pick<LargeReplies, 'waiting'>;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: SlowConsumerSettings;
}

const CHUNK_BYTES = 262_144;
/** Before it is the rooms' turn again. */
const STEP_MS = 1;
const RETRY_MS = 200;
/** The close frame queues behind the backlog: a peer that does not read will never see it. */
const CLOSE_PATIENCE_MS = 1000;

const TOO_SLOW = {
  code: CLOSE.tooSlow,
  reason: 'you read too slowly; reconnect and resume from your position',
  logged: 'connection too slow',
} as const;
/** It may read as fast as it can: it is the node that is full. Coming back at once would fill it again. */
const OVERLOAD = {
  code: CLOSE.overload,
  reason: 'too much waits for slow readers on this node; come back later and resume from your position',
  logged: 'connection closed because the node holds too much',
} as const;

export class SlowConsumers implements SlowKeeper, Work {
  listed = false;
  readonly #parts: SlowConsumerParts;
  readonly #chunks: Chunks;
  /** What one step may write. Also where nobody is ever paused, an inbox is told in chunks. */
  readonly #chunkBytes: number;
  readonly #sessions = new Map<Session, Paused>();
  /** Those whose next step can be made now, in turn. */
  readonly #ready: Paused[] = [];
  readonly #reads: SlowReads;

  constructor(parts: SlowConsumerParts) {
    this.#parts = parts;
    this.#chunkBytes = parts.settings.limitOutboxBytes || CHUNK_BYTES;
    this.#chunks = new Chunks(parts.settings, this.#chunkBytes);
    this.#reads = new SlowReads(parts.broker, parts.settings, this.#chunkBytes);
    parts.fanOut.keepSlow(this);
    parts.outbox.closeWith((session) => this.#close(session, OVERLOAD));
  }

  /** Connections that are paused now. */
  get size(): number {
    return this.#sessions.size;
  }

  fellBehind(subscription: Subscription, before: Position): void {
    subscription.behind = before;
    this.#keep(subscription.session);
  }

  /** A member that begins further back than one reply may carry: it is given the rest in chunks, as it takes them. */
  beginsBehind(subscription: Subscription, from: Position): void {
    subscription.behind = from;
    const paused = this.#pause(subscription.session);
    if (paused) this.#goOn(paused);
  }

  missedPresence(subscription: Subscription): void {
    if (subscription.presence === 'none') return;
    subscription.missedPresence = true;
    this.#keep(subscription.session);
  }

  /** Called every second: closes who takes nothing, and the largest where all together hold too much. */
  sweep(): void {
    const { replies, outbox } = this.#parts;
    for (const [session, { stall }] of this.#sessions) this.#closeStalled(session, stall);
    for (const [session, stall] of replies.waiting) this.#closeStalled(session, stall);
    outbox.check();
  }

  #closeStalled(session: Session, stall: Stall): void {
    const { clock, settings } = this.#parts;
    const { limitOutboxStallMs } = settings;
    if (session.closed) this.#forget(session);
    else if (stall.lookedAt(session.connection, clock.now()) >= limitOutboxStallMs && limitOutboxStallMs > 0)
      this.#close(session, TOO_SLOW);
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    this.#parts.replies.waiting.delete(session);
  }

  /** Chunks for about a millisecond, one to each that waits. */
  step(turn: Turn): boolean {
    const startedMs = turn.nowMs;
    for (let paused = this.#ready.shift(); paused; paused = this.#ready.shift()) {
      this.#tryStep(paused);
      if (turn.isOver || turn.nowMs - startedMs >= STEP_MS) break;
    }
    if (this.#ready.length > 0) return true;
    this.#chunks.clear();
    return false;
  }

  #keep(session: Session): void {
    const paused = this.#pause(session);
    if (paused) this.#whenDrained(paused);
  }

  /** Undefined where it is paused already. */
  #pause(session: Session): Paused | undefined {
    if (this.#sessions.has(session)) return undefined;
    const { clock, logger } = this.#parts;
    const { queuedBytes } = session.connection;
    const paused = new Paused(session, clock.now());
    this.#sessions.set(session, paused);
    logger.debug({ connection: session.id, queuedBytes }, 'connection paused');
    return paused;
  }

  #whenDrained(paused: Paused): void {
    paused.session.connection.onDrained(() => this.#goOn(paused));
  }

  #goOn(paused: Paused): void {
    // Closed, or forgotten and paused anew: then the other one goes on.
    if (this.#sessions.get(paused.session) !== paused) return;
    this.#ready.push(paused);
    this.#parts.turn.add(this);
  }

  #tryStep(paused: Paused): void {
    const { session } = paused;
    try {
      this.#step(paused);
    } catch (error) {
      const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#parts.logger.error(
        { connection: session.id, error: shown },
        'a catch-up failed by a bug of ours',
      );
      this.#sessions.delete(session);
      closeWith(session.connection, CLOSE.internal, 'a bug of the server; resume from your position');
    }
  }

  /** The connection drained: its rooms go on, a step each in turn, until it is full again. */
  #step(paused: Paused): void {
    const { session, answer } = paused;
    if (session.closed) {
      this.#sessions.delete(session);
      return;
    }
    paused.answer = undefined;
    if (answer) this.#applied(paused, this.#apply(answer));
    else {
      const subscription = paused.next;
      if (!subscription) this.#endPass(paused);
      else if (session.connection.queuedBytes > this.#chunkBytes) this.#whenDrained(paused);
      else if (subscription.behind) this.#stepIn(paused, subscription, subscription.behind);
      else {
        // A step like a chunk: the members of a room may be megabytes.
        this.#parts.presence.tellAnew(subscription);
        this.#applied(paused, true);
      }
    }
  }

  #applied(paused: Paused, hasMoved: boolean): void {
    paused.stepped(hasMoved);
    this.#goOn(paused);
  }

  #endPass(paused: Paused): void {
    const now = paused.beginPass();
    if (now === 'caught up') this.#sessions.delete(paused.session);
    else if (now === 'stuck') this.#parts.clock.after(RETRY_MS, () => this.#goOn(paused));
    else this.#goOn(paused);
  }

  /** One chunk, and the member is live again where that was the last. */
  #stepIn(paused: Paused, subscription: Subscription, behind: Position): void {
    const { fanOut, relay, turn } = this.#parts;
    const { room } = subscription;
    // What waits for it is passed over: it is in the ring, which ends where the member is afterwards.
    fanOut.flushTo(subscription);
    const stream = relay.stream(room);
    const cursor = stream?.cursor;
    if (!stream?.live || !cursor) this.#applied(paused, false);
    else if (samePosition(behind, cursor)) {
      subscription.behind = undefined;
      this.#applied(paused, true);
    } else {
      const kept = stream.ring.after(behind);
      if (kept) this.#applied(paused, give(subscription, this.#chunks.ofRing(turn, room, behind, kept)));
      else this.#askStore(paused, subscription, behind, stream);
    }
  }

  #askStore(paused: Paused, subscription: Subscription, behind: Position, stream: RoomStream): void {
    const { room } = subscription;
    const answered = (result: ReadResult | undefined) => {
      paused.answer = { subscription, behind, result };
      this.#goOn(paused);
    };
    this.#reads.after(room, behind, stream).then(answered, (error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#parts.logger.debug({ room, error: reason }, 'slow consumer: read put off');
      answered(undefined);
    });
  }

  /** False where nothing can be told just now. */
  #apply({ subscription, behind, result }: Answer): boolean {
    if (!result) return false;
    if (!isCurrent(subscription)) return true;
    return give(subscription, this.#chunks.ofStore(this.#parts.turn, subscription.room, behind, result));
  }

  #close(session: Session, { code, reason, logged }: typeof TOO_SLOW | typeof OVERLOAD): void {
    this.#forget(session);
    const { clock, logger } = this.#parts;
    logger.debug({ connection: session.id, queuedBytes: session.connection.queuedBytes }, logged);
    closeWith(session.connection, code, reason);
    clock.after(CLOSE_PATIENCE_MS, () => session.connection.terminate());
  }
}

/** Writes the chunk and moves the member on. False where there was nothing in it. */
function give(subscription: Subscription, { frames, reached }: Chunk): boolean {
  if (frames) subscription.connection.write(frames);
  subscription.behind = reached;
  return frames !== undefined;
}
