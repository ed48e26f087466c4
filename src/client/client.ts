/**
 * The client: rooms, inbox and outbox over one connection that is replaced whenever it breaks. On a new one
 * `hello`, the joins and everything that waits leave together, without waiting for each other's answers.
 *
 * One clock tick serves every limit and every retry; it is quick while something waits and slow otherwise.
 */
import type { ServerFrame } from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
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
import { boundMs } from './backoff.ts';
import { type Desk, isPassing } from './desk.ts';
import { Emitter } from './emitter.ts';
import type { Environment } from './environment.ts';
import { RoomcastError } from './errors.ts';
import { InboxSubscription } from './inbox.ts';
import { Link, type LinkEvents } from './link.ts';
import { type Entry, Outbox } from './outbox.ts';
import { type Answer, type Reply, Requests } from './requests.ts';
import { RoomSubscription } from './room.ts';
import { type Settings, settingsOf } from './settings.ts';
import type { WebSocketConstructor } from './socket.ts';
import { tokenOf } from './token.ts';

/** How fast something refused for the moment is tried again. */
const RETRY = { baseMs: 250, capMs: 5000 };
const RETRY_MIN_MS = 50;
/** What a server takes that has not yet said what it takes. */
const PAYLOAD_BYTES = 32_768;
/** A larger frame would end the connection for good (PROTOCOL, close code 1009), unless the data alone may be larger. */
const FRAME_BYTES = 65_536;
/** Signals and pages of history that wait for their replies: as many as a node serves at once. */
const ASKED_MAX = 1024;
const TICK_MS = 5000;
const TICK_BUSY_MS = 100;

export class RoomcastClient extends Emitter<ClientEvents> implements Client, Desk, LinkEvents {
  readonly inbox: InboxSubscription;
  redis: 'up' | 'down' = 'up';
  readonly #settings: Settings;
  readonly #environment: Environment;
  readonly #requests = new Requests();
  readonly #rooms = new Map<string, RoomSubscription>();
  readonly #outbox: Outbox;
  readonly #link: Link;
  readonly #keyStart: string;
  #keys = 0;
  /** The latest of all retries that were promised. */
  #lastRetryAt = 0;
  #tickAt = Infinity;
  #cancelTick = (): void => {};
  #flushing = false;

  constructor(
    url: string,
    options: ClientOptions,
    WebSocket: WebSocketConstructor,
    environment: Environment,
  ) {
    super();
    this.#settings = settingsOf(options);
    this.#environment = environment;
    // Unique among the keys of one user is enough: that is their scope.
    this.#keyStart = [1, 2].map(() => environment.fraction().toString(36).slice(2)).join('');
    this.#outbox = new Outbox(this.#settings);
    this.inbox = new InboxSubscription(this, options.inbox);
    this.#link = new Link(url, WebSocket, this.#settings, this, environment);
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
    if (room === undefined) {
      room = new RoomSubscription(this, name, options);
      this.#rooms.set(name, room);
      this.flush();
    }
    return room as unknown as Room<Data>;
  }

  send(to: string, data: unknown, options?: PublishOptions): Promise<Receipt> {
    return this.enqueue(`@${to}`, data, options);
  }

  now(): number {
    return this.#environment.now();
  }

