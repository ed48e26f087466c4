/**
 * The relay: what the broker tells, in; what members of this node's rooms are
 * told, out. It drives one `RoomStream` per followed room: on a gap, a foreign
 * epoch or a lost link it reads the missing range once per room and node, so
 * that clients notice a few milliseconds of latency and nothing else.
 *
 * This is the only path by which a message reaches a socket, also for the
 * publisher and also on a single node.
 */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../core/clock.ts';
import type { Entry } from '../core/entry.ts';
import { splicedFrame, textFrame } from '../core/frame.ts';
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import { entryBytes } from '../core/room-buffer.ts';
import type { MessagesKept } from '../core/retention.ts';
import { RoomStream, type StreamLimits } from '../core/room-stream.ts';
import { encodeFrame, messageHead, messageStart } from '../protocol/encode.ts';
import type { EpochFrame, ResetFrame } from '../protocol/messages.ts';
import type { Position, ResetReason } from '../protocol/position.ts';
import type { FanOut } from './fan-out.ts';
import { HeadChecks } from './head-checks.ts';
import { entriesOf, KeptReads } from './kept-reads.ts';
import { RingBudget } from './ring-budget.ts';

export interface RelaySettings extends StreamLimits, MessagesKept {
  readonly ringBytesTotal: number;
  readonly syncBytesTotal: number;
}

interface Followed {
  readonly stream: RoomStream;
  /** What its messages begin with. */
  readonly start: string;
  heardAtMs: number;
  retryMs: number;
  /** What members were told last: where they are before the next frame. */
  told: Position | undefined;
  /** Joins that wait for the room to be live. */
  waiting: Set<() => void>;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** What one read of a missing range may bring, at most: after a lost link, 64 rooms are read at a time. */
const CHUNK_ENTRIES = 128;
const CHUNK_BYTES = 1_048_576;

/** The sum over all rooms is taken once per so many bytes held back, not per message. */
const BUFFER_CHECK_BYTES = 1_048_576;

export interface RelayEvents {
  /** The room is contiguous again; its members were told all that was missed. */
  live(room: string): void;
  /** A head check told the room's presence version. */
  presenceVersion(room: string, version: number): void;
}

export class Relay {
  readonly #kept: KeptReads;
  readonly #heads: HeadChecks;
  readonly #hub: Hub;
  readonly #fanOut: FanOut;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: RelaySettings;
  readonly #events: RelayEvents;
  readonly #rooms = new Map<string, Followed>();
  readonly #rings: RingBudget;
  #bufferedUnchecked = 0;

