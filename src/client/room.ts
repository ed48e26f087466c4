/**
 * A room as this client holds it: one subscription that outlives connections. It joins where it is not
 * joined, from its position where it has one, and hands on what comes, each message once.
 *
 * What happens is decided by what is the case, not by what happened last: `flush` sends whatever is due and
 * may be called at any time.
 */
import type { ServerFrame } from '../protocol/messages.ts';
import type {
  IterationOptions,
  Joined,
  JoinOptions,
  Message,
  Page,
  PublishOptions,
  Receipt,
  Room,
  RoomEvents,
  RoomStatus,
} from './api.ts';
import { type Desk, isPassing } from './desk.ts';
import { RoomcastError } from './errors.ts';
import { Feed } from './feed.ts';
import { Presence } from './presence.ts';
import { Told } from './told.ts';

type JoinedFrame = Extract<ServerFrame, { type: 'joined' }>;
type State = NonNullable<JoinOptions['state']>;

export class RoomSubscription<Data> implements Room<Data> {
  readonly name: string;
  readonly joined: Promise<Joined<Data>>;
  status: RoomStatus = 'joining';
  readonly #desk: Desk;
  readonly #options: JoinOptions;
  readonly #feed: Feed<Data, RoomEvents<Data>>;
  readonly #presence = new Presence();
  readonly #state: Told<State>;
  /** On this connection. */
  #subscribed: 'no' | 'asked' | 'yes' = 'no';
  #attempts = 0;
  #retryAt = 0;
  #asking = false;
  #resolveJoined: (joined: Joined<Data>) => void = () => undefined;
  #rejectJoined: (error: RoomcastError) => void = () => undefined;

  constructor(desk: Desk, name: string, options: JoinOptions) {
    this.#desk = desk;
    this.name = name;
    this.#options = options;
    this.#feed = new Feed(() => name);
    this.#feed.stream.position = options.since;
    this.#state = new Told<State>(desk, (state) => ({ type: 'state', room: name, state }));
    this.#state.value = options.state;
    this.joined = new Promise((resolve, reject) => {
      this.#resolveJoined = resolve;
      this.#rejectJoined = reject;
    });
    // It need not be awaited: what it says also comes as `left` and as the client's `error`.
    this.joined.catch(() => undefined);
  }

  get position() {
    return this.#feed.stream.position;
  }

  get members() {
    return this.#presence.members;
  }

  get count() {
    return this.#presence.count;
  }

  /** Whether publishes may follow on this connection: behind a join that is under way they wait at the server. */
  get ready(): boolean {
    return this.#subscribed !== 'no';
  }

  on<Name extends keyof RoomEvents<Data>>(name: Name, listener: (event: RoomEvents<Data>[Name]) => void) {
    return this.#feed.events.on(name, listener);
  }

