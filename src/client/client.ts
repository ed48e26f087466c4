/**
 * The client: rooms, inbox and outbox over one connection that is replaced whenever it breaks. On a new one
 * `hello`, the joins and everything that waits leave together, without waiting for each other's answers.
 */
import type { ErrorFrame, ServerFrame } from '../protocol/messages.ts';
import type {
  Client,
  ClientEvents,
  ClientOptions,
  JoinOptions,
  PublishOptions,
  Receipt,
  Room,
  StateChange,
  Welcome,
} from './api.ts';
import { boundMs } from './backoff.ts';
import { type Desk, isPassing } from './desk.ts';
import { Emitter } from './emitter.ts';
import type { Environment } from './environment.ts';
import { RoomcastError, serverError } from './errors.ts';
import { InboxSubscription } from './inbox.ts';
import { Link } from './link.ts';
import { type Entry, Outbox } from './outbox.ts';
import { type Answer, Requests } from './requests.ts';
import { RoomSubscription } from './room.ts';
import type { WebSocketConstructor } from './socket.ts';

/** How fast something refused for the moment is tried again. */
const RETRY = { baseMs: 250, capMs: 5000 };
/** What a server takes that has not yet said what it takes. */
const PAYLOAD_BYTES = 32_768;
const PUBLISH_TIMEOUT_MAX_MS = 100_000;

export class RoomcastClient implements Client {
  readonly inbox: InboxSubscription;
  redis: 'up' | 'down' = 'up';
  readonly #options: ClientOptions;
  readonly #environment: Environment;
  readonly #events = new Emitter<ClientEvents>();
  readonly #requests = new Requests();
  readonly #rooms = new Map<string, RoomSubscription<never>>();
  readonly #outbox: Outbox;
  readonly #link: Link;
  readonly #desk: Desk;
  readonly #requestTimeoutMs: number;
  readonly #keyStart: string;
  #keys = 0;
  #cancelTimer: () => void = () => undefined;
  #flushing = false;

