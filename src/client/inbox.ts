/**
 * The inbox of this user: a room of its own that `hello` joins, with a read mark all devices share.
 */
import type { ServerFrame } from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
import type { FeedEvents, Inbox, IterationOptions, Message } from './api.ts';
import type { Desk } from './desk.ts';
import type { RoomcastError } from './errors.ts';
import { Feed } from './feed.ts';
import { Told } from './told.ts';

export class InboxSubscription implements Inbox {
  readonly #feed: Feed<unknown>;
  readonly #wanted: true | Position | undefined;
  readonly #mark: Told<number>;

  constructor(desk: Desk, name: () => string, wanted: true | Position | undefined) {
    this.#feed = new Feed(name);
    this.#wanted = wanted;
    if (typeof wanted === 'object') this.#feed.stream.position = wanted;
    this.#mark = new Told<number>(desk, (seq) => ({ type: 'read', seq }));
  }

  get position() {
    return this.#feed.stream.position;
  }

  /** What hello asks for. */
  get asked(): true | Position | undefined {
    return this.#wanted && (this.position ?? true);
  }

  on<Name extends keyof FeedEvents>(name: Name, listener: (event: FeedEvents[Name]) => void) {
    return this.#feed.events.on(name, listener);
  }

  iterate(options?: IterationOptions): AsyncIterableIterator<Message> {
    return this.#feed.iterate(options);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.iterate();
  }

  read(seq: number): Promise<void> {
    return this.#mark.set(Math.max(seq, this.#mark.value ?? 0));
  }

  flush(): void {
    this.#mark.flush();
  }

  nextAt(): number | undefined {
    return this.#mark.nextAt();
  }

  disconnected(): void {
    this.#mark.again();
  }

  closed(error: RoomcastError): void {
    this.#mark.fail(error);
    this.#feed.end();
  }

  /** Whether a message before this one is missing. */
  receive(frame: ServerFrame): boolean {
    if (frame.type === 'joined') this.#feed.joined(frame);
    else if (frame.type === 'reset') this.#feed.reset(frame);
    else if (frame.type === 'epoch') this.#feed.epoch(frame);
    else if (frame.type === 'message') return this.#feed.message(frame) === 'gap';
    return false;
  }
}
