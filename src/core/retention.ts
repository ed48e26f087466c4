/**
 * How much is kept of a room, and for how long. There are two kinds: rooms that
 * people are in together, whose history only has to outlive a reconnect, and
 * inboxes, which are kept for somebody who may be away for days. Whoever writes
 * a room's keys or reads all of it asks here, so that nobody shortens the life
 * of an inbox by treating it as a room.
 */
import { isInboxRoom } from '../protocol/names.ts';

export interface MessagesKept {
  readonly historyMessages: number;
  readonly inboxMessages: number;
}

export interface MetaLife {
  readonly metaTtlS: number;
  readonly inboxTtlS: number;
}

export interface RetentionSettings extends MessagesKept, MetaLife {
  readonly historyTtlS: number;
}

/** The newest messages the store keeps of a room. */
export function messagesKept(room: string, settings: MessagesKept): number {
  return isInboxRoom(room) ? settings.inboxMessages : settings.historyMessages;
}

/** Seconds after its last message until a room's messages are forgotten together. */
export function logTtlS(room: string, settings: RetentionSettings): number {
  return isInboxRoom(room) ? settings.inboxTtlS : settings.historyTtlS;
}

/**
 * Seconds after its last use until a room's position is forgotten. Twice as long
 * as its messages: a log without its position is of an earlier life and is thrown
 * away, so meta that expired first would take unread messages with it.
 */
export function metaTtlS(room: string, settings: MetaLife): number {
  return isInboxRoom(room) ? Math.max(settings.metaTtlS, 2 * settings.inboxTtlS) : settings.metaTtlS;
}
