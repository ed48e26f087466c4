/** Leave: out of the room at once, and out of its presence. A closed connection leaves everything, but is held for a while. */
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import type { Session } from '../core/session.ts';
import { isInboxRoom } from '../protocol/names.ts';
import type { FanOut } from './fan-out.ts';
import type { RoomInterest } from './interest.ts';
import type { LinkStatus } from './link-status.ts';
import type { PresenceWriter } from './presence-writer.ts';

export interface LeaveParts {
  readonly hub: Hub;
  readonly fanOut: FanOut;
  readonly interest: RoomInterest;
  readonly writer: PresenceWriter;
  readonly status: LinkStatus;
  readonly logger: Logger;
}

export function leave(parts: LeaveParts, session: Session, room: string): void {
  const subscription = session.subscriptions.get(room);
  // What was said before the leave is still for this member, its own last message first of all.
  if (subscription) parts.fanOut.flushTo(subscription);
  if (!parts.hub.leave(session, room)) return;
  parts.writer.leave(room, session.user, 'left');
  parts.interest.release(room);
  parts.status.roomsChanged(session);
  parts.logger.debug({ connection: session.id, user: session.user, room }, 'room left');
}

/** Who said leave and closed before its publishes were answered has left; anybody else is held, it may be a reload. */
function gone(writer: PresenceWriter, session: Session, room: string): void {
  if (session.queue.endsWithLeave(room)) writer.leave(room, session.user, 'left');
  else writer.close(room, session.user);
}

/** The connection is gone, clean or not: only `leave`, a kick or an expired token end membership at once. */
export function leaveAllClosed(parts: LeaveParts, session: Session): void {
  session.closed = true;
  for (const room of parts.hub.remove(session)) {
    // Whoever has the inbox open is in nobody's presence by that; the online state of the same name is hello's.
    if (!isInboxRoom(room)) gone(parts.writer, session, room);
    parts.interest.release(room);
    parts.logger.debug(
      { connection: session.id, user: session.user, room },
      'room left by a closed connection',
    );
  }
}
