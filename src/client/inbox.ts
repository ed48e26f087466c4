/**
 * The inbox of this user: a room of its own that `hello` joins, with a read mark all devices share.
 *
 * The mark is a position, because a seq alone lies once Redis lost data: seq 5 of the stream that was lost
 * would mark five messages of the new one that nobody saw (docs/decisions/0013). It goes where its stream
 * goes: on through an `epoch`, which keeps all that was seen here, and not beyond a break.
 */
import type { Position } from '../protocol/position.ts';
import type { Inbox } from './api.ts';
import type { Desk } from './desk.ts';
import { RoomcastError } from './errors.ts';
import { Feed } from './feed.ts';
import { Told } from './told.ts';

interface Mark {
  /** None before the first `joined`: then the server takes it for the stream that it tells. */
  readonly epoch: string | undefined;
  readonly seq: number;
}

export class InboxSubscription extends Feed<unknown> implements Inbox {
  mark: Told<Mark>;
  readonly #wanted: true | Position | undefined;

  constructor(desk: Desk, wanted: true | Position | undefined) {
    super();
    this.#wanted = wanted;
    if (wanted !== true) this.stream.position = wanted;
    const mark = () => new Told<Mark>(desk, ({ epoch, seq }) => ({ type: 'read', epoch, seq }));
    this.mark = mark();
    // A new one, so that no answer to the old one can count for it. First of all listeners: theirs may mark again.
    this.on('reset', () => {
      this.mark.end(new RoomcastError('bad_request', 'reset'));
      this.mark = mark();
    });
  }

  /** What hello asks for. */
  get asked(): true | Position | undefined {
    return this.#wanted && (this.position ?? true);
  }

  read(seq: number): Promise<void> {
    return this.mark.set({
      epoch: this.position?.epoch,
      seq: Math.max(seq, this.mark.value?.seq ?? 0),
    });
  }
}
