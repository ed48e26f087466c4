/**
 * The client's side of one room: takes frames in order, keeps the position that a later join gives back as
 * `since`, and says when continuity breaks. It outlives connections and knows nothing of them.
 */
import { safeText } from '../ops/redact.ts';
import type {
  JoinedFrame,
  MessageFrame,
  OkPresenceFrame,
  PresenceFrame,
  ServerFrame,
} from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
import { Refused } from './replies.ts';

export type PlacedMessage = Omit<MessageFrame, 'type' | 'room'> & { readonly epoch: string };

/** All called in the order of arrival, and none after `end`. */
export interface SubscriptionEvents {
  /** After every join, before the messages it brought. */
  joined?(frame: JoinedFrame): void;
  message?(message: PlacedMessage): void;
  presence?(frame: PresenceFrame | OkPresenceFrame): void;
  /** The server put this user out of the room. */
  left(reason: string): void;
  /** For people: what happened to continuity or to the node. */
  note(text: string): void;
}

export class Subscription {
  readonly #room: string;
  readonly #events: SubscriptionEvents;
  #position: Position | undefined;
  #ended = false;

  constructor(room: string, since: Position | undefined, events: SubscriptionEvents) {
    this.#room = room;
    this.#events = events;
    this.#position = since;
  }

  /** What to give as `since` to go on from here; undefined before the first join. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Nothing more is told. The position stays that of the last message that was. */
  end(): void {
    this.#ended = true;
  }

  receive(frame: ServerFrame): void {
    if (this.#ended || ('room' in frame && frame.room !== undefined && frame.room !== this.#room)) return;
    switch (frame.type) {
      case 'joined':
        return this.#joined(frame);
      case 'message':
        return this.#message(frame, this.#position?.epoch ?? '');
      case 'epoch':
        // Nothing was lost; only the name of the stream changed. The seq stays that of the last message seen.
        this.#position = { epoch: frame.epoch, seq: this.#position?.seq ?? frame.seq };
        return;
      case 'reset':
        this.#events.note(
          `continuity broke after seq ${this.#position?.seq ?? 0} (${frame.reason}): next is seq ${frame.seq + 1}`,
        );
        this.#position = { epoch: frame.epoch, seq: frame.seq };
        return;
      case 'presence':
        return this.#events.presence?.(frame);
      case 'ok':
        return 'version' in frame ? this.#events.presence?.(frame) : undefined;
      case 'status':
        return this.#events.note(
          frame.redis === 'down' ? 'the node lost Redis, waiting' : 'the node has Redis again',
        );
      case 'left':
        return this.#events.left(frame.reason);
      case 'closing':
        return this.#events.note(`the server is closing: ${safeText(frame.reason)}`);
      case 'error':
        // One with an id is the answer to a request, and told there.
        return frame.id === undefined ? this.#events.note(new Refused(frame).message) : undefined;
      default:
        return;
    }
  }

  #joined(frame: JoinedFrame): void {
    const since = this.#position;
    if (since !== undefined) this.#events.note(sayResumed(since, frame));
    this.#events.joined?.(frame);
    const first = frame.messages[0]?.seq ?? frame.seq + 1;
    this.#position = { epoch: frame.epoch, seq: first - 1 };
    // They end at frame.seq. Ended half-way through, the position stays that of the last message told.
    for (const message of frame.messages) this.#message(message, frame.epoch);
  }

  #message(message: Omit<MessageFrame, 'type' | 'room'>, epoch: string): void {
    if (this.#ended) return;
    const { seq, ts, from, key, data } = message;
    const expected = (this.#position?.seq ?? 0) + 1;
    if (seq !== expected) this.#events.note(`the server sent seq ${seq} where ${expected} was next`);
    this.#position = { epoch, seq };
    this.#events.message?.({ epoch, seq, ts, from, key, data });
  }
}

function sayResumed(since: Position, frame: JoinedFrame): string {
  if (frame.recovered === true) {
    const count = frame.messages.length;
    return `resumed after seq ${since.seq} with ${count} missed message${count === 1 ? '' : 's'}`;
  }
  const why = frame.reason ?? 'no reason given';
  return `could not resume after seq ${since.seq} (${why}): going on after seq ${frame.seq}, what lies between is not shown`;
}
