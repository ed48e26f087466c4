/**
 * The client: rooms, inbox and outbox over one connection that is replaced whenever it breaks. On a new one
 * `hello`, the joins and everything that waits leave together, without waiting for each other's answers.
 *
 * One tick, twice a second, looks after every limit of time; retries have timers of their own.
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
import { encode, RoomcastError, serverError } from './errors.ts';
import { InboxSubscription } from './inbox.ts';
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
/** What a frame may have beside its data: a larger one would end the connection for good (PROTOCOL, 1009). */
const FRAME_EXTRA_BYTES = 32_000;
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
  #cancelTick: (() => void) | undefined;
  #flushing = false;

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

  request(frame: object, answer: Answer): void {
    if (this.#link.socket) this.#sendWith(encode(frame), answer);
    else answer(this.#away());
  }

  ask(frame: object): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#requests.size >= PENDING_MAX) {
        throw new RoomcastError('rate_limited', 'too much waits', true);
      }
      this.request(frame, (error, reply) => (reply ? resolve(reply) : reject(error)));
    });
  }

  enqueue(target: string, data: unknown, { key }: PublishOptions = {}): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.state === 'closed') throw this.#away();
      const json = encode(data);
      this.#keys += 1;
      this.outbox.add({
        target,
        json,
        bytes: bytesOf(json),
        key: key ?? `${this.#keyStart}-${this.#keys}`,
        since: now(),
        resolve,
        reject,
      });
      this.flush();
    });
  }

  retryAt({ retryAfterMs = RETRY_MS * (0.1 + fraction()) }: RoomcastError): number {
    after(retryAfterMs, () => this.flush());
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
        this.#giveUp(
          entry,
          entry.everSent
            ? new RoomcastError('unknown_outcome', 'perhaps stored')
            : new RoomcastError('unavailable', 'not sent', true),
        );
      }
      if (this.#link.socket && this.redis === 'up') {
        for (const room of this.#rooms.values()) room.flush();
        if (this.state === 'connected') this.inbox.mark.flush();
      }
      for (const entry of this.outbox.due(at)) this.#push(entry);
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
    const { client } = this.#settings;
    // An invented name is kept for the next connection: idempotency keys are per user.
    const user = this.#settings.user ?? this.welcome?.user;
    this.redis = 'up';
    this.request({ type: 'hello', token, user, client, inbox: this.inbox.asked }, (error) => {
      if (!error) return this.flush();
      if (error.code === 'offline') return;
      this.report(error);
      if (error.retryable) this.drop();
      else this.#link.close(undefined, error.message);
    });
    this.flush();
  }

  received(frame: ServerFrame): void {
    if (this.#requests.settle(frame)) return;
    if (frame.type === 'error') this.report(serverError(frame));
    else if (frame.type === 'expiring') void this.#refresh();
    else if (frame.type === 'status') {
      this.redis = frame.redis;
      this.emit('redis', frame.redis);
    } else if ('room' in frame) this.#toRoom(frame, frame.room as string);
    this.flush();
  }

  lost(): void {
    this.outbox.disconnected();
    this.#requests.fail(this.#away(), Infinity);
    for (const room of this.#rooms.values()) room.disconnected();
    this.inbox.mark.disconnected();
  }

  changed(change: StateChange): void {
    if (change.state === 'closed') {
      const error = this.#away();
      for (const entry of this.outbox.take(() => true)) this.#giveUp(entry, error);
      for (const room of this.#rooms.values()) room.closed(error);
      this.inbox.mark.end(error);
      this.inbox.endLoops();
      this.#cancelTick?.();
      this.#cancelTick = undefined;
    } else if (!this.#cancelTick) this.#tick();
    this.emit('state', change);
  }

  #toRoom(frame: ServerFrame, room: string): void {
    if (room[0] !== '@') this.#rooms.get(room)?.receive(frame);
    else if (this.inbox.follow(frame)) this.drop();
  }

  #sendWith(json: string, answer: Answer): void {
    const most = (this.welcome?.limits.payloadBytes ?? PAYLOAD_BYTES) + FRAME_EXTRA_BYTES;
    if (bytesOf(json) > most) return answer(new RoomcastError('too_large', `over ${most} bytes`));
    const id = this.#requests.begin(answer, now() + this.#settings.requestTimeoutMs);
    this.#link.socket?.send(`{"id":${id},${json.slice(1)}`);
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
    this.#sendWith(`${JSON.stringify({ ...head, key }).slice(0, -1)},"data":${json}}`, (error, reply) => {
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
    entry.retryAt = this.retryAt(error);
  }

  #stored(entry: Entry, { epoch, seq, duplicate }: Receipt): void {
    const room = this.#rooms.get(entry.target);
    const position = { epoch, seq };
    const { receipt: lost, key } = entry;
    entry.status = 'stored';
    entry.receipt = position;
    entry.resolve({ ...position, duplicate });
    if (lost && !duplicate) room?.emit('republished', { key, lost, position });
    if (room) this.outbox.review(entry.target, room.stream);
    else this.outbox.remove(entry);
    this.flush();
  }

  #giveUp(entry: Entry, error: RoomcastError): void {
    this.outbox.remove(entry);
    entry.reject(error);
    // Its promise was kept long ago. Held for safety alone it ends in silence; where Redis lost it, that is told.
    if (entry.receipt && entry.status !== 'stored') {
      this.report(new RoomcastError(error.code, `lost: ${entry.key} in ${entry.target}: ${error.message}`));
    }
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
      ? new RoomcastError('closed', 'closed')
      : new RoomcastError('offline', 'not connected', true);
  }

  #tick(): void {
    const at = now();
    this.#cancelTick = after(TICK_MS, () => this.#tick());
    this.#requests.fail(new RoomcastError('timeout', 'no reply', true), at);
    this.#link.watch(this.#requests.size > 0);
    this.flush();
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