  request(frame: object, answer: Answer): void {
    if (this.#link.socket) this.#sendWith(JSON.stringify(frame), answer);
    else answer(undefined, this.#away());
  }

  ask(frame: object): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#requests.size > ASKED_MAX + this.#settings.outboxMessages) {
        throw new RoomcastError('rate_limited', 'too many requests wait', true);
      }
      this.request(frame, (reply, error) => (reply ? resolve(reply) : reject(error)));
    });
  }

  enqueue(target: string, data: unknown, { key }: PublishOptions = {}): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const json = JSON.stringify(data) as string | undefined;
      if (this.state === 'closed') throw this.#away();
      if (json === undefined) throw new RoomcastError('bad_request', 'data is not JSON');
      this.#keys += 1;
      this.#outbox.add({
        target,
        json,
        bytes: bytesOf(json),
        key: key ?? `${this.#keyStart}-${this.#keys}`,
        since: this.now(),
        resolve,
        reject,
      });
      this.flush();
    });
  }

  retryAt(attempts: number, { retryAfterMs }: RoomcastError): number {
    const waitMs = retryAfterMs ?? RETRY_MIN_MS + this.#environment.fraction() * boundMs(attempts, RETRY);
    const at = this.now() + waitMs;
    this.#lastRetryAt = Math.max(this.#lastRetryAt, at);
    this.#arm();
    return at;
  }

  /** Sends everything that is due, in an order in which nothing fails for having come too early. */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    if (this.#link.socket && this.redis === 'up') {
      for (const room of this.#rooms.values()) room.flush();
      if (this.state === 'connected') this.inbox.mark.flush();
    }
    for (const entry of this.#outbox.due(this.now())) this.#push(entry);
    this.#flushing = false;
    this.#arm();
  }

  review(target: string, judge: (receipt: Position) => 'seen' | 'void' | 'open'): void {
    this.#outbox.review(target, judge);
  }

  forget(room: string): void {
    this.#rooms.delete(room);
  }

  report(error: RoomcastError): void {
    this.emit('error', error);
  }

  opened(token: string | undefined): void {
    const { client } = this.#settings;
    // An invented name is kept for the next connection: idempotency keys are per user.
    const user = this.#settings.user ?? this.welcome?.user;
    this.redis = 'up';
    this.request({ type: 'hello', token, user, client, inbox: this.inbox.asked }, (_reply, error) => {
      if (!error || error.code === 'offline') return;
      this.report(error);
      if (error.retryable) this.drop();
      else this.#link.close(undefined, error.message);
    });
    this.flush();
  }

  received(frame: ServerFrame): void {
    const { type } = frame;
    if (type === 'welcome' || type === 'ok' || type === 'joined' || type === 'error') {
      const settled = this.#requests.settle(frame);
      if (!settled && type === 'error') this.report(RoomcastError.of(frame));
      if (!settled && type === 'joined') this.inbox.receive(frame);
      if (type === 'welcome') this.flush();
    } else if (type === 'status') {
      this.redis = frame.redis;
      this.emit('redis', frame.redis);
      this.flush();
    } else if (type === 'expiring') void this.#refresh();
    else if ('room' in frame) {
      if (!frame.room.startsWith('@')) this.#rooms.get(frame.room)?.receive(frame);
      else if (this.inbox.receive(frame)) this.drop();
      this.flush();
    }
  }

  lost(): void {
    this.#outbox.disconnected();
    this.#requests.fail(this.#away(), Infinity);
    for (const room of this.#rooms.values()) room.disconnected();
    this.inbox.mark.again();
  }

  changed(change: StateChange): void {
    if (change.state === 'closed') {
      const error = this.#away();
      for (const entry of this.#outbox.take(() => true)) entry.reject(error);
      for (const room of this.#rooms.values()) room.closed(error);
      this.inbox.mark.end(error);
      this.inbox.endLoops();
    }
    this.#arm();
    this.emit('state', change);
  }

  #sendWith(json: string, answer: Answer): void {
    const most = Math.max(FRAME_BYTES, (this.welcome?.limits.payloadBytes ?? 0) + PAYLOAD_BYTES);
    if (bytesOf(json) > most - 99) {
      return answer(undefined, new RoomcastError('too_large', `a frame of over ${most} bytes`));
    }
    const id = this.#requests.begin(answer, this.now() + this.#settings.requestTimeoutMs);
    this.#link.socket?.send(`{"id":${id},${json.slice(1)}`);
    this.#arm();
  }

  #push(entry: Entry): void {
    const { target, json, bytes, key } = entry;
    const room = this.#rooms.get(target);
    const to = target[0] === '@' ? target.slice(1) : undefined;
    if (!room && to === undefined) {
      return this.#giveUp(entry, new RoomcastError('not_joined', `${target} was left`));
    }
    // Before the first welcome a large one waits: what the server takes is not known yet.
    const known = this.welcome || bytes <= PAYLOAD_BYTES;
    if (!this.#link.socket || this.redis === 'down' || !known || (room && !room.ready)) return;
    const head = room ? { type: 'publish', room: target } : { type: 'send', to };
    entry.status = 'sent';
    entry.everSent = true;
    this.#sendWith(`${JSON.stringify({ ...head, key }).slice(0, -1)},"data":${json}}`, (reply, error) => {
      if (error) this.#refused(entry, error);
      else this.#stored(entry, reply as Receipt);
    });
  }

  #refused(entry: Entry, error: RoomcastError): void {
    const { code } = error;
    if (code === 'offline') return;
    if (code === 'timeout') return this.drop();
    // Not joined yet: behind a join that was put off. The join is tried again, and then this.
    if (!isPassing(error) && !(code === 'not_joined' && this.#rooms.has(entry.target))) {
      return this.#giveUp(entry, error);
    }
    entry.status = 'waiting';
    entry.attempts += 1;
    entry.retryAt = this.retryAt(entry.attempts, error);
  }

  #stored(entry: Entry, { epoch, seq, duplicate }: Receipt): void {
    const room = this.#rooms.get(entry.target);
    const position = { epoch, seq };
    const { receipt: lost, key } = entry;
    entry.status = 'stored';
    entry.receipt = position;
    entry.resolve(duplicate ? { ...position, duplicate } : position);
    if (lost && !duplicate) room?.emit('republished', { key, lost, position });
    if (room) this.review(entry.target, (receipt) => room.stream.judge(receipt));
    else this.#outbox.remove(entry);
    this.flush();
  }

  #giveUp(entry: Entry, error: RoomcastError): void {
    this.#outbox.remove(entry);
    // Its promise was kept long ago, with a receipt that has become void since.
    if (entry.receipt) this.report(error);
    else entry.reject(error);
  }

  /** A server without authentication answers `unsupported`: then there is nothing to refresh. */
  async #refresh(): Promise<void> {
    const { token } = this.#settings;
    if (typeof token !== 'function') return;
    try {
      await this.ask({ type: 'refresh', token: await tokenOf(token) });
    } catch (error) {
      const { code } = error as RoomcastError;
      if (code !== 'unsupported' && code !== 'offline') this.report(error as RoomcastError);
    }
  }

  #away(): RoomcastError {
    return this.state === 'closed'
      ? new RoomcastError('closed', 'the client is closed')
      : new RoomcastError('offline', 'there is no connection', true);
  }

  /** Sees to it that a tick comes; an earlier one is never put off. */
  #arm(): void {
    if (this.state === 'closed') {
      this.#cancelTick();
      this.#tickAt = Infinity;
      return;
    }
    const now = this.now();
    const busy = this.#outbox.size + this.#requests.size > 0 || this.#lastRetryAt >= now;
    const at = now + (busy ? TICK_BUSY_MS : TICK_MS);
    if (this.#tickAt <= at) return;
    this.#cancelTick();
    this.#tickAt = at;
    this.#cancelTick = this.#environment.after(at - now, () => this.#tick());
  }

  #tick(): void {
    const now = this.now();
    this.#tickAt = Infinity;
    for (const entry of this.#outbox.expire(now)) {
      entry.reject(
        entry.everSent
          ? new RoomcastError('unknown_outcome', 'not confirmed in time: perhaps stored')
          : new RoomcastError('unavailable', 'not sent in time: not stored', true),
      );
    }
    this.#requests.fail(new RoomcastError('timeout', 'no reply in time', true), now);
    this.#link.watch(this.#requests.size > 0);
    this.flush();
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
