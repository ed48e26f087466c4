/**
 * A room as this client holds it: one subscription that outlives connections. It joins where it is not
 * joined, from its position where it has one, and hands on what comes, each message once.
 *
 * What happens is decided by what is the case, not by what happened last: `flush` sends whatever is due and
 * may be called at any time.
 */
import type { JoinedFrame, ServerFrame } from '../protocol/messages.ts';
import type { PresenceNews, PresenceView } from '../protocol/presence-view.ts';
import type {
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
import { NOBODY, seePresence } from './presence.ts';
import { Told } from './told.ts';

type State = NonNullable<JoinOptions['state']>;

export class RoomSubscription<Data = unknown> extends Feed<Data, RoomEvents<Data>> implements Room<Data> {
  readonly name: string;
  readonly joined: Promise<Joined<Data>>;
  status: RoomStatus = 'joining';
  /** On this connection: publishes may follow behind a join that is under way, they wait at the server. */
  ready = false;
  readonly #desk: Desk;
  readonly #options: JoinOptions;
  #view: PresenceView | undefined;
  readonly #state: Told<State>;
  #attempts = 0;
  #retryAt = 0;
  #asking = false;
  #settleJoined: (joined: Joined<Data> | undefined, error?: RoomcastError) => void = () => {};

  constructor(desk: Desk, name: string, options: JoinOptions) {
    super();
    this.#desk = desk;
    this.name = name;
    this.#options = options;
    this.stream.position = options.since;
    this.#state = new Told<State>(desk, (state) => ({ type: 'state', room: name, state }), options.state);
    this.joined = new Promise((resolve, reject) => {
      this.#settleJoined = (joined, error) => (joined ? resolve(joined) : reject(error));
    });
    // It need not be awaited: what it says also comes as `left` and as the client's `error`.
    this.joined.catch(() => {});
  }

  get members() {
    return this.#view?.members ?? NOBODY;
  }

  get count() {
    return this.#view?.count ?? 0;
  }

  async publish(data: Data, options?: PublishOptions): Promise<Receipt> {
    this.#needed();
    return this.#desk.enqueue(this.name, data, options);
  }

  async signal(data: unknown, { to }: Parameters<Room['signal']>[1] = {}): Promise<void> {
    this.#needed();
    await this.#desk.ask({ type: 'signal', room: this.name, data, to });
  }

  async setState(state: State): Promise<void> {
    this.#needed();
    return this.#state.set(state);
  }

  async history(options?: Parameters<Room['history']>[0]): Promise<Page<Data>> {
    this.#needed();
    const { epoch, seq, messages, more } = (await this.#desk.ask({
      ...options,
      type: 'history',
      room: this.name,
    })) as unknown as Page<Data>;
    return { epoch, seq, messages: messages.map((one) => ({ ...one, room: this.name, epoch })), more };
  }

  async leave(): Promise<void> {
    if (this.status === 'left') return;
    const told = this.ready;
    this.#over('left');
    if (!told) return;
    // Answered or not: not joining again is what ends it.
    await new Promise<void>((resolve) =>
      this.#desk.request({ type: 'leave', room: this.name }, () => resolve()),
    );
  }

  /** Sends what is due. */
  flush(): void {
    if (!this.ready && this.#retryAt <= this.#desk.now()) this.#join();
    if (this.status === 'live') this.#state.flush();
  }

  disconnected(): void {
    this.ready = false;
    this.#attempts = 0;
    this.#retryAt = 0;
    this.#asking = false;
    this.#state.again();
    this.#enter(this.position ? 'catching-up' : 'joining');
  }

  /** The client was closed, or this is over: what waits is refused, the place in the stream is kept. */
  closed(error: RoomcastError): void {
    this.#settleJoined(undefined, error);
    this.#state.end(error);
    this.endLoops();
  }

  /** What the server says about this room. Before `joined` it belongs to a subscription that is being replaced. */
  receive(frame: ServerFrame): void {
    if (this.status !== 'live') return;
    switch (frame.type) {
      case 'message':
        if (this.heard(frame) === 'gap') this.#missed();
        break;
      case 'reset':
        this.broken(frame);
        break;
      case 'epoch':
        this.stream.rename(frame.epoch);
        break;
      case 'signal':
        return this.emit('signal', frame);
      case 'presence':
        return this.#apply(frame);
      case 'left':
        // A token that expired comes back with a new one: the room is joined again then.
        if (frame.reason === 'expired') this.disconnected();
        else this.#over(frame.reason);
    }
    this.#review();
  }

  #review(): void {
    this.#desk.review(this.name, (receipt) => this.stream.judge(receipt));
  }

  #join(): void {
    const { value } = this.#state;
    const { history, presence } = this.#options;
    const since = this.position;
    this.ready = true;
    const frame = { type: 'join', room: this.name, since, presence, state: value };
    this.#desk.request(since ? frame : { ...frame, history }, (reply, error) => {
      if (this.status === 'left' || error?.code === 'offline') return;
      if (error?.code === 'timeout') this.#desk.drop();
      else if (error) this.#refused(error);
      else this.#entered(reply as JoinedFrame, value);
    });
  }

  #refused(error: RoomcastError): void {
    this.ready = false;
    if (isPassing(error)) {
      this.#attempts += 1;
      this.#retryAt = this.#desk.retryAt(this.#attempts, error);
      return;
    }
    this.#desk.report(error);
    this.#over('forbidden', error);
  }

  #entered(frame: JoinedFrame, state: State | undefined): void {
    const { epoch, seq, version } = frame;
    if (state) this.#state.confirm(state);
    if (version !== undefined) this.#apply(frame as JoinedFrame & PresenceNews);
    this.#attempts = 0;
    const messages = this.entered(frame);
    this.#settleJoined({ position: { epoch, seq }, messages });
    // A listener may have left, or dropped the connection, meanwhile.
    if (this.ready && this.status !== 'left') this.#enter('live');
    this.#review();
    this.#desk.flush();
  }

  #apply(news: PresenceNews): void {
    const seen = seePresence(this.#view, news);
    if (seen === 'ask') return this.#ask();
    this.#view = seen.view;
    if (seen.change) this.emit('presence', seen.change);
  }

  #ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    this.#desk.request({ type: 'presence', room: this.name }, (reply) => {
      this.#asking = false;
      // Refused or cut off: the next frame that does not fit asks again.
      if (reply) this.#apply(reply as unknown as PresenceNews);
    });
  }

  /** A message is missing, which no server of ours does: begin again from the last one seen. */
  #missed(): void {
    this.#desk.report(new RoomcastError('internal', `a message of ${this.name} is missing`));
    this.disconnected();
    this.#desk.flush();
  }

  #over(reason: RoomEvents['left']['reason'], error?: RoomcastError): void {
    this.#enter('left');
    this.ready = false;
    this.#desk.forget(this.name);
    this.closed(error ?? this.#leftError());
    this.emit('left', error ? { reason, error } : { reason });
    this.#desk.flush();
  }

  #enter(status: RoomStatus): void {
    if (this.status === status) return;
    this.status = status;
    this.emit('status', status);
  }

  #leftError(): RoomcastError {
    return new RoomcastError('not_joined', `${this.name} was left`);
  }

  #needed(): void {
    if (this.status === 'left') throw this.#leftError();
  }
}
