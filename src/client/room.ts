/**
 * A room as this client holds it: one subscription that outlives connections. It joins where it is not
 * joined, from its position where it has one, and hands on what comes, each message once.
 *
 * What happens is decided by what is the case, not by what happened last: `flush` sends whatever is due and
 * may be called at any time.
 */
import type { JoinedFrame, ServerFrame } from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
import { applyPresence, type PresenceNews, type PresenceView } from '../protocol/presence-view.ts';
import type {
  Joined,
  JoinOptions,
  Page,
  PublishOptions,
  Receipt,
  Room,
  RoomEvents,
  RoomStatus,
} from './api.ts';
import { type Desk, isPassing } from './desk.ts';
import { now } from './environment.ts';
import { encode, RoomcastError } from './errors.ts';
import { Feed } from './feed.ts';
import { difference, NOBODY } from './presence.ts';
import { Told } from './told.ts';

type State = NonNullable<JoinOptions['state']>;

/** A copy that can be sent at any time. Throws `bad_request`. */
const plain = <T>(value: T): T => JSON.parse(encode(value)) as T;

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
  #retryAt = 0;
  #asking = false;
  #settleJoined: (joined: Joined<Data> | undefined, error?: RoomcastError) => void = () => {};

  constructor(desk: Desk, name: string, options: JoinOptions) {
    super();
    this.#desk = desk;
    this.name = name;
    this.#options = plain(options);
    this.stream.position = this.#options.since;
    this.#state = new Told<State>(
      desk,
      (state) => ({ type: 'state', room: name, state }),
      this.#options.state,
    );
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
    return this.#state.set(plain(state));
  }

  async history(options?: Parameters<Room['history']>[0]): Promise<Page<Data>> {
    this.#needed();
    const page = (await this.#desk.ask({
      ...options,
      type: 'history',
      room: this.name,
    })) as unknown as Page<Data>;
    const { room, epoch } = page;
    return { ...page, messages: page.messages.map((one) => ({ ...one, room, epoch })) };
  }

  async leave(): Promise<void> {
    if (this.status === 'left') return;
    const told = this.ready;
    this.#over('left');
    // Answered or not: not joining again is what ends it.
    if (told) await this.#desk.ask({ type: 'leave', room: this.name }).catch(() => {});
  }

  /** Sends what is due. */
  flush(): void {
    if (!this.ready && this.#retryAt <= now()) this.#join();
    if (this.status === 'live') this.#state.flush();
  }

  disconnected(): void {
    this.ready = false;
    this.#retryAt = 0;
    this.#asking = false;
    this.#state.disconnected();
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
    if (frame.type === 'signal') this.emit('signal', frame);
    else if (frame.type === 'presence') this.#apply(frame);
    else if (frame.type === 'left' && frame.reason !== 'expired') this.#over(frame.reason);
    // A token that expired comes back with a new one: the room is joined again then. Where a message is
    // missing, which no server of ours does, it begins again from the last one seen.
    else if (frame.type === 'left' || this.follow(frame)) this.disconnected();
    this.#review();
  }

  #review(): void {
    this.#desk.outbox.review(this.name, this.stream);
  }

  #join(): void {
    const { value } = this.#state;
    const { history, presence } = this.#options;
    const since = this.position;
    this.ready = true;
    const frame = { type: 'join', room: this.name, since, presence, state: value };
    this.#desk.request(since ? frame : { ...frame, history }, (error, reply) => {
      if (this.status === 'left' || error?.code === 'offline') return;
      if (error?.code === 'timeout') this.#desk.drop();
      else if (error) this.#refused(error);
      else this.#entered(reply as JoinedFrame, value);
    });
  }

  #refused(error: RoomcastError): void {
    this.ready = false;
    if (isPassing(error)) {
      this.#retryAt = this.#desk.retryAt(error);
      return;
    }
    this.#desk.report(error);
    this.#over('forbidden', error);
  }

  #entered(frame: JoinedFrame, state: State | undefined): void {
    if (state) this.#state.confirm(state);
    if (frame.version !== undefined) this.#apply(frame as JoinedFrame & PresenceNews);
    const messages = this.enter(frame);
    this.#settleJoined({ position: this.position as Position, messages });
    // A listener may have left, or dropped the connection, meanwhile.
    if (this.ready && this.status !== 'left') this.#enter('live');
    this.#review();
    this.#desk.flush();
  }

  #apply(news: PresenceNews): void {
    const before = this.#view;
    const view = applyPresence(before, news);
    if (view === 'ask') return this.#ask();
    this.#view = view;
    const change = difference(before, view, news.left);
    if (change) this.emit('presence', change);
  }

  #ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    this.#desk.request({ type: 'presence', room: this.name }, (_error, reply) => {
      this.#asking = false;
      // Refused or cut off: the next frame that does not fit asks again.
      if (reply) this.#apply(reply as unknown as PresenceNews);
    });
  }

  #over(reason: RoomEvents['left']['reason'], error?: RoomcastError): void {
    this.#enter('left');
    this.ready = false;
    this.#desk.forget(this.name);
    this.closed(error ?? this.#leftError());
    this.emit('left', { reason, error });
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
