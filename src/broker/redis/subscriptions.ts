/**
 * Which rooms shall be heard, and which of them Redis acknowledged on the present
 * connection. The set of rooms is desired state: it outlives every connection and
 * is asserted again on each new one, because a library that resubscribes by itself
 * can lose all of it in silence. It sends through whatever connection it is given
 * and never decides that a connection is bad.
 */
import type { Clock, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { BrokerError } from '../broker.ts';
import { CHUNK_CHANNELS, chunksOf, Departures, type SendChannels } from './departures.ts';

export interface SubscriptionsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly channelOf: (room: string) => string;
  /** A room whose subscription had been promised is heard again, on a new connection. */
  readonly resubscribed: (room: string) => void;
  /** Everything that was desired when the connection opened has been answered. */
  readonly complete: () => void;
}

/** `subscribe` rejects after this long, connected or not. */
export const SUBSCRIBE_TIMEOUT_MS = 2_000;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: BrokerError) => void;
  readonly timer: Timer;
}

interface Wanted {
  readonly room: string;
  readonly channel: string;
  /** SUBSCRIBE was sent on the present connection and not refused. */
  asked: boolean;
  /** How often it was sent, on whatever connection. */
  asks: number;
  /** Asked for and acknowledged. */
  heard: boolean;
  /** A `subscribe` of it resolved once: from now on its return is told by `resubscribed`. */
  promised: boolean;
  readonly waiters: Set<Waiter>;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #wanted = new Map<string, Wanted>();
  readonly #byChannel = new Map<string, Wanted>();
  readonly #departures: Departures;
  /** To be sent at the end of this turn. */
  #unsent = new Set<Wanted>();
  #turnAsked = false;
  /** Channels that Redis holds for the present connection. */
  #acknowledged = new Set<string>();
  #send: SendChannels | undefined;
  /** Chunks of the first assertion on this connection that are not answered. */
  #owed = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#departures = new Departures({
      clock: options.clock,
      logger: options.logger,
      isWanted: (channel) => this.#byChannel.has(channel),
      left: (channel) => void this.#acknowledged.delete(channel),
      due: () => this.#askTurn(),
    });
  }

  /** The room of a channel, where it is still wanted. */
  roomOf(channel: string): string | undefined {
    return this.#byChannel.get(channel)?.room;
  }

  isWanted(room: string): boolean {
    return this.#wanted.has(room);
  }

  isHeard(room: string): boolean {
    return this.#wanted.get(room)?.heard === true;
  }

  /**
   * A number where Redis was not asked for this wanted room on the present connection, or there is none. As
   * long as it is the same, nothing published to the room can be heard here.
   */
  unasked(room: string): number | undefined {
    const wanted = this.#wanted.get(room);
    return wanted?.asked === false ? wanted.asks : undefined;
  }

  /** A copy: rooms come and go while it is walked. */
  rooms(): string[] {
    return [...this.#wanted.keys()];
  }

  /** How many channels Redis should hold for this connection, after the answers heard so far. */
  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  subscribe(room: string): Promise<void> {
    const wanted = this.#wanted.get(room) ?? this.#want(room);
    if (wanted.heard) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(SUBSCRIBE_TIMEOUT_MS, () => {
        wanted.waiters.delete(waiter);
        reject(new BrokerError('unavailable', `no subscription within ${SUBSCRIBE_TIMEOUT_MS} ms`));
        // The caller was told that the room is not heard, so it must not be.
        if (!wanted.promised && wanted.waiters.size === 0) void this.unsubscribe(room);
      });
      const waiter: Waiter = { resolve, reject, timer };
      wanted.waiters.add(waiter);
    });
  }

  unsubscribe(room: string): Promise<void> {
    const wanted = this.#wanted.get(room);
    if (wanted === undefined) return this.#departures.of(this.#options.channelOf(room));
    this.#forget(wanted, 'unsubscribed meanwhile');
    if (!wanted.asked) return Promise.resolve();
    return this.#departures.leave(wanted.channel);
  }

  /** A new connection: everything desired is asserted on it, in chunks. */
  opened(send: SendChannels): void {
    this.#send = send;
    this.#unsent = new Set(this.#wanted.values());
    this.#owed = Math.ceil(this.#unsent.size / CHUNK_CHANNELS);
    if (this.#owed === 0) this.#options.complete();
    else this.#flush();
  }

  /** The connection is gone, and with it every subscription; what is wanted stays wanted. */
  closed(): void {
    this.#send = undefined;
    this.#owed = 0;
    this.#unsent = new Set();
    this.#acknowledged = new Set();
    for (const wanted of this.#wanted.values()) {
      wanted.asked = false;
      wanted.heard = false;
    }
    this.#departures.closed();
  }

  /** Asks again for what Redis refused. */
  reconcile(): void {
    for (const wanted of this.#wanted.values()) if (!wanted.asked) this.#unsent.add(wanted);
    this.#flush();
  }

  /** Rejects what waits and forgets every room. */
  stop(): void {
    this.closed();
    for (const wanted of this.#wanted.values()) this.#forget(wanted, 'the node has stopped');
  }

  #want(room: string): Wanted {
    const channel = this.#options.channelOf(room);
    const waiters = new Set<Waiter>();
    const wanted = { room, channel, asked: false, asks: 0, heard: false, promised: false, waiters };
    this.#wanted.set(room, wanted);
    this.#byChannel.set(channel, wanted);
    this.#unsent.add(wanted);
    this.#askTurn();
    return wanted;
  }

  #forget(wanted: Wanted, reason: string): void {
    this.#wanted.delete(wanted.room);
    this.#byChannel.delete(wanted.channel);
    this.#unsent.delete(wanted);
    for (const waiter of wanted.waiters) {
      waiter.timer.cancel();
      waiter.reject(new BrokerError('unavailable', reason));
    }
    wanted.waiters.clear();
  }

  /** Rooms joined in one turn share a command. */
  #askTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    this.#options.clock.afterTurn(() => {
      this.#turnAsked = false;
      this.#flush();
    });
  }

  #flush(): void {
    const wanted = [...this.#unsent];
    this.#unsent.clear();
    // Without a connection nothing is lost: what is wanted is asserted when one opens.
    const send = this.#send;
    if (send === undefined) return;
    // In this order: a room that was left and joined again in one turn ends up subscribed.
    this.#departures.flush(send);
    for (const chunk of chunksOf(wanted)) this.#sendChunk(send, chunk);
  }

  #sendChunk(send: SendChannels, chunk: readonly Wanted[]): void {
    for (const wanted of chunk) {
      wanted.asked = true;
      wanted.asks += 1;
    }
    const channels = chunk.map(({ channel }) => channel);
    void send('subscribe', channels).then((outcome) => {
      // An answer of an earlier connection says nothing about this one.
      if (send !== this.#send) return;
      if (outcome.kind === 'reply') for (const wanted of chunk) this.#acknowledge(wanted);
      else if (outcome.kind === 'error') for (const wanted of chunk) this.#refused(wanted, outcome.message);
      // Answers come in the order of sending, so the first ones are those of the assertion.
      if (this.#owed === 0) return;
      this.#owed -= 1;
      if (this.#owed === 0) this.#options.complete();
    });
  }

  #acknowledge(wanted: Wanted): void {
    this.#acknowledged.add(wanted.channel);
    // Left meanwhile, or left and wanted anew: then the answer to the newer SUBSCRIBE counts.
    if (this.#wanted.get(wanted.room) !== wanted) return;
    wanted.heard = true;
    if (wanted.promised) this.#options.resubscribed(wanted.room);
    wanted.promised = true;
    for (const waiter of wanted.waiters) {
      waiter.timer.cancel();
      waiter.resolve();
    }
    wanted.waiters.clear();
  }

  #refused(wanted: Wanted, reason: string): void {
    wanted.asked = false;
    this.#options.logger.error({ channel: wanted.channel, reason }, 'SUBSCRIBE refused');
    if (!wanted.promised && this.#wanted.get(wanted.room) === wanted) this.#forget(wanted, reason);
  }
}
