/**
 * Join: hear the room and be present in it, get what was missed, and from the next
 * message on get everything. The reply, the place among the members and the
 * position are set in one turn of the event loop, so that nothing is heard
 * between them: no message is missed and none comes twice. Each step that
 * succeeded is undone where a later one fails, and none is waited for once Redis is away.
 */
import { BrokerError } from '../broker/broker.ts';
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import type { PresenceSnapshot } from '../core/member.ts';
import { NO_STATE } from '../core/presence-ledger.ts';
import type { Session, Subscription } from '../core/session.ts';
import { joinedFrame } from '../protocol/encode.ts';
import type { JoinFrame } from '../protocol/messages.ts';
import type { CatchUp, Missed, Wanted } from './catch-up.ts';
import type { FanOut } from './fan-out.ts';
import type { RoomInterest } from './interest.ts';
import type { LargeReplies } from './large-replies.ts';
import type { LinkStatus } from './link-status.ts';
import type { PresenceRelay } from './presence-relay.ts';
import type { PresenceWriter } from './presence-writer.ts';
import { Refusal } from './refusal.ts';

export interface JoinSettings {
  readonly limitRoomsPerConnection: number;
  readonly limitHistoryMessages: number;
  readonly limitStateBytes: number;
}

export interface JoinParts {
  readonly hub: Hub;
  readonly fanOut: FanOut;
  readonly interest: RoomInterest;
  readonly catchUp: CatchUp;
  readonly presence: PresenceRelay;
  readonly writer: PresenceWriter;
  readonly status: LinkStatus;
  readonly replies: LargeReplies;
  readonly logger: Logger;
  readonly settings: JoinSettings;
}

/** Refuses at once what can be refused without asking anybody. */
export function checkJoin(session: Session, frame: JoinFrame, settings: JoinSettings): void {
  const rooms = session.rooms + session.joining;
  const again = session.subscriptions.has(frame.room);
  if (!again && settings.limitRoomsPerConnection > 0 && rooms >= settings.limitRoomsPerConnection) {
    throw new Refusal(
      'limit_exceeded',
      `this connection is in ${settings.limitRoomsPerConnection} rooms, the most it may be in; leave one first`,
    );
  }
  if (
    frame.history !== undefined &&
    settings.limitHistoryMessages > 0 &&
    frame.history > settings.limitHistoryMessages
  ) {
    throw new Refusal(
      'bad_request',
      `join takes "history" up to ${settings.limitHistoryMessages}, got ${frame.history}; page further back with "history"`,
    );
  }
}

/** The JSON text of a state, within its limit. */
export function stateText(state: object, bytesMax: number): string {
  const text = JSON.stringify(state);
  const bytes = Buffer.byteLength(text);
  if (bytesMax > 0 && bytes > bytesMax) {
    throw new Refusal('limit_exceeded', `"state" has ${bytes} bytes as JSON; at most ${bytesMax} are kept`);
  }
  return text;
}

export async function join(parts: JoinParts, session: Session, frame: JoinFrame): Promise<void> {
  const { room } = frame;
  const { status, interest } = parts;
  const state = frame.state && stateText(frame.state, parts.settings.limitStateBytes);
  const undo: (() => void)[] = [];
  // A state given where this node did not have the user may stay when the join is undone: nobody here knows which
  // one it took the place of, that of a connection of the user on another node.
  const mine = parts.writer.ledger.get(room, session.user);
  let mayStay = state !== undefined && (!mine || mine.leaving !== undefined);
  let end: 'joined' | 'refused' | undefined;
  try {
    const heard = interest.acquire(room);
    undo.push(() => void heard.then(() => interest.release(room), nothingToRelease));
    // Both at once: what is heard of the room from now on and the snapshot below meet at this version or above it.
    const entered = enter(parts, session, room, state, undo);
    entered.catch((error: unknown) => {
      if (saysNotApplied(error)) mayStay = false;
    });
    const [version] = await status.whileUp(Promise.all([entered, heard]));
    const view = await status.whileUp(parts.presence.view(room, version));
    // Set through another node before this one had the user: a later rebuild must not write an empty state in its place.
    const known = view.members?.find(({ user }) => user === session.user);
    if (known) parts.writer.ledger.heardState(room, known.user, known.state);
    const drained = () => parts.replies.whenTaken(session);
    await status.whileUp(
      parts.catchUp.missed(room, wantedBy(frame), drained, (missed) => {
        if (session.closed) throw new Refusal('unavailable', 'the connection closed while it joined');
        if (end === 'refused') throw new Refusal('unavailable', 'the join was refused meanwhile');
        attach(parts, session, frame, missed, view);
        end = 'joined';
      }),
    );
  } catch (error) {
    // Redis went away in the moment after the reply: that is told as `status`, and the join stands.
    if (end === 'joined') return;
    end = 'refused';
    for (const step of undo.reverse()) step();
    if (mayStay && saysNotApplied(error)) {
      throw new BrokerError('unknown_outcome', `the join failed, but its state may be set: ${error.message}`);
    }
    throw error;
  }
}

