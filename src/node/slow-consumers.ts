/**
 * Members whose connection is full are paused, not dropped and not buffered
 * without end. A paused member is a position behind its room's top, and catches
 * up like anybody who fell behind: from the ring, else from the store, in chunks
 * no larger than its connection takes. What is no longer kept is told as `reset`.
 * Signals are shed; presence is told anew as a snapshot. Who takes nothing at all
 * for a while is closed with 4009 and resumes by its position; where all together hold too
 * much, the largest are closed with 1013 and told to back off.
 */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../core/clock.ts';
import type { Entry, ReadResult } from '../core/entry.ts';
import { textFrame } from '../core/frame.ts';
import type { Logger } from '../core/logger.ts';
import type { MessagesKept } from '../core/retention.ts';
import { RoomStream, type StreamLimits } from '../core/room-stream.ts';
import type { Session, Subscription } from '../core/session.ts';
import { SingleFlight } from '../core/single-flight.ts';
import { CLOSE } from '../protocol/codes.ts';
import { encodeFrame, messageFrame } from '../protocol/encode.ts';
import { type Position, samePosition } from '../protocol/position.ts';
import type { FanOut, SlowKeeper } from './fan-out.ts';
import { entriesOf, KeptReads } from './kept-reads.ts';
import { largestOver } from './outbox-total.ts';
import type { PresenceRelay } from './presence-relay.ts';
import type { Relay } from './relay.ts';
import { closeWith } from './replies.ts';

export interface SlowConsumerSettings extends StreamLimits, MessagesKept {
  readonly limitOutboxBytes: number;
  readonly limitOutboxTotalBytes: number;
  readonly limitOutboxStallMs: number;
}

interface Stalled {
  progress: number;
  sinceMs: number;
}

/** Entries read for one step of a catch-up, at most; what is written of them is bounded by bytes. */
const CHUNK_ENTRIES = 64;
const CHUNK_BYTES = 262_144;
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

export class SlowConsumers implements SlowKeeper {
  readonly #kept: KeptReads;
  readonly #relay: Relay;
  readonly #presence: PresenceRelay;
  readonly #fanOut: FanOut;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: SlowConsumerSettings;
  readonly #sessions = new Map<Session, Stalled>();
  readonly #reads = new SingleFlight<ReadResult>();

