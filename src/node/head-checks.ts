/**
 * Compares live rooms that were silent for a minute with the store, in case a
 * subscription died unseen, or the store went back behind what was heard of it. A
 * node may hear tens of thousands of such rooms: they are taken page by page and a
 * few at a time, so that the queue of reads stays free for who waits for one.
 */
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { RoomStream } from '../core/room-stream.ts';
import type { Position } from '../protocol/position.ts';

export interface HeadChecked {
  readonly stream: Pick<RoomStream, 'live' | 'cursor'>;
  heardAtMs: number;
}

export interface HeadCheckEvents {
  /** The store has another end of the room than this node. */
  differs(room: string): void;
  presenceVersion(room: string, version: number): void;
}

const SILENT_MS = 60_000;
/** Of all rooms, at most this part in one page: with a page every five seconds each has its turn in a minute. */
const PAGES = 12;
/** A page of a small node is all that is due. */
const PAGE_ROOMS_MIN = 64;
/** Reads under way; the queue takes 64, and refuses joins when 10,000 wait in it. */
const READS_MAX = 8;

export class HeadChecks {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #rooms: ReadonlyMap<string, HeadChecked>;
  readonly #events: HeadCheckEvents;
  #running = false;

  constructor(
    broker: Broker,
    clock: Clock,
    logger: Logger,
    rooms: ReadonlyMap<string, HeadChecked>,
    events: HeadCheckEvents,
  ) {
    this.#broker = broker;
    this.#clock = clock;
    this.#logger = logger;
    this.#rooms = rooms;
    this.#events = events;
  }

  /** The next page; nothing while the one before is not done. Called every five seconds. */
  async page(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const due = this.#due();
    const one = async () => {
      for (let room = due.pop(); room !== undefined; room = due.pop()) await this.#check(room);
    };
    await Promise.all(Array.from({ length: READS_MAX }, one));
    this.#running = false;
  }

  #due(): string[] {
    const silentSince = this.#clock.now() - SILENT_MS;
    const most = Math.max(PAGE_ROOMS_MIN, Math.ceil(this.#rooms.size / PAGES));
    const due: string[] = [];
    for (const [room, { stream, heardAtMs }] of this.#rooms) {
      if (due.length === most) break;
      if (stream.live && heardAtMs <= silentSince) due.push(room);
    }
    return due;
  }

  async #check(room: string): Promise<void> {
    const checked = this.#rooms.get(room);
    const before = checked?.stream.cursor;
    if (!checked?.stream.live || !before) return;
    checked.heardAtMs = this.#clock.now();
    try {
      const head = await this.#broker.read(room, null, 1);
      const { live, cursor } = checked.stream;
      if (this.#rooms.get(room) !== checked || !live || !cursor) return;
      this.#events.presenceVersion(room, head.presenceVersion);
      if (isAnotherEnd(head, before, cursor)) this.#events.differs(room);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.debug({ room, error: reason }, 'relay: head check failed');
    }
  }
}

/**
 * `before` was heard before the store was asked, so a store whose top is lower has lost something, also under the
 * same epoch: a failover to a replica that lagged, or an append-only file that was cut. New messages then get
 * numbers that were heard already, and without this they would be taken for repetitions.
 */
function isAnotherEnd(head: { epoch: string; top: number }, before: Position, now: Position): boolean {
  if (head.epoch !== now.epoch || head.top > now.seq) return true;
  return head.epoch === before.epoch && head.top < before.seq;
}