function saysNotApplied(error: unknown): error is BrokerError | Refusal {
  return (error instanceof BrokerError || error instanceof Refusal) && error.code === 'unavailable';
}

/** An `acquire` that rejects holds nothing, and whoever waited for it was told why. */
function nothingToRelease(): void {}

/** A connection is counted once per room: joining again only replaces its subscription. */
function enter(
  parts: JoinParts,
  session: Session,
  room: string,
  state: string | undefined,
  undo: (() => void)[],
): Promise<number> {
  const { writer } = parts;
  const mine = writer.ledger.get(room, session.user);
  const wasHeld = mine?.heldUntilMs !== undefined;
  if (state !== undefined) {
    const before = mine && !mine.leaving ? mine.state : NO_STATE;
    undo.push(() => writer.takeBack(room, session.user, state, before));
  }
  if (session.subscriptions.has(room)) {
    // Not before what its user was told to be set.
    if (state === undefined) return Promise.resolve(mine?.version ?? 0);
    return writer.state(room, session.user, state);
  }
  // A connection that is gone is held like any other, and one that came back keeps the hold of before: without
  // this, a reload in the middle of a join, or one whose join is refused, shows a leave.
  undo.push(() => {
    if (session.closed || wasHeld) writer.close(room, session.user);
    else writer.leave(room, session.user, 'left');
  });
  return writer.enter(room, session.user, state);
}

function wantedBy(frame: JoinFrame): Wanted {
  return frame.since ? { since: frame.since } : { newest: frame.history ?? 0 };
}

function attach(
  parts: JoinParts,
  session: Session,
  frame: JoinFrame,
  missed: Missed,
  known: PresenceSnapshot,
): void {
  const { room } = frame;
  // Who joins anew is still given what was said to the subscription that ends here, as who leaves is.
  const former = session.subscriptions.get(room);
  if (former) parts.fanOut.flushTo(former);
  const presence = frame.presence ?? 'full';
  // Only diffs are steps from what the joiner is told; without them a storm of joins stays one change.
  const view = presence === 'full' ? parts.presence.sealed(room, known) : parts.presence.latest(room, known);
  const subscription: Subscription = {
    session,
    room,
    presence,
    connection: session.connection,
    // What waits to be written is part of the reply; only the members of before get it as frames.
    nextItem: parts.fanOut.nextItem,
    presenceFrom: view.version,
    behind: undefined,
    missedPresence: false,
  };
  // The subscription now holds the interest of this join; one that it replaces gives its own back.
  if (former) parts.interest.release(room);
  parts.hub.join(subscription);
  session.connection.send(
    joinedFrame(
      {
        id: frame.id,
        room,
        ...missed.at,
        ...(frame.since && { recovered: missed.reason === undefined }),
        ...(missed.reason && { reason: missed.reason }),
        count: view.count,
        version: view.version,
        ...(presence === 'full' && view.members && { members: view.members }),
      },
      missed.entries,
    ),
  );
  const { epoch, seq } = missed.at;
  parts.logger.debug(
    { connection: session.id, user: session.user, room, epoch, seq, reason: missed.reason },
    'room joined',
  );
}
