/**
 * Reads what a room keeps: the range after a position, or a page of history. A
 * room that does not exist yet is created by the first who looks, so that a
 * joiner has a position to come back with; a room that is held is kept alive.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts';
import { type MetaLife, metaTtlS } from '../../core/retention.ts';
import type { Logger } from '../../core/logger.ts';
import type { Position } from '../../protocol/position.ts';
import { BrokerError, type HistoryPage, type HistoryQuery, type ReadResult } from '../broker.ts';
import type { Keys } from './keys.ts';
import type { ReadQueue } from './read-queue.ts';
import {
  decodeHistory,
  decodeMark,
  decodeRead,
  readArguments,
  type Absent,
  type Decoded,
} from './read-reply.ts';
import type { ScriptName } from './scripts.ts';

export interface RoomReaderOptions {
  readonly settings: MetaLife;
  readonly queue: Pick<ReadQueue, 'run'>;
  readonly keys: Pick<Keys, 'meta' | 'log'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Entries of an unknown format were met. */
  readonly unreadable: (room: string, count: number) => void;
  /** The rooms to keep alive. */
  readonly heldRooms: () => readonly string[];
}

/** Every held room's meta is refreshed this often, or half as often where rooms come and go; META_TTL_S is ten minutes at least. */
export const REFRESH_MS = 60_000;
/** The refresh of all rooms is spread over as many pages. */
const REFRESH_PAGES = 60;
/** A room is created twice only if its meta vanished between creating and reading. */
const CREATE_TRIES_MAX = 3;

export class RoomReader {
  readonly #options: RoomReaderOptions;
  #refreshing: Timer | undefined;
  #toRefresh: readonly string[] = [];
  #refreshed = 0;
  #page = 0;

  constructor(options: RoomReaderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#refreshing = this.#options.clock.every(REFRESH_MS / REFRESH_PAGES, () => this.#refreshPage());
  }

  stop(): void {
    this.#refreshing?.cancel();
  }

  /**
   * Creates the room while its channel is being subscribed to, so that the first read finds it: without this the
   * first joiner of a room waits for three answers in turn, "absent", "created" and what it asked for. Where it
   * fails, the read creates the room.
   */
  prepare(room: string): void {
    this.#init(room).catch((error: unknown) => {
      this.#options.logger.debug({ reason: String(error) }, 'a room was not created ahead of its first read');
    });
  }

  read(room: string, since: Position | null, limit: number): Promise<ReadResult> {
    return this.#created(room, 'read', this.#keysOf(room), readArguments(since, limit), decodeRead);
  }

  history(room: string, { before, after, limit }: HistoryQuery): Promise<HistoryPage> {
    const args = [before, after, limit].map((bound) => (bound === undefined ? '' : String(bound)));
    return this.#created(room, 'history', this.#keysOf(room), args, decodeHistory);
  }

  readMark(room: string): Promise<Position> {
    return this.#created(room, 'read-mark', [this.#options.keys.meta(room)], [], decodeMark);
  }

  async #created<Result>(
    room: string,
    script: ScriptName,
    keys: readonly string[],
    args: readonly string[],
    decode: (reply: unknown) => Decoded<Result> | Absent,
  ): Promise<Result> {
    const { queue } = this.#options;
    for (let tries = 1; tries <= CREATE_TRIES_MAX; tries += 1) {
      const decoded = decode(await queue.run(script, keys, args));
      if (decoded !== 'absent') {
        if (decoded.unreadable > 0) this.#options.unreadable(room, decoded.unreadable);
        return decoded.result;
      }
      await this.#init(room);
    }
    throw new BrokerError('unavailable', 'the room vanishes as soon as it is created');
  }

  #init(room: string): Promise<unknown> {
    const { queue, random, settings } = this.#options;
    return queue.run('init', this.#keysOf(room), [random.token(), String(metaTtlS(room, settings))]);
  }

  #keysOf(room: string): string[] {
    const { keys } = this.#options;
    return [keys.meta(room), keys.log(room)];
  }

  /** Each second one page, so that a node with 10,000 rooms adds a steady trickle instead of a burst a minute. */
  #refreshPage(): void {
    if (this.#page === 0) {
      this.#toRefresh = this.#options.heldRooms();
      this.#refreshed = 0;
    }
    this.#page = (this.#page + 1) % REFRESH_PAGES;
    const until = this.#page === 0 ? this.#toRefresh.length : this.#pageEnd();
    for (const room of this.#toRefresh.slice(this.#refreshed, until)) {
      this.#init(room).catch((error: unknown) => {
        this.#options.logger.debug({ reason: String(error) }, 'a room was not kept alive this time');
      });
    }
    this.#refreshed = until;
  }

  #pageEnd(): number {
    return Math.ceil((this.#toRefresh.length * this.#page) / REFRESH_PAGES);
  }
}
