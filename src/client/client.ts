/**
 * The client: rooms, inbox and outbox over one connection that is replaced whenever it breaks. On a new one
 * `hello`, the joins and everything that waits leave together, without waiting for each other's answers.
 *
 * One timer looks after every limit of time: twice a second, and earlier where something is to be tried again.
 */
import type { ServerFrame } from '../protocol/messages.ts';
import type {
  Client,
  ClientEvents,
  ClientOptions,
  JoinOptions,
  PublishOptions,
  Receipt,
  Room,
  StateChange,
} from './api.ts';
import { type Desk, isPassing } from './desk.ts';
import { Emitter } from './emitter.ts';
import { after, fraction, now } from './environment.ts';
import { RoomcastError, serverError } from './errors.ts';
import { InboxSubscription } from './inbox.ts';
import { bytesOf, copy, encode } from './json.ts';
import { Link, type LinkEvents } from './link.ts';
import { type Entry, Outbox } from './outbox.ts';
import { type Answer, type Reply, Requests } from './requests.ts';
import { RoomSubscription } from './room.ts';
import { type Settings, settingsOf } from './settings.ts';
import type { WebSocketConstructor } from './socket.ts';
import { tokenOf } from './token.ts';

/** About how long something refused for the moment waits, where the server names no time. */
const RETRY_MS = 1000;
/** What a server takes that has not yet said what it takes. */
const PAYLOAD_BYTES = 32_768;
/** What a frame without data may have: a larger one would end the connection for good (PROTOCOL, 1009). */
const FRAME_BYTES = 60_000;
/** What a frame may have beside its data, which servers leave room for: names, a key. */
const FRAME_EXTRA_BYTES = 2000;
const PENDING_MAX = 2048;
const TICK_MS = 500;

export class RoomcastClient extends Emitter<ClientEvents> implements Client, Desk, LinkEvents {
  readonly inbox: InboxSubscription;
  readonly outbox: Outbox;
  redis: 'up' | 'down' = 'up';
  readonly #settings: Settings;
  readonly #requests = new Requests();
  readonly #rooms = new Map<string, RoomSubscription>();
  readonly #link: Link;
  readonly #keyStart: string;
  #keys = 0;
  #tickAt = Infinity;
  #cancelTick = (): void => {};
  #flushing = false;
  /** Nothing is published before: over its rate, a connection is quiet for a while. */
  #pausedUntil = 0;
  /** When the server said that the token expires, and when to get the next one. */
  #expiringAt = 0;
  #refreshAt = Infinity;

  constructor(url: string, options: ClientOptions, WebSocket: WebSocketConstructor) {
    super();
    this.#settings = settingsOf(options);
    // Unique among the keys of one user within two minutes is enough: that is their scope.
    this.#keyStart = fraction().toString(36).slice(2);
    this.outbox = new Outbox(this.#settings);
    this.inbox = new InboxSubscription(this, options.inbox);
    this.#link = new Link(url, WebSocket, this.#settings, this);
    this.#link.connect();
  }

  get state() {
    return this.#link.state;
  }

  get welcome() {
    return this.#link.welcome;
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
    this.drop();
    this.connect();
  }

  join<Data>(name: string, options: JoinOptions = {}): Room<Data> {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new RoomSubscription(this, name, options);
      this.#rooms.set(name, room);
      this.flush();
    }
    return room as unknown as Room<Data>;
  }

  send(to: string, data: unknown, options?: PublishOptions): Promise<Receipt> {
    return this.enqueue(`@${to}`, data, options);
  }

