/**
 * The link that listens. It carries nothing but subscriptions, so that a burst of
 * messages never stands before the answer to a publish. Losing it is normal and
 * always told: pub/sub delivers at most once, and whatever was said while it was
 * away is repaired by others. A PING keeps asking whether anybody is there,
 * because a half-open TCP connection is silent for a quarter of an hour.
 */
import type { Redis } from 'ioredis';
import type { Clock, Random, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { Exchange } from './exchange.ts';
import type { FirstContact } from './first-contact.ts';
import type { Keys } from './keys.ts';
import { Link } from './link.ts';
import type { RedisTarget } from './redis-target.ts';
import { runIdOf } from './run-id.ts';
import { Subscriptions } from './subscriptions.ts';

export interface SubscriberSettings {
  readonly redisDeadlineMs: number;
}

export interface SubscriberEvents {
  /** `payload` is a slice of a read buffer: copy what is kept. */
  heard(room: string, payload: Buffer): void;
  canaryHeard(payload: Buffer): void;
  /** The canary's channel is acknowledged: from now on silence means something. */
  listening(): void;
  lost(): void;
  /** `sameStore`: the Redis at the other end is the one from before, and did not restart. */
  resubscribed(room: string, sameStore: boolean): void;
  /** Everything wanted is heard again. */
  complete(): void;
}

export interface SubscriberOptions {
  readonly settings: SubscriberSettings;
  readonly target: RedisTarget;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly keys: Pick<Keys, 'channel' | 'canary'>;
  readonly contact?: FirstContact | undefined;
}

const PING_MS = 2_000;
const RECONCILE_MS = 60_000;

export class Subscriber {
  readonly rooms: Subscriptions;
  readonly #options: SubscriberOptions;
  readonly #events: SubscriberEvents;
  readonly #link: Link;
  readonly #canaryChannel: string;
  #exchange: Exchange | undefined;
  #identity: string | undefined;
  /** Of the connection before. */
  #formerIdentity: string | undefined;
  #timers: readonly Timer[] = [];

  constructor(options: SubscriberOptions, events: SubscriberEvents) {
    this.#options = options;
    this.#events = events;
    this.#canaryChannel = options.keys.canary();
    this.rooms = new Subscriptions({
      clock: options.clock,
      logger: options.logger,
      channelOf: (room) => options.keys.channel(room),
      resubscribed: (room) => events.resubscribed(room, this.#sameStore),
      complete: () => this.#complete(),
    });
    this.#link = new Link(
      { ...options, name: 'subscriber' },
      { opened: (connection) => this.#opened(connection), lost: () => this.#lost() },
    );
  }

  start(): void {
    this.#link.start();
  }

  stop(): void {
    this.#link.stop();
    this.#close('the node has stopped');
    this.rooms.stop();
  }

  /** `run_id` of the Redis at the other end, where it is known. */
  get identity(): string | undefined {
    return this.#identity;
  }

  get #sameStore(): boolean {
    return this.#identity !== undefined && this.#identity === this.#formerIdentity;
  }

  /** Gives the connection up: it is open, but wrong. */
  replace(reason: string): void {
    this.#link.replace(reason);
  }

  #opened(connection: Redis): void {
    const { clock, settings } = this.#options;
    const deadlineMs = settings.redisDeadlineMs;
    const silent = (): void => this.#link.replace(`no answer for ${deadlineMs} ms`);
    const exchange = new Exchange({ connection, clock, deadlineMs, silent });
    this.#exchange = exchange;
    // First of all: messages may follow the acknowledgement within the same read.
    connection.on('messageBuffer', (channel, payload) => {
      if (this.#exchange === exchange) this.#hear(channel.toString(), payload);
    });
    void exchange.send('info', ['server']).then((outcome) => {
      if (this.#exchange === exchange) this.#identity = runIdOf(outcome);
    });
    void exchange.send('subscribe', [this.#canaryChannel]).then((outcome) => {
      if (this.#exchange !== exchange) return;
      if (outcome.kind !== 'reply') return this.#link.replace(outcome.message);
      this.#events.listening();
      this.rooms.opened((command, channels) => exchange.send(command, channels));
    });
    this.#timers = [
      clock.every(PING_MS, () => void exchange.send('ping', [])),
      clock.every(RECONCILE_MS, () => this.#reconcile(exchange)),
    ];
  }

  #complete(): void {
    this.#link.proven();
    this.#events.complete();
  }

  #lost(): void {
    this.#close('the connection to Redis was lost');
    this.#events.lost();
  }

  #close(reason: string): void {
    const ending = this.#exchange;
    this.#exchange = undefined;
    // A connection that ended before it said who is there tells nothing: what was known before still stands.
    this.#formerIdentity = this.#identity ?? this.#formerIdentity;
    this.#identity = undefined;
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    this.rooms.closed();
    ending?.end(reason);
  }

  #hear(channel: string, payload: Buffer): void {
    if (channel === this.#canaryChannel) return this.#events.canaryHeard(payload);
    const room = this.rooms.roomOf(channel);
    // A room left a moment ago is still heard until Redis has handled the UNSUBSCRIBE.
    if (room !== undefined) this.#events.heard(room, payload);
  }

  /**
   * The answer to a repeated SUBSCRIBE tells how many channels Redis holds for this
   * connection. Another number than ours means that the two no longer agree on what
   * is heard, and only a new connection brings them together.
   */
  #reconcile(exchange: Exchange): void {
    this.rooms.reconcile();
    void exchange.send('subscribe', [this.#canaryChannel]).then((outcome) => {
      if (this.#exchange !== exchange || outcome.kind !== 'reply') return;
      const expected = this.rooms.acknowledged + 1;
      if (outcome.value === expected) return;
      this.#link.replace(`Redis holds ${String(outcome.value)} channels instead of ${expected}`);
    });
  }
}