  constructor(
    broker: Broker,
    hub: Hub,
    fanOut: FanOut,
    clock: Clock,
    logger: Logger,
    settings: RelaySettings,
    events: RelayEvents,
  ) {
    this.#kept = new KeptReads(broker, settings);
    this.#hub = hub;
    this.#fanOut = fanOut;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
    this.#events = events;
    this.#rings = new RingBudget(settings.ringBytesTotal);
    this.#heads = new HeadChecks(broker, clock, logger, this.#rooms, {
      differs: (room) => this.gap(room),
      presenceVersion: (room, version) => events.presenceVersion(room, version),
    });
  }

  /** Follows a room whose channel was acknowledged: finds its top, then everything after it. */
  follow(room: string): void {
    if (this.#rooms.has(room)) return;
    const followed: Followed = {
      stream: new RoomStream(this.#settings, {
        deliver: (entry) => this.#deliver(room, entry),
        epoch: (position) => this.#tell(room, position, { type: 'epoch', room, ...position }),
        reset: (position, reason) => this.#reset(room, position, reason),
      }),
      start: messageStart(room),
      heardAtMs: this.#clock.now(),
      retryMs: RETRY_MIN_MS,
      told: undefined,
      waiting: new Set(),
    };
    this.#rooms.set(room, followed);
    this.#read(room, followed);
  }

  unfollow(room: string): void {
    this.#rooms.delete(room);
    this.#rings.forget(room);
  }

  stream(room: string): RoomStream | undefined {
    return this.#rooms.get(room)?.stream;
  }

  /** What was read for a joiner is kept for the next ones. `keptFrom`: the store keeps nothing before it. */
  backfill(room: string, epoch: string, entries: readonly Entry[], keptFrom?: number): void {
    const stream = this.#rooms.get(room)?.stream;
    if (!stream) return;
    stream.backfill(epoch, entries, keptFrom);
    this.#rings.touch(room, stream);
  }

  isLive(room: string): boolean {
    return this.#rooms.get(room)?.stream.live ?? false;
  }

  /** Calls back once, in the turn in which the room is live and at or beyond the condition; returns how to stop waiting. */
  whenLive(room: string, enough: (cursor: Position) => boolean, then: () => void): () => void {
    const followed = this.#rooms.get(room);
    if (!followed) return () => undefined;
    const look = () => {
      const { live, cursor } = followed.stream;
      if (!live || !cursor || !enough(cursor)) return;
      followed.waiting.delete(look);
      then();
    };
    followed.waiting.add(look);
    look();
    return () => followed.waiting.delete(look);
  }

  message(room: string, epoch: string, entry: Entry): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    followed.heardAtMs = this.#clock.now();
    if (followed.stream.heard(epoch, entry) === 'read') this.#read(room, followed);
    else if (followed.stream.live) this.#wake(followed);
    else this.#boundBuffers(entryBytes(entry));
  }

  /** Something of the room could not be understood: read it instead. */
  gap(room: string): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    followed.stream.suspect();
    this.#read(room, followed);
  }

  /** The link is gone: no room can be trusted until it was acknowledged anew and read. */
  linkLost(): void {
    for (const { stream } of this.#rooms.values()) stream.suspect();
  }

  /** The room is heard again: what was missed is read now. */
  subscribed(room: string): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    followed.stream.suspect();
    followed.retryMs = RETRY_MIN_MS;
    this.#read(room, followed);
  }

  /** Compares rooms that were silent for a minute with the store; called every five seconds. */
  checkSilentRooms(): void {
    void this.#heads.page();
  }

  #read(room: string, followed: Followed): void {
    const generation = followed.stream.readIssued();
    const limit = entriesOf(CHUNK_BYTES, followed.stream.ring, CHUNK_ENTRIES);
    this.#kept.after(room, followed.stream.cursor, limit).then(
      (result) => {
        if (this.#rooms.get(room) !== followed) return;
        followed.retryMs = RETRY_MIN_MS;
        if (followed.stream.readAnswered(generation, result) === 'read') this.#read(room, followed);
        else if (followed.stream.live) this.#becameLive(room, followed);
      },
      (error: unknown) => {
        this.#logger.debug({ room, error: messageOf(error) }, 'relay: read failed, will be repeated');
        this.#readLater(room, followed, generation);
      },
    );
  }

  /** Repeated for as long as it takes; members stay, and are told nothing wrong. */
  #readLater(room: string, followed: Followed, generation: number): void {
    this.#clock.after(followed.retryMs, () => {
      if (this.#rooms.get(room) === followed && followed.stream.isCurrent(generation))
        this.#read(room, followed);
    });
    followed.retryMs = Math.min(followed.retryMs * 2, RETRY_MAX_MS);
  }

  #becameLive(room: string, followed: Followed): void {
    // Who joins from here on is at the cursor, whether or not a frame led there.
    followed.told = followed.stream.cursor ?? undefined;
    this.#wake(followed);
    this.#events.live(room);
  }

  #wake(followed: Followed): void {
    for (const look of followed.waiting) look();
  }

  #deliver(room: string, entry: Entry): void {
    const followed = this.#rooms.get(room);
    const cursor = followed?.stream.cursor;
    if (!followed || !cursor) return;
    this.#rings.touch(room, followed.stream);
    const before = followed.told;
    followed.told = cursor;
    if (this.#hub.members(room).size === 0) return;
    this.#fanOut.append(room, splicedFrame(messageHead(followed.start, entry), entry.body), { before });
  }

  #reset(room: string, position: Position, reason: ResetReason): void {
    const members = this.#hub.members(room).size;
    if (members > 0) this.#logger.warn({ room, reason, members, seq: position.seq }, 'room reset');
    this.#tell(room, position, { type: 'reset', room, ...position, reason });
  }

  #tell(room: string, after: Position, frame: EpochFrame | ResetFrame): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    const before = followed.told;
    followed.told = after;
    if (this.#hub.members(room).size > 0)
      this.#fanOut.append(room, textFrame(encodeFrame(frame)), { before });
  }

  /** Node-wide cap on what syncing rooms hold back: over it they read again instead. */
  #boundBuffers(addedBytes: number): void {
    this.#bufferedUnchecked += addedBytes;
    if (this.#bufferedUnchecked < BUFFER_CHECK_BYTES) return;
    this.#bufferedUnchecked = 0;
    let bytes = 0;
    for (const { stream } of this.#rooms.values()) bytes += stream.bufferedBytes;
    if (bytes <= this.#settings.syncBytesTotal) return;
    for (const { stream } of this.#rooms.values()) stream.overflow();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