  request(frame: object, answer: Answer): void {
    if (!this.#link.socket) return;
    this.#send(frame, (error, reply) => {
      // No reply on a living connection, which none of our servers does: a new one is safer.
      if (error?.code === 'timeout') this.drop();
      else if (error?.code !== 'offline') answer(error, reply);
    });
  }

  ask(frame: object): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#requests.size >= PENDING_MAX) {
        throw new RoomcastError('rate_limited', 'too much waits', true);
      }
      if (!this.#link.socket) throw this.#away();
      this.#send(frame, (error, reply) => (error ? reject(error) : resolve(reply as Reply)));
    });
  }

  enqueue(target: string, data: unknown, { key }: PublishOptions = {}): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.state === 'closed') throw this.#away();
      this.#keys += 1;
      this.outbox.add({
        target,
        data: copy(data),
        bytes: bytesOf(encode(data)),
        key: key ?? `${this.#keyStart}-${this.#keys}`,
        since: now(),
        resolve,
        reject,
      });
      this.flush();
    });
  }

  retryAt({ retryAfterMs = RETRY_MS * (0.1 + fraction()) }: Pick<RoomcastError, 'retryAfterMs'>): number {
    this.#tickIn(retryAfterMs);
    return now() + retryAfterMs;
  }

  /** Sends everything that is due, in an order in which nothing fails for having come too early. */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const at = now();
    try {
      // Here rather than in the tick, which is late in a page in the background: after the time for which the
      // server remembers a key, a repeat would be a second message.
      for (const entry of this.outbox.expire(at)) {
        const { everSent } = entry;
        const code = everSent ? 'unknown_outcome' : 'unavailable';
        this.#giveUp(entry, new RoomcastError(code, 'timeout', !everSent));
      }
      if (this.#link.socket && this.redis === 'up') {
        for (const room of this.#rooms.values()) room.flush();
        this.inbox.mark.flush();
      }
      for (const entry of this.outbox.due(at)) {
        // Before the first welcome a large one waits, and all behind it: what the server takes is not known yet.
        if (at < this.#pausedUntil || (entry.bytes > PAYLOAD_BYTES && !this.welcome)) break;
        this.#push(entry);
      }
      if (at >= this.#refreshAt) void this.#refresh();
    } finally {
      this.#flushing = false;
    }
  }

  forget(room: string): void {
    this.#rooms.delete(room);
  }

  report(error: RoomcastError): void {
    this.emit('error', error);
  }

  opened(token: string | undefined): void {
    // An invented name is kept for the next connection: idempotency keys are per user.
    const { client, user = this.welcome?.user } = this.#settings;
    const was = this.redis;
    this.redis = 'up';
    this.request({ type: 'hello', token, user, client, inbox: this.inbox.asked }, (error) => {
      if (error) {
        this.report(error);
        if (error.retryable) this.drop();
        else this.#link.close(undefined, error.message);
      } else this.flush();
    });
    // Behind the hello: who hears of it may publish at once.
    if (was !== 'up') this.emit('redis', 'up');
    this.flush();
  }

  receive(frame: ServerFrame): void {
    if (this.#requests.receive(frame)) return;
    if (frame.type === 'error') this.report(serverError(frame));
    else if (frame.type === 'expiring') {
      this.#expiringAt = this.#refreshAt = now();
    } else if (frame.type === 'status') {
      this.redis = frame.redis;
      this.emit('redis', frame.redis);
    } else if ('room' in frame) {
      const room = frame.room as string;
      if (room[0] !== '@') this.#rooms.get(room)?.receive(frame);
      else if (this.inbox.follow(frame)) this.drop();
    }
    this.flush();
  }

  gone(): void {
    this.outbox.disconnected();
    this.#requests.expire(Infinity, this.#away());
    for (const room of this.#rooms.values()) room.disconnected();
    this.inbox.mark.disconnected();
    // The next connection begins with a new token.
    this.#refreshAt = Infinity;
  }

  changed(change: StateChange): void {
    if (change.state === 'closed') {
      const error = this.#away();
      for (const entry of this.outbox.take(() => true)) this.#giveUp(entry, error);
      for (const room of this.#rooms.values()) room.closed(error);
      this.inbox.mark.end(error);
      this.inbox.endLoops();
      this.#cancelTick();
      this.#tickAt = Infinity;
    } else this.#tickIn(TICK_MS);
    this.emit('state', change);
  }

  #send(frame: object, answer: Answer): void {
    const json = encode(frame);
    // 0: no limit.
    const most = 'data' in frame ? (this.welcome?.limits.payloadBytes ?? PAYLOAD_BYTES) : FRAME_BYTES;
    if (most && bytesOf(json) > most + FRAME_EXTRA_BYTES)
      return answer(new RoomcastError('too_large', `max ${most}`));
    const id = this.#requests.begin(answer, now() + this.#settings.requestTimeoutMs);
    this.#link.socket?.send(`{"id":${id},${json.slice(1)}`);
  }

  #push(entry: Entry): void {
    const { target, data, key, everSent } = entry;
    const room = this.#rooms.get(target);
    const toUser = target[0] === '@';
    if (!room && !toUser) {
      return this.#giveUp(entry, new RoomcastError('not_joined', `${target} was left`));
    }
    if (!this.#link.socket || this.redis !== 'up' || (room && !room.ready)) return;
    const head = toUser ? { type: 'send', to: target.slice(1) } : { type: 'publish', room: target };
    entry.status = 'sent';
    entry.everSent = true;
    this.request({ ...head, key, data }, (error, reply) => {
      if (error) {
        // Certainly not stored: what was before counts.
        if (error.code !== 'unknown_outcome') entry.everSent = everSent;
        this.#refused(entry, error);
      } else this.#stored(entry, reply as Receipt);
    });
  }

  #refused(entry: Entry, error: RoomcastError): void {
    // Not joined yet: behind a join that was put off. The join is tried again, and then this.
    if (!isPassing(error) && !(error.code === 'not_joined' && this.#rooms.has(entry.target))) {
      return this.#giveUp(entry, error);
    }
    entry.status = 'waiting';
    if (error.code === 'rate_limited') {
      // The hint is that of one. Refused in each of ten seconds the server ends the connection: a pause of more
      // than one leaves some of them free, and fills what may be taken at once.
      const retryAfterMs = RETRY_MS * (1 + fraction()) + (error.retryAfterMs ?? 0);
      this.#pausedUntil = this.retryAt({ retryAfterMs });
    } else entry.retryAt = this.retryAt(error);
  }

  #stored(entry: Entry, { epoch, seq, duplicate }: Receipt): void {
    const { receipt: lost, key, target } = entry;
    const room = this.#rooms.get(target);
    const position = { epoch, seq };
    entry.status = 'stored';
    entry.receipt = position;
    entry.resolve({ ...position, duplicate });
    if (lost && !duplicate) room?.emit('republished', { key, lost, position });
    if (room) this.outbox.review(target, room.stream);
    else this.outbox.remove(entry);
    this.flush();
  }

  #giveUp(entry: Entry, error: RoomcastError): void {
    this.outbox.remove(entry);
    entry.reject(error);
    // Its promise was kept long ago. Held for safety alone it ends in silence; where Redis lost it, that is told.
    if (entry.receipt && entry.status !== 'stored') {
      this.report(new RoomcastError(error.code, `lost: ${entry.key} in ${entry.target}`));
    }
  }

  /** A server without authentication answers `unsupported`: then there is nothing to refresh. */
  async #refresh(): Promise<void> {
    const { token } = this.#settings;
    this.#refreshAt = Infinity;
    if (typeof token !== 'function') return;
    try {
      await this.ask({ type: 'refresh', token: await tokenOf(token) });
    } catch (error) {
      // Closed, or cut off: the next connection begins with a new token anyway.
      if ((error as RoomcastError).code === 'unsupported' || !this.#link.socket) return;
      this.report(error as RoomcastError);
      if (!isPassing(error as RoomcastError)) return;
      // As long again as it has taken until now. The server ends it: with the token the connection ends.
      this.#refreshAt = this.retryAt({ retryAfterMs: RETRY_MS + now() - this.#expiringAt });
    }
  }

  #away(): RoomcastError {
    return this.state === 'closed'
      ? new RoomcastError('closed', 'closed')
      : new RoomcastError('offline', 'offline', true);
  }

  #tickIn(ms: number): void {
    const at = now() + ms;
    if (at >= this.#tickAt) return;
    this.#cancelTick();
    this.#tickAt = at;
    this.#cancelTick = after(ms, () => this.#tick());
  }

  #tick(): void {
    this.#tickAt = Infinity;
    this.#tickIn(TICK_MS);
    this.#requests.expire(now(), new RoomcastError('timeout', 'timeout', true));
    this.#link.watch(this.#requests.size > 0);
    this.flush();
  }
}
