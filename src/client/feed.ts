/**
 * A stream of messages as an application meets it: events and loops. What rooms and inboxes have in common:
 * each message goes to every listener and every loop once, in order, and a break is told before what follows it.
 */
import type { EpochFrame, JoinedFrame, MessageFrame, ResetFrame } from '../protocol/messages.ts';
import type { FeedEvents, IterationOptions, Message, Reset } from './api.ts';
import { Emitter } from './emitter.ts';
import { Iteration } from './iteration.ts';
import { Stream, type Verdict } from './stream.ts';

const BUFFER_MAX = 1000;

type StoredMessage = JoinedFrame['messages'][number];

export class Feed<Data, Events extends FeedEvents<Data> = FeedEvents<Data>> {
  readonly stream = new Stream();
  readonly events = new Emitter<Events>();
  readonly #name: () => string;
  readonly #iterations = new Set<Iteration<Message<Data>>>();

  constructor(name: () => string) {
    this.#name = name;
  }

  /** What came with a `joined`, delivered. */
  joined(frame: JoinedFrame): Message<Data>[] {
    const previous = this.stream.position;
    const resumed = frame.recovered === true;
    const fresh = this.stream
      .join(frame, frame.messages, resumed)
      .map((one) => this.#message(one, frame.epoch));
    if (frame.recovered === false) this.#reset(frame, frame.reason ?? 'lost', previous);
    for (const message of fresh) this.#deliver(message);
    if (resumed) this.#emit('recovered', { messages: fresh.length });
    return fresh;
  }

  message(frame: MessageFrame): Verdict {
    const verdict = this.stream.take(frame);
    if (verdict === 'new') this.#deliver(this.#message(frame, this.stream.position?.epoch ?? ''));
    return verdict;
  }

  reset(frame: ResetFrame): void {
    const previous = this.stream.position;
    this.stream.move(frame);
    this.#reset(frame, frame.reason, previous);
  }

  epoch(frame: EpochFrame): void {
    this.stream.rename(frame.epoch);
  }

  stored(messages: readonly StoredMessage[], epoch: string): Message<Data>[] {
    return messages.map((one) => this.#message(one, epoch));
  }

  iterate({ buffer = BUFFER_MAX }: IterationOptions = {}): Iteration<Message<Data>> {
    const iteration = new Iteration<Message<Data>>(buffer, (ended) => this.#iterations.delete(ended));
    this.#iterations.add(iteration);
    return iteration;
  }

  /** Ends the loops; listeners stay. */
  end(): void {
    for (const iteration of [...this.#iterations]) iteration.end();
  }

  #reset(
    { epoch, seq }: { epoch: string; seq: number },
    reason: Reset['reason'],
    previous: Reset['previous'],
  ): void {
    this.#emit('reset', { reason, position: { epoch, seq }, previous });
  }

  #deliver(message: Message<Data>): void {
    for (const iteration of [...this.#iterations]) iteration.push(message);
    this.#emit('message', message);
  }

  #message({ seq, ts, from, key, data }: StoredMessage, epoch: string): Message<Data> {
    const optional = { ...(from && { from }), ...(key !== undefined && { key }) };
    return { room: this.#name(), epoch, seq, ts, ...optional, data: data as Data };
  }

  #emit<Name extends keyof FeedEvents<Data>>(name: Name, event: FeedEvents<Data>[Name]): void {
    this.events.emit(name, event as Events[Name]);
  }
}
