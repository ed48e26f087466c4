/**
 * The rooms of the embedded broker in two stores with a budget each: rooms, and
 * inboxes, which live for days. In one store either kind would push the other
 * out: a week of unread messages the history of busy rooms, or a busy hour the
 * unread messages of everybody who is away.
 */
import { logTtlS, messagesKept, metaTtlS, type RetentionSettings } from '../../core/retention.ts';
import type { Clock, Random } from '../../core/clock.ts';
import { INBOX_PREFIX, isInboxRoom } from '../../protocol/names.ts';
import { RoomStore, type RoomStoreLimits } from './room-store.ts';

/** Inboxes remembered beyond those in use; those used least recently go first. */
const INBOXES_MAX = 100_000;
/** All messages in inboxes together. What was sent to least recently goes first, and its user is told `trimmed`. */
const INBOX_BYTES_TOTAL_MAX = 128 * 1024 * 1024;

interface RoomStoresOptions {
  readonly settings: RetentionSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly isHeard: (room: string) => boolean;
  readonly inboxLimits?: RoomStoreLimits;
}

export class RoomStores {
  readonly #rooms: RoomStore;
  readonly #inboxes: RoomStore;

  constructor({ settings, inboxLimits, ...options }: RoomStoresOptions) {
    const kept = (room: string) => ({
      historyMessages: messagesKept(room, settings),
      historyTtlS: logTtlS(room, settings),
      metaTtlS: metaTtlS(room, settings),
    });
    this.#rooms = new RoomStore({ ...options, settings: kept('') });
    this.#inboxes = new RoomStore({
      ...options,
      settings: kept(INBOX_PREFIX),
      limits: inboxLimits ?? { roomsMax: INBOXES_MAX, logBytesTotalMax: INBOX_BYTES_TOTAL_MAX },
    });
  }

  /** Where the room of this name is kept. */
  of(name: string): RoomStore {
    return isInboxRoom(name) ? this.#inboxes : this.#rooms;
  }

  sweep(): void {
    this.#rooms.sweep();
    this.#inboxes.sweep();
  }
}
