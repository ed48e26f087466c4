/** The requests of a joined room, each to its use case, and its reply. */
import type { Broker } from '../broker/broker.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import type { PresenceSnapshot } from '../core/member.ts';
import type { Session } from '../core/session.ts';
import { encodeFrame, presenceReply } from '../protocol/encode.ts';
import type {
  HistoryFrame,
  JoinFrame,
  LeaveFrame,
  PresenceRequestFrame,
  PublishFrame,
  ReadFrame,
  SendFrame,
  SignalFrame,
  StateFrame,
} from '../protocol/messages.ts';
import { inboxOf, isInboxRoom } from '../protocol/names.ts';
import type { Access, Action } from './access.ts';
import { type HistorySettings, history } from './history.ts';
import { checkJoin, type JoinParts, type JoinSettings, join, stateText } from './join.ts';
import { leave } from './leave.ts';
import { presenceTold } from './presence-relay.ts';
import { type PayloadSettings, publish } from './publish.ts';
import type { RateGate } from './rate-gate.ts';
import { markRead } from './read.ts';
import { Refusal } from './refusal.ts';
import type { RequestId } from './replies.ts';
import type { Relay } from './relay.ts';
import { sendSignal } from './signal.ts';

export type RoomFrame =
  | JoinFrame
  | LeaveFrame
  | PublishFrame
  | HistoryFrame
  | SignalFrame
  | StateFrame
  | PresenceRequestFrame
  | SendFrame
  | ReadFrame;

/** The room a request is about: `send` and `read` name it by its user. */
export function roomOf(session: Session, frame: RoomFrame): string {
  if (frame.type === 'send') return inboxOf(frame.to);
  return frame.type === 'read' ? inboxOf(session.user) : frame.room;
}

export interface RoomRequestParts extends JoinParts {
  readonly broker: Broker;
  readonly access: Access;
  readonly rates: RateGate;
  readonly relay: Relay;
  readonly settings: JoinSettings & HistorySettings & PayloadSettings;
}

/** Pages of history that are read for one connection at a time, whatever the rooms. */
const PAGES_MAX = 4;

export class RoomRequests {
  readonly #parts: RoomRequestParts;
  /** Pages of history under way. */
  readonly #pages = new KeyedMutex();
  #pagesAsked = 0;

  constructor(parts: RoomRequestParts) {
    this.#parts = parts;
  }

  /**
   * Whether it need not wait for what its connection asked of the room before: while Redis is away a publish may be
   * tried for seconds, and all that would be refused behind it is refused at once. A signal is in no order
   * with a message whose outcome nobody knows; a leave is, so that nobody's message comes after it.
   */
  passes(frame: RoomFrame): boolean {
    return !this.#parts.status.isUp && frame.type !== 'leave';
  }

  /** Undefined where it is done already. Throws or rejects with a `Refusal` or `BrokerError` where it was not carried out. */
  handle(session: Session, frame: RoomFrame): Promise<void> | undefined {
    if (session.closed) return undefined;
    switch (frame.type) {
      case 'join':
        return this.#join(session, frame);
      case 'publish':
        return this.#publish(session, frame);
      case 'signal':
        return this.#signal(session, frame);
      case 'leave':
        return this.#leave(session, frame);
      case 'state':
        return this.#state(session, frame);
      case 'presence':
        return this.#presence(session, frame);
      case 'history':
        return this.#history(session, frame);
      case 'send':
        return this.#send(session, frame);
      case 'read':
        return this.#read(session, frame);
    }
  }

