/**
 * A stream of messages as an application meets it: events and loops. What rooms and inboxes have in common:
 * each message goes to every listener and every loop once, in order, and a break is told before what follows it.
 */
import type { JoinedFrame, MessageFrame, ResetFrame } from '../protocol/messages.ts';
import type { FeedEvents, IterationOptions, Message } from './api.ts';
import { Emitter } from './emitter.ts';
import { iterate, type Push } from './iteration.ts';
import { Stream, type Verdict } from './stream.ts';

const BUFFER_MAX = 1000;

export class Feed<Data, Events extends FeedEvents<Data> = FeedEvents<Data>> extends Emitter<Events> {
  readonly stream = new Stream();
  readonly #loops = new Set<Push<Message<Data>>>();

  get position() {
    return this.stream.position;
  }

  /** What came with a `joined`, delivered. */
  entered(frame: JoinedFrame): Message<Data>[] {
    const { epoch, room, recovered, reason } = frame;
    const previous = this.position;
    const fresh = this.stream
      .join(frame, frame.messages, recovered === true)
      .map((one) => ({ ...one, room, epoch }) as Message<Data>);
    if (recovered === false) this.#tell('reset', { reason: reason ?? 'lost', position: at(frame), previous });
    for (const message of fresh) this.#deliver(message);
    if (recovered) this.#tell('recovered', { messages: fresh.length });
    return fresh;
  }

  heard({ type: _type, ...frame }: MessageFrame): Verdict {
    const verdict = this.stream.take(frame);
    if (verdict === 'new') {
      this.#deliver({ ...frame, epoch: this.position?.epoch ?? '' } as Message<Data>);
    }
    return verdict;
  }

  broken(frame: ResetFrame): void {
    const previous = this.position;
    this.stream.move(frame);
    this.#tell('reset', { reason: frame.reason, position: at(frame), previous });
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

  #deliver(message: Message<Data>): void {
    for (const push of this.#loops) push(message);
    this.#tell('message', message);
  }

  #tell<Name extends keyof FeedEvents<Data>>(name: Name, event: FeedEvents<Data>[Name]): void {
    this.emit(name, event as Events[Name]);
  }
}

function at({ epoch, seq }: ResetFrame | JoinedFrame) {
  return { epoch, seq };
}