  constructor(
    url: string,
    options: ClientOptions,
    WebSocket: WebSocketConstructor,
    environment: Environment,
  ) {
    this.#options = options;
    this.#environment = environment;
    this.#keyStart = environment.token();
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 15_000;
    this.#outbox = new Outbox({
      messagesMax: options.outboxMessages ?? 1000,
      bytesMax: options.outboxBytes ?? 1024 * 1024,
      ageMaxMs: publishTimeoutMs(options),
    });
    this.#desk = this.#makeDesk();
    this.inbox = new InboxSubscription(this.#desk, () => `@${this.welcome?.user ?? ''}`, options.inbox);
    this.#link = this.#makeLink(url, WebSocket);
    this.#link.connect();
  }

  get state() {
    return this.#link.state;
  }

  get welcome(): Welcome | undefined {
    return this.#link.welcome;
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void) {
    return this.#events.on(name, listener);
  }

  connect(): void {
    this.#link.connect();
  }

  close(): void {
    this.#link.close();
  }

  drop(): void {
    this.#link.drop();
  }

  reconnect(): void {
    this.#link.drop();
    this.#link.connect();
  }

  join<Data>(name: string, options: JoinOptions = {}): Room<Data> {
    const known = this.#rooms.get(name);
    if (known) return known as unknown as Room<Data>;
    const room = new RoomSubscription<Data>(this.#desk, name, options);
    this.#rooms.set(name, room as unknown as RoomSubscription<never>);
    this.#flush();
    return room;
  }

  send(to: string, data: unknown, options?: PublishOptions): Promise<Receipt> {
    return this.#publish(`@${to}`, data, options);
  }

  #makeLink(url: string, WebSocket: WebSocketConstructor): Link {
    const { token, backoff, connectTimeoutMs = 10_000 } = this.#options;
    const settings = {
      url,
      WebSocket,
      token: typeof token === 'string' ? () => token : token,
      connectTimeoutMs,
      baseMs: backoff?.baseMs ?? 1000,
      capMs: backoff?.capMs ?? 30_000,
      stableMs: backoff?.stableMs ?? 30_000,
    };
    const events = {
      opened: (given: string | undefined) => this.#hello(given),
      frame: (frame: ServerFrame) => this.#receive(frame),
      lost: () => this.#lost(),
      changed: (change: StateChange) => this.#changed(change),
      failed: (error: RoomcastError) => this.#events.emit('error', error),
      expecting: () => this.#requests.waiting,
    };
    return new Link(settings, events, this.#environment);
  }

  #makeDesk(): Desk {
    return {
      now: () => this.#environment.now(),
      request: (frame, answer) => this.#request(frame, answer),
      publish: (target, data, options) => this.#publish(target, data, options),
      retryAt: (attempts, error) => this.#retryAt(attempts, error),
      flush: () => this.#flush(),
      review: (target, judge) => this.#outbox.review(target, judge),
      seen: (target, key) => this.#outbox.seen(target, key),
      forget: (room) => this.#rooms.delete(room),
      report: (error) => this.#events.emit('error', error),
      distrust: () => this.#link.drop(),
    };
  }

  #hello(token: string | undefined): void {
    // Kept for the next connection too: idempotency keys are per user, an invented name included.
    const user = this.#options.user ?? this.welcome?.user;
    const { client } = this.#options;
    this.redis = 'up';
    this.#request({ type: 'hello', token, user, client, inbox: this.inbox.asked }, (_reply, error) => {
      if (error === undefined || error.code === 'offline') return;
      this.#events.emit('error', error);
      if (error.retryable) this.#link.drop();
      else this.#link.close(undefined, error.message);
    });
    this.#flush();
  }

  #request(frame: object, answer: Answer): void {
    if (!this.#link.open) return answer(undefined, this.#away());
    try {
      const id = this.#requests.begin(answer, this.#environment.now() + this.#requestTimeoutMs);
      this.#link.send(JSON.stringify({ ...frame, id }));
    } catch (error) {
      if (!(error instanceof RoomcastError)) throw error;
      answer(undefined, error);
    }
    this.#plan();
  }

  #publish(target: string, data: unknown, options: PublishOptions = {}): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const json = JSON.stringify(data) as string | undefined;
      if (this.state === 'closed') throw this.#away();
      if (json === undefined) throw new RoomcastError('bad_request', 'data must be a JSON value');
      const bytes = new TextEncoder().encode(json).length;
      this.#keys += 1;
      const key = options.key ?? `${this.#keyStart}-${this.#keys}`;
      this.#outbox.add({ target, json, bytes, key, resolve, reject }, this.#environment.now());
      this.#flush();
    });
  }

  /** Sends everything that is due, in an order in which nothing fails for having come too early. */
  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    if (this.#link.open && this.redis === 'up') {
      for (const room of [...this.#rooms.values()]) room.flush();
      if (this.#link.state === 'connected') this.inbox.flush();
    }
    for (const entry of this.#outbox.due(this.#environment.now())) this.#push(entry);
    this.#flushing = false;
    this.#plan();
  }

  #push(entry: Entry): void {
    const { target, json, bytes, key } = entry;
    const isInbox = target.startsWith('@');
    const room = this.#rooms.get(target);
    if (!isInbox && room === undefined) {
      return this.#giveUp(entry, new RoomcastError('not_joined', `room "${target}" was left`));
    }
    const limit = this.welcome?.limits.payloadBytes ?? PAYLOAD_BYTES;
    if (limit > 0 && bytes > limit) {
      // Before the first welcome a larger one waits: one frame too large would close the connection for good.
      if (this.welcome === undefined) return;
      return this.#giveUp(
        entry,
        new RoomcastError('too_large', `data has ${bytes} bytes, the server takes ${limit}`),
      );
    }
    if (!this.#link.open || this.redis === 'down' || (room && !room.ready)) return;
    const head = isInbox ? { type: 'send', to: target.slice(1) } : { type: 'publish', room: target };
    const id = this.#requests.begin(
      (reply, error) => this.#published(entry, reply as Receipt | undefined, error),
      this.#environment.now() + this.#requestTimeoutMs,
    );
    this.#outbox.sent(entry);
    this.#link.send(`${JSON.stringify({ ...head, id, key }).slice(0, -1)},"data":${json}}`);
  }

  #published(entry: Entry, reply: Receipt | undefined, error: RoomcastError | undefined): void {
    const now = this.#environment.now();
    if (error?.code === 'offline') return;
    if (error?.code === 'timeout') return this.#link.drop();
    const room = this.#rooms.get(entry.target);
    if (error) {
      // Behind a join that was put off; the join is tried again, and then this.
      const early = error.code === 'not_joined' && room !== undefined;
      if (!early && !isPassing(error)) return this.#giveUp(entry, error);
      this.#outbox.retry(entry, this.#retryAt(entry.attempts + 1, error));
      return this.#plan();
    }
    if (reply === undefined) return;
    const receipt = { epoch: reply.epoch, seq: reply.seq };
    const verdict = room?.judge(receipt) ?? 'seen';
    if (verdict === 'void') {
      this.#outbox.retry(entry, now);
      return this.#flush();
    }
    if (entry.receipt) room?.republished({ key: entry.key, lost: entry.receipt, position: receipt });
    this.#outbox.stored(entry, receipt, verdict === 'open');
    entry.resolve({ ...receipt, ...(reply.duplicate && { duplicate: true }) });
  }

  #giveUp(entry: Entry, error: RoomcastError): void {
    this.#outbox.remove(entry);
    // Its promise was kept long ago, with a receipt that has become void since.
    if (entry.receipt) this.#events.emit('error', error);
    else entry.reject(error);
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        this.#requests.settle(frame);
        this.#flush();
        return;
      case 'status':
        this.#setRedis(frame.redis);
        return;
      case 'expiring':
        this.#refresh();
        return;
      case 'ok':
        this.#requests.settle(frame);
        return;
      case 'error':
        this.#refused(frame);
        return;
      case 'joined':
        if (!this.#requests.settle(frame)) this.inbox.receive(frame);
        return;
      case 'pong':
      case 'closing':
        return;
      default:
        this.#toRoom(frame);
    }
  }

  #toRoom(frame: Extract<ServerFrame, { room: string }>): void {
    // A type of a later protocol has perhaps no room; it is ignored like any unknown one.
    if (typeof frame.room !== 'string') return;
    if (!frame.room.startsWith('@')) this.#rooms.get(frame.room)?.receive(frame);
    else if (this.inbox.receive(frame)) this.#link.drop();
  }

  #refused(frame: ErrorFrame): void {
    if (!this.#requests.settle(frame)) this.#events.emit('error', serverError(frame));
  }

  #setRedis(redis: 'up' | 'down'): void {
    if (redis === this.redis) return;
    this.redis = redis;
    this.#events.emit('redis', redis);
    this.#flush();
  }

  /** A server without authentication answers `unsupported`: then there is nothing to refresh. */
  #refresh(): void {
    const { token } = this.#options;
    if (typeof token !== 'function') return;
    const failed = (error: RoomcastError): void => {
      if (error.code !== 'unsupported' && error.code !== 'offline') this.#events.emit('error', error);
    };
    new Promise<string>((resolve) => resolve(token())).then(
      (given) => this.#request({ type: 'refresh', token: given }, (_reply, error) => error && failed(error)),
      (error: unknown) => failed(new RoomcastError('unauthorized', `no token: ${String(error)}`, true)),
    );
  }

  #lost(): void {
    this.#outbox.disconnected();
    this.#requests.fail(this.#away());
    for (const room of [...this.#rooms.values()]) room.disconnected();
    this.inbox.disconnected();
  }

  #changed(change: StateChange): void {
    if (change.state === 'closed') {
      const error = new RoomcastError('closed', change.reason || 'the client is closed');
      for (const entry of this.#outbox.clear()) entry.reject(error);
      for (const room of [...this.#rooms.values()]) room.closed(error);
      this.inbox.closed(error);
      this.#cancelTimer();
    }
    this.#events.emit('state', change);
  }

  #away(): RoomcastError {
    return this.state === 'closed'
      ? new RoomcastError('closed', 'the client is closed; connect() opens it again')
      : new RoomcastError('offline', 'there is no connection to the server just now', true);
  }

  #retryAt(attempts: number, error: RoomcastError): number {
    const jitter = this.#environment.fraction();
    return this.#environment.now() + (error.retryAfterMs ?? 50 + jitter * boundMs(attempts, RETRY));
  }

  /** One timer, for whichever comes first. */
  #plan(): void {
    this.#cancelTimer();
    const now = this.#environment.now();
    let at = this.#outbox.nextAt(now);
    const consider = (next: number | undefined): void => {
      if (next !== undefined && next > now) at = Math.min(at ?? next, next);
    };
    consider(this.#requests.nextAt());
    consider(this.inbox.nextAt());
    for (const room of this.#rooms.values()) consider(room.nextAt());
    if (at !== undefined)
      this.#cancelTimer = this.#environment.after(Math.max(at - now, 1), () => this.#tick());
  }

  #tick(): void {
    const now = this.#environment.now();
    for (const entry of this.#outbox.expire(now)) entry.reject(expired(entry));
    this.#requests.fail(new RoomcastError('timeout', 'no reply in time', true), now);
    this.#flush();
  }
}

function expired(entry: Entry): RoomcastError {
  return entry.everSent
    ? new RoomcastError('unknown_outcome', 'not confirmed in time; a server may have stored it')
    : new RoomcastError('unavailable', 'not sent in time; certainly not stored', true);
}

function publishTimeoutMs({ publishTimeoutMs: given = 90_000 }: ClientOptions): number {
  if (given > 0 && given <= PUBLISH_TIMEOUT_MAX_MS) return given;
  throw new RoomcastError('bad_request', `publishTimeoutMs must be 1 to ${PUBLISH_TIMEOUT_MAX_MS}`);
}