  iterate(options?: IterationOptions): AsyncIterableIterator<Message<Data>> {
    const iteration = this.#feed.iterate(options);
    if (this.status === 'left') iteration.end();
    return iteration;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<Data>> {
    return this.iterate();
  }

  publish(data: Data, options?: PublishOptions): Promise<Receipt> {
    return this.#unlessLeft(() => this.#desk.publish(this.name, data, options));
  }

  signal(data: unknown, { to }: Parameters<Room['signal']>[1] = {}): Promise<void> {
    return this.#unlessLeft(() => this.#ask({ type: 'signal', data, to }, () => undefined));
  }

  setState(state: State): Promise<void> {
    return this.#unlessLeft(() => this.#state.set(state));
  }

  history(options: Parameters<Room['history']>[0] = {}): Promise<Page<Data>> {
    return this.#unlessLeft(() =>
      this.#ask({ ...options, type: 'history' }, (reply) => {
        const { epoch, seq, messages, more } = reply as Page<Data>;
        return { epoch, seq, messages: this.#feed.stored(messages, epoch), more };
      }),
    );
  }

  leave(): Promise<void> {
    if (this.status === 'left') return Promise.resolve();
    const told = this.ready;
    this.#over('left');
    return new Promise((resolve) => {
      // Without a connection, or when it breaks before the answer, not joining again is what ends it.
      if (told) this.#desk.request({ type: 'leave', room: this.name }, () => resolve());
      else resolve();
    });
  }

  /** Sends what is due. */
  flush(): void {
    if (this.status === 'left') return;
    if (this.#subscribed === 'no' && this.#retryAt <= this.#desk.now()) this.#join();
    if (this.#subscribed === 'yes') this.#state.flush();
  }

  nextAt(): number | undefined {
    if (this.#subscribed === 'no') return this.#retryAt;
    return this.#subscribed === 'yes' ? this.#state.nextAt() : undefined;
  }

  disconnected(): void {
    this.#subscribed = 'no';
    this.#attempts = 0;
    this.#retryAt = 0;
    this.#asking = false;
    this.#state.again();
    this.#enter(this.position ? 'catching-up' : 'joining');
  }

  /** The client was closed: what waits is refused, the place in the stream is kept. */
  closed(error: RoomcastError): void {
    this.#rejectJoined(error);
    this.#state.fail(error);
    this.#feed.end();
  }

  /** What the server says about this room. Before `joined` it belongs to a subscription that is being replaced. */
  receive(frame: ServerFrame): void {
    if (this.#subscribed !== 'yes') return;
    switch (frame.type) {
      case 'message':
        if (this.#feed.message(frame) === 'gap') this.#missed();
        if (frame.key !== undefined) this.#desk.seen(this.name, frame.key);
        break;
      case 'reset':
        this.#feed.reset(frame);
        break;
      case 'epoch':
        this.#feed.epoch(frame);
        break;
      case 'signal':
        this.#feed.events.emit('signal', frame);
        return;
      case 'presence':
        this.#apply(frame);
        return;
      case 'left':
        // A token that expired comes back with a new one: the room is joined again then.
        if (frame.reason === 'expired') this.disconnected();
        else this.#over(frame.reason);
        return;
      default:
        return;
    }
    this.review();
  }

  review(): void {
    this.#desk.review(this.name, (receipt) => this.#feed.stream.judge(receipt));
  }

  judge(receipt: { epoch: string; seq: number }): 'seen' | 'void' | 'open' {
    return this.#feed.stream.judge(receipt);
  }

  republished(event: RoomEvents['republished']): void {
    this.#feed.events.emit('republished', event);
  }

  #join(): void {
    const state = this.#state.value;
    const { history, presence } = this.#options;
    const since = this.position;
    this.#subscribed = 'asked';
    const begin = since ? { since } : { history };
    this.#desk.request({ type: 'join', room: this.name, ...begin, presence, state }, (reply, error) => {
      if (this.status === 'left' || error?.code === 'offline') return;
      if (error?.code === 'timeout') this.#desk.distrust();
      else if (error) this.#refused(error);
      else this.#entered(reply as JoinedFrame, state);
    });
  }

  #refused(error: RoomcastError): void {
    this.#subscribed = 'no';
    if (!isPassing(error)) {
      this.#desk.report(error);
      this.#over('forbidden', error);
      return;
    }
    this.#attempts += 1;
    this.#retryAt = this.#desk.retryAt(this.#attempts, error);
  }

  #entered(frame: JoinedFrame, state: State | undefined): void {
    this.#subscribed = 'yes';
    this.#attempts = 0;
    if (state !== undefined) this.#state.confirm(state);
    if (frame.version !== undefined) {
      this.#apply({ version: frame.version, count: frame.count ?? 0, members: frame.members });
    }
    const messages = this.#feed.joined(frame);
    for (const { key } of messages) if (key !== undefined) this.#desk.seen(this.name, key);
    this.review();
    this.#resolveJoined({ position: { epoch: frame.epoch, seq: frame.seq }, messages });
    // A listener may have left, or dropped the connection, meanwhile.
    if (this.#subscribed === 'yes') this.#enter('live');
    this.#desk.flush();
  }

  #apply(news: Parameters<Presence['apply']>[0]): void {
    const change = this.#presence.apply(news);
    if (change !== 'ask') {
      if (change) this.#feed.events.emit('presence', change);
      return;
    }
    if (this.#asking) return;
    this.#asking = true;
    this.#desk.request({ type: 'presence', room: this.name }, (reply) => {
      this.#asking = false;
      // Refused or cut off: the next frame that does not fit asks again.
      if (reply) this.#apply(reply as Parameters<Presence['apply']>[0]);
    });
  }

  /** A message is missing, which no server of ours does: begin again from the last one seen. */
  #missed(): void {
    this.#desk.report(new RoomcastError('internal', `a message of room "${this.name}" is missing; resuming`));
    this.disconnected();
    this.#desk.flush();
  }

  #over(reason: RoomEvents['left']['reason'], error?: RoomcastError): void {
    const cause = error ?? new RoomcastError('not_joined', `room "${this.name}" was left: ${reason}`);
    this.#enter('left');
    this.#desk.forget(this.name);
    this.closed(cause);
    this.#feed.events.emit('left', { reason, ...(error && { error }) });
  }

  #enter(status: RoomStatus): void {
    if (this.status === status) return;
    this.status = status;
    this.#feed.events.emit('status', status);
  }

  #ask<T>(frame: object, read: (reply: unknown) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#desk.request({ ...frame, room: this.name }, (reply, error) => {
        if (error) reject(error);
        else resolve(read(reply));
      });
    });
  }

  #unlessLeft<T>(run: () => Promise<T>): Promise<T> {
    if (this.status !== 'left') return run();
    return Promise.reject(new RoomcastError('not_joined', `room "${this.name}" was left; join it again`));
  }
}
