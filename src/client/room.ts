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
import { RoomcastError } from './errors.ts';
import { Feed } from './feed.ts';
import { copy, encode } from './json.ts';
import { difference, NOBODY } from './presence.ts';
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
  #retryAt = 0;
  #asking = false;
  #resolve!: (joined: Joined<Data>) => void;
  #reject!: (error: RoomcastError) => void;

  constructor(desk: Desk, name: string, options: JoinOptions) {
    super();
    this.#desk = desk;
    this.name = name;
    this.#options = copy(options);
    this.stream.position = this.#options.since;
    this.#state = new Told<State>(
      desk,
      (state) => ({ type: 'state', room: name, state }),
      this.#options.state,
    );
    this.joined = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
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
    await this.#desk.ask({ type: 'signal', room: this.name, data: copy(data), to });
  }

  async setState(state: State): Promise<void> {
    this.#needed();
    return this.#state.set(copy(state));
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
    // First of all: a listener may join again. Answered or not, and joined or not: not joining again is what ends it.
    const told = this.#desk.ask({ type: 'leave', room: this.name }).catch(() => {});
    this.#over('left');
    await told;
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
    this.#reject(error);
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

  #review(joined?: boolean): void {
    this.#desk.outbox.review(this.name, this.stream, joined);
  }

  #join(): void {
    // What the server has is not told again: it keeps it, and another tab of this user may have changed it since.
    const state = this.#state.open;
    const since = this.position;
    const history = since ? undefined : this.#options.history;
    const frame = { ...this.#options, type: 'join', room: this.name, since, history, state };
    this.ready = true;
    this.#desk.request(frame, (error, reply) => {
      if (this.status === 'left') return;
      if (error) this.#refused(error, state);
      else this.#entered(reply as JoinedFrame, state);
    });
  }

  #refused(error: RoomcastError, state: State | undefined): void {
    this.ready = false;
    if (isPassing(error)) {
      this.#retryAt = this.#desk.retryAt(error);
      return;
    }
    // Perhaps for the state set since it was joined, which is refused as it would be alone: once more, without it.
    if (state && this.position !== this.#options.since) {
      this.#state.refused(error, state);
      return this.#desk.flush();
    }
    this.#desk.report(error);
    this.#over('forbidden', error);
  }

  #entered(frame: JoinedFrame, state: State | undefined): void {
    const me = this.#desk.welcome?.user as string;
    const since = this.members.get(me)?.since;
    if (frame.version !== undefined) this.#apply(frame as JoinedFrame & PresenceNews);
    const mine = this.members.get(me);
    if (state) this.#state.confirm(state);
    // Away for longer than the server holds a place, this user was gone, and the state with it: a new stay
    // without one is told again. Where no members are listed nobody can see, and the last one told counts.
    else if (!mine || (mine.since !== since && encode(mine.state) === '{}')) this.#state.again();
    const messages = this.enter(frame);
    this.#resolve({ position: this.position as Position, messages });
    // A listener may have left, or dropped the connection, meanwhile.
    if (this.ready && this.status !== 'left') this.#enter('live');
    this.#review(true);
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
    this.#desk.request({ type: 'presence', room: this.name }, (error, reply) => {
      this.#asking = false;
      // Refused or cut off: the next frame that does not fit asks again.
      if (!error) this.#apply(reply as unknown as PresenceNews);
    });
  }

  #over(reason: RoomEvents['left']['reason'], error?: RoomcastError): void {
    this.ready = false;
    this.#desk.forget(this.name);
    this.#enter('left');
    this.closed(error ?? this.#leftError());
    this.emit('left', { reason, error });
    // One of them may have left in the middle of what a `joined` brought: nothing follows.
    this.silence();
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
