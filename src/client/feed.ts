/**
 * A stream of messages as an application meets it: events and loops. What rooms and inboxes have in common:
 * each message goes to every listener and every loop once, in order, and a break is told before what follows it.
 */
import type { JoinedFrame, ResetFrame, ServerFrame } from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
import type { FeedEvents, IterationOptions, Message } from './api.ts';
import { Emitter } from './emitter.ts';
import { iterate, type Push } from './iteration.ts';
import { Stream } from './stream.ts';

const BUFFER_MAX = 1000;

export class Feed<Data, Events extends FeedEvents<Data> = FeedEvents<Data>> extends Emitter<Events> {
  readonly stream = new Stream();
  readonly #loops = new Set<Push<Message<Data>>>();

  get position() {
    return this.stream.position;
  }

  /** Takes what is about the stream. Whether a message before this one is missing. */
  follow(frame: ServerFrame): boolean {
    const previous = this.position;
    if (frame.type === 'joined') this.enter(frame);
    else if (frame.type === 'epoch') this.stream.move(frame.epoch);
    else if (frame.type === 'reset') {
      this.stream.move(frame.epoch, frame.seq);
      this.#reset(frame, previous);
    } else if (frame.type === 'message') {
      const { type: _type, ...rest } = frame;
      const verdict = this.stream.take(rest);
      if (verdict === 'new') this.#deliver({ ...rest, epoch: previous?.epoch } as Message<Data>);
      return verdict === 'gap';
    }
    return false;
  }

  /** What came with a `joined`, delivered. */
  enter(frame: JoinedFrame): Message<Data>[] {
    const { epoch, room, recovered } = frame;
    const previous = this.position;
    const fresh = this.stream
      .join(frame, frame.messages, recovered)
      .map((one) => ({ ...one, room, epoch }) as Message<Data>);
    if (recovered === false) this.#reset(frame, previous);
    for (const message of fresh) this.#deliver(message);
    if (recovered) this.emit('recovered', { messages: fresh.length } as Events['recovered']);
    return fresh;
  }

  iterate({ buffer = BUFFER_MAX }: IterationOptions = {}): AsyncIterableIterator<Message<Data>> {
    return iterate((push) => {
      this.#loops.add(push);
      return () => this.#loops.delete(push);
    }, buffer);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<Data>> {
    return this.iterate();
  }

  /** Ends the loops; listeners stay. */
  endLoops(): void {
    for (const push of this.#loops) push(undefined);
  }

  #reset({ reason = 'lost', epoch, seq }: ResetFrame | JoinedFrame, previous: Position | undefined): void {
    this.emit('reset', { reason, position: { epoch, seq }, previous } as Events['reset']);
  }

  #deliver(message: Message<Data>): void {
    for (const push of this.#loops) push(message);
    this.emit('message', message as Events['message']);
  }
}