  #join(session: Session, frame: JoinFrame): Promise<void> {
    this.#parts.rates.join(session);
    this.#permit(session, 'join', frame.room);
    checkJoin(session, frame, this.#parts.settings);
    this.#parts.status.mustBeUp();
    // Joined again, a room takes the place it has.
    const places = session.subscriptions.has(frame.room) ? 0 : 1;
    session.joining += places;
    return join(this.#parts, session, frame).finally(() => {
      session.joining -= places;
    });
  }

  #publish(session: Session, frame: PublishFrame): Promise<void> {
    const { id, room } = frame;
    this.#parts.rates.connection(session);
    this.#joined(session, 'publish', room);
    this.#parts.rates.publish(session, room);
    return publish(this.#parts.broker, session, frame, this.#parts.settings).then(
      ({ epoch, seq, duplicate }) => {
        if (id === undefined) return;
        session.connection.send(
          encodeFrame({ type: 'ok', id, room, epoch, seq, ...(duplicate && { duplicate }) }),
        );
      },
    );
  }

  #signal(session: Session, frame: SignalFrame): undefined {
    this.#parts.rates.connection(session);
    this.#joined(session, 'signal', frame.room);
    this.#parts.rates.unstored(session);
    sendSignal(this.#parts.broker, session, frame, this.#parts.settings);
    return this.#ok(session, frame);
  }

  #leave(session: Session, frame: LeaveFrame): undefined {
    if (!session.subscriptions.has(frame.room)) throw notJoined('leave', frame.room);
    leave(this.#parts, session, frame.room);
    return this.#ok(session, frame);
  }

  #state(session: Session, frame: StateFrame): Promise<void> {
    this.#joined(session, 'state', frame.room);
    const { status, writer, settings } = this.#parts;
    const state = stateText(frame.state, settings.limitStateBytes);
    status.mustBeUp();
    // Sent when Redis goes away, it may arrive or not: what is said at once can only be that.
    const written = status.whileUp(writer.state(frame.room, session.user, state), 'unknown_outcome');
    return written.then(() => this.#ok(session, frame));
  }

  async #presence(session: Session, frame: PresenceRequestFrame): Promise<void> {
    const { id, room } = frame;
    // The online state of a user is no room to be joined; who may ask is the access port's to say. This node keeps
    // no copy of it: each question is one to the store, so it counts like a publish.
    if (isInboxRoom(room)) {
      this.#parts.rates.connection(session);
      this.#permit(session, 'presence', room);
    } else this.#joined(session, 'presence', room);
    const { status, writer, presence } = this.#parts;
    status.mustBeUp();
    // Its own `state` may be acknowledged before the change is heard: who asks next sees it all the same.
    const atLeast = writer.ledger.get(room, session.user)?.version ?? 0;
    const known = await status.whileUp(presence.view(room, atLeast));
    await this.#parts.replies.say(session, () => this.#tellPresence(session, id, room, known));
  }

  #tellPresence(session: Session, id: RequestId, room: string, known: PresenceSnapshot): void {
    const { presence } = this.#parts;
    const subscription = session.subscriptions.get(room);
    if (subscription) this.#parts.fanOut.flushTo(subscription);
    const view =
      subscription?.presence === 'full' ? presence.sealed(room, known) : presence.latest(room, known);
    presenceTold(session, room, view.version);
    session.connection.send(
      presenceReply({ id, room, version: view.version, count: view.count, members: view.members }),
    );
  }

  async #history(session: Session, frame: HistoryFrame): Promise<void> {
    if (isInboxRoom(frame.room)) this.#ownInbox(session, 'history', frame.room);
    else this.#joined(session, 'history', frame.room);
    const { broker, replies, settings } = this.#parts;
    this.#pagesAsked += 1;
    await this.#pages.run(`${session.id} ${this.#pagesAsked % PAGES_MAX}`, async () => {
      // Looked at before it is read, because it may be megabytes, and before it is sent, because others came before it.
      await replies.say(session, () => undefined);
      if (session.closed) return;
      const page = await history(broker, frame, settings);
      await replies.say(session, () => session.connection.send(page));
    });
  }

  #send(session: Session, { id, to, data, key }: SendFrame): Promise<void> {
    const room = inboxOf(to);
    this.#parts.rates.connection(session);
    this.#permit(session, 'send', room);
    this.#parts.rates.publish(session, room);
    return publish(this.#parts.broker, session, { room, data, key }, this.#parts.settings).then(
      ({ epoch, seq, duplicate }) => {
        if (id === undefined) return;
        session.connection.send(encodeFrame({ type: 'ok', id, epoch, seq, ...(duplicate && { duplicate }) }));
      },
    );
  }

  async #read(session: Session, frame: ReadFrame): Promise<void> {
    const room = inboxOf(session.user);
    this.#parts.rates.connection(session);
    this.#ownInbox(session, 'read', room);
    this.#parts.rates.unstored(session);
    await markRead(this.#parts.broker, this.#parts.relay, session, frame);
    if (frame.id !== undefined) session.connection.send(encodeFrame({ type: 'ok', id: frame.id }));
  }

  /** An inbox is its user's alone, on the connections that asked for it. */
  #ownInbox(session: Session, action: string, room: string): void {
    if (room !== inboxOf(session.user)) {
      throw new Refusal('forbidden', `${action} of "${room}" is its user's alone`);
    }
    if (session.awaitsInbox) throw new Refusal('unavailable', 'your inbox is not joined yet; Redis is away');
    if (!session.subscriptions.has(room)) {
      throw new Refusal('not_joined', `${action} needs your inbox, joined by "inbox" in hello`);
    }
  }

  #ok(session: Session, frame: LeaveFrame | SignalFrame | StateFrame): undefined {
    if (frame.id !== undefined)
      session.connection.send(encodeFrame({ type: 'ok', id: frame.id, room: frame.room }));
    return undefined;
  }

  #joined(session: Session, action: Action, room: string): void {
    if (!session.subscriptions.has(room)) throw notJoined(action, room);
    this.#permit(session, action, room);
  }

  #permit(session: Session, action: Action, room: string): void {
    if (!this.#parts.access.permits(session, action, room)) {
      throw new Refusal('forbidden', `the token does not allow to ${action} in room "${room}"`);
    }
  }
}

function notJoined(action: string, room: string): Refusal {
  return new Refusal('not_joined', `${action} needs room "${room}" to be joined by this connection first`);
}