  constructor(
    broker: Broker,
    relay: Relay,
    presence: PresenceRelay,
    fanOut: FanOut,
    clock: Clock,
    logger: Logger,
    settings: SlowConsumerSettings,
  ) {
    this.#kept = new KeptReads(broker, settings);
    this.#relay = relay;
    this.#presence = presence;
    this.#fanOut = fanOut;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
    fanOut.keepSlow(this);
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
    const { session } = subscription;
    subscription.behind = from;
    if (this.#sessions.has(session)) return;
    this.#sessions.set(session, { progress: session.connection.progress, sinceMs: this.#clock.now() });
    void this.#resume(session);
  }

  missedPresence(subscription: Subscription): void {
    if (subscription.presence === 'none') return;
    subscription.missedPresence = true;
    this.#keep(subscription.session);
  }

  /** Called every second: closes who takes nothing, and the largest where all together hold too much. */
  sweep(sessions: Iterable<Session>): void {
    const now = this.#clock.now();
    const { limitOutboxStallMs } = this.#settings;
    for (const [session, stalled] of this.#sessions) {
      const { queuedBytes, progress } = session.connection;
      if (session.closed) this.#sessions.delete(session);
      else if (queuedBytes === 0 || progress !== stalled.progress) {
        stalled.progress = progress;
        stalled.sinceMs = now;
      } else if (limitOutboxStallMs > 0 && now - stalled.sinceMs >= limitOutboxStallMs)
        this.#close(session, TOO_SLOW);
    }
    for (const session of largestOver(this.#settings.limitOutboxTotalBytes, sessions))
      this.#close(session, OVERLOAD);
  }

  #keep(session: Session): void {
    if (this.#sessions.has(session)) return;
    const { connection } = session;
    this.#sessions.set(session, { progress: connection.progress, sinceMs: this.#clock.now() });
    this.#logger.debug({ connection: session.id, queuedBytes: connection.queuedBytes }, 'connection paused');
    connection.onDrained(() => void this.#resume(session));
  }

  /** The connection drained: its rooms go on, a step each in turn, until it is full again. */
  async #resume(session: Session): Promise<void> {
    for (;;) {
      let behind = 0;
      let moved = 0;
      for (const subscription of session.subscriptions.values()) {
        if (!subscription.behind) continue;
        if (this.#isFull(session)) {
          session.connection.onDrained(() => void this.#resume(session));
          return;
        }
        behind += 1;
        if (await this.#step(subscription, subscription.behind)) moved += 1;
      }
      // Another round for the rooms that fell behind again while a later one was read.
      if (behind === 0) break;
      if (moved === 0) await this.#pause();
    }
    for (const subscription of session.subscriptions.values()) {
      if (subscription.missedPresence) this.#presence.tellAnew(subscription);
    }
    this.#sessions.delete(session);
  }

  /** One chunk, and the member is live again where that was the last. False where nothing can be told just now. */
  async #step(subscription: Subscription, behind: Position): Promise<boolean> {
    const { room } = subscription;
    // What waits is for those who are not paused; afterwards the ring ends where they are.
    this.#fanOut.flush(room);
    const stream = this.#relay.stream(room);
    const cursor = stream?.cursor;
    if (!stream?.live || !cursor) return false;
    if (samePosition(behind, cursor)) {
      subscription.behind = undefined;
      return true;
    }
    const kept = stream.ring.after(behind);
    if (!kept)
      return this.#stepFromStore(
        subscription,
        behind,
        entriesOf(this.#chunkBytes, stream.ring, CHUNK_ENTRIES),
      );
    this.#deliver(subscription, behind, kept);
    return true;
  }

  #deliver(subscription: Subscription, behind: Position, entries: readonly Entry[]): void {
    const { session, room } = subscription;
    const frames: Buffer[] = [];
    let bytes = 0;
    let { seq } = behind;
    for (const entry of entries) {
      if (bytes > this.#chunkBytes) break;
      const frame = textFrame(messageFrame(room, entry));
      frames.push(frame);
      bytes += frame.length;
      seq = entry.seq;
    }
    session.connection.write(Buffer.concat(frames));
    subscription.behind = { epoch: behind.epoch, seq };
  }

  /** A stream of its own, of this member alone: the same merge, the same verdicts, told to one connection. */
  async #stepFromStore(subscription: Subscription, behind: Position, limit: number): Promise<boolean> {
    const { session, room } = subscription;
    const frames: Buffer[] = [];
    let bytes = 0;
    let reached = behind;
    // What was read beyond the chunk is left for the next step. `own` is at a frame's position when it tells it.
    const tell = (frame: string | Buffer) => {
      if (bytes > this.#chunkBytes) return;
      const framed = textFrame(frame);
      frames.push(framed);
      bytes += framed.length;
      reached = own.cursor ?? reached;
    };
    const own = new RoomStream(
      this.#settings,
      {
        deliver: (entry) => tell(messageFrame(room, entry)),
        epoch: (position) => tell(encodeFrame({ type: 'epoch', room, ...position })),
        reset: (position, reason) => tell(encodeFrame({ type: 'reset', room, ...position, reason })),
      },
      behind,
    );
    const generation = own.readIssued();
    try {
      own.readAnswered(generation, await this.#read(room, behind, limit));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.debug({ room, error: reason }, 'slow consumer: read put off');
      return false;
    }
    if (!isCurrent(subscription)) return true;
    // Nothing where it is ahead of this node by what is still on its way here.
    if (frames.length > 0) session.connection.write(Buffer.concat(frames));
    subscription.behind = reached;
    return frames.length > 0;
  }

  /** Members who fell behind together, as after an outage, share their reads. */
  #read(room: string, behind: Position, limit: number): Promise<ReadResult> {
    const question = [room, behind.epoch, behind.seq, limit];
    return this.#reads.run(question, () => this.#kept.after(room, behind, limit));
  }

  /** What one step may write. Also where nobody is ever paused, an inbox is told in chunks. */
  get #chunkBytes(): number {
    return this.#settings.limitOutboxBytes || CHUNK_BYTES;
  }

  #isFull(session: Session): boolean {
    return session.connection.queuedBytes > this.#chunkBytes;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(RETRY_MS, resolve);
    });
  }

  #close(session: Session, { code, reason, logged }: typeof TOO_SLOW | typeof OVERLOAD): void {
    this.#sessions.delete(session);
    this.#logger.debug({ connection: session.id, queuedBytes: session.connection.queuedBytes }, logged);
    closeWith(session.connection, code, reason);
    this.#clock.after(CLOSE_PATIENCE_MS, () => session.connection.terminate());
  }
}

function isCurrent(subscription: Subscription): boolean {
  const { session, room } = subscription;
  return !session.closed && session.subscriptions.get(room) === subscription;
}
