/** Leave: out of the room at once, and out of its presence. What a closed connection leaves behind is closed-sessions.ts'. */
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import type { Session } from '../core/session.ts';
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
