/**
 * The broker over Redis: two links, and what runs on them. This file only joins
 * the parts: commands (command-link), publishes in lanes (publisher), reads
 * (room-reader), subscriptions (subscriber), the proof that both links belong
 * together (canary), and what all of it means to the node (availability).
 */
import type { Clock, Random } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { BrokerError, type Broker, type BrokerEvents, type BrokerHealth, type Signal } from '../broker.ts';
import { Availability } from './availability.ts';
import { Canary, type CanarySettings } from './canary.ts';
import { CommandLink, type CommandLinkSettings } from './command-link.ts';
import type { Commands } from './commands.ts';
import { encodeSignal } from './envelope.ts';
import { FirstContact } from './first-contact.ts';
import { createKeys, type Keys } from './keys.ts';
import { Listener } from './listener.ts';
import { Publisher, type PublisherSettings } from './publisher.ts';
import { ReadMarker } from './read-marker.ts';
import { ReadQueue } from './read-queue.ts';
import { maskedAddress, type RedisTarget } from './redis-target.ts';
import { RoomReader } from './room-reader.ts';
import { loadScripts } from './scripts.ts';
import { Subscriber } from './subscriber.ts';

export interface RedisBrokerSettings extends CommandLinkSettings, PublisherSettings, CanarySettings {
  readonly redisPrefix: string;
}

export interface RedisBrokerOptions {
  readonly settings: RedisBrokerSettings;
  readonly target: RedisTarget;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Publishes under way when a node stops get this long. */
const STOP_MS = 5_000;
/** Signals without an answer from Redis; above it they are dropped, as signals may be, and leave the link to publishes. */
const SIGNALS_OUT_MAX = 2_000;
const AWAY = 'Redis is away';

/** `commands` and `keys` are for the presence store, which shares the link. They work once the broker was started. */
export function createRedisBroker(options: RedisBrokerOptions): {
  readonly broker: Broker;
  readonly commands: Commands;
  readonly keys: Keys;
} {
  const broker = new RedisBroker(options);
  return { broker, commands: broker.commands, keys: broker.keys };
}

class RedisBroker implements Broker {
  readonly keys: Keys;
  readonly commands: CommandLink;
  readonly #logger: Logger;
  readonly #subscriber: Subscriber;
  readonly #canary: Canary;
  readonly #publisher: Publisher;
  readonly #reads: ReadQueue;
  readonly #reader: RoomReader;
  readonly #marker: ReadMarker;
  readonly #availability: Availability;
  readonly #listener: Listener;
  #signalsOut = 0;
  #running = false;
  #stopped = false;

  constructor(options: RedisBrokerOptions) {
    const { settings, target, clock, logger } = options;
    this.#logger = logger;
    const keys = createKeys(settings.redisPrefix, target.db);
    const contact = new FirstContact(options);
    const commands = new CommandLink({ ...options, contact, scripts: loadScripts() });
    this.keys = keys;
    this.commands = commands;
    this.#listener = new Listener({ clock, logger, canary: (counter) => this.#canary.heard(counter) });
    this.#availability = new Availability({
      clock,
      logger,
      address: maskedAddress(target),
      changed: (status) => this.#changed(status),
    });
    this.#publisher = new Publisher({ ...options, link: commands, keys });
    this.#reads = new ReadQueue({ commands, clock, deadlineMs: settings.redisDeadlineMs });
    this.#reader = new RoomReader({
      ...options,
      queue: this.#reads,
      keys,
      unreadable: (room, count) => this.#listener.unreadable(room, count),
      heldRooms: () => this.#subscriber.rooms.rooms(),
    });
    this.#marker = new ReadMarker({ commands, keys, settings });
    this.#subscriber = this.#createSubscriber(options, contact);
    this.#canary = this.#createCanary(options);
    commands.onUsable((usable) => this.#availability.set('commands', usable));
    this.#reads.down(AWAY);
    this.#publisher.setDown(true);
  }

  start(events: BrokerEvents): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#listener.tell(events);
    this.#publisher.start();
    this.#reader.start();
    this.#canary.start();
    this.commands.start();
    this.#subscriber.start();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#publisher.finish(STOP_MS);
    this.#running = false;
    this.#listener.tell(undefined);
    this.#canary.stop();
    this.#reader.stop();
    this.#reads.down('the node has stopped');
    this.#publisher.stop();
    this.#subscriber.stop();
    this.commands.stop();
    this.#availability.stop();
  }

  async subscribe(room: string): Promise<void> {
    if (this.#availability.status === 'down' && !this.#subscriber.rooms.isHeard(room)) {
      throw new BrokerError('unavailable', AWAY);
    }
    if (!this.#subscriber.rooms.isWanted(room)) this.#reader.prepare(room);
    await this.#subscriber.rooms.subscribe(room);
  }

  unsubscribe(room: string): Promise<void> {
    return this.#subscriber.rooms.unsubscribe(room);
  }

  publish: Broker['publish'] = (request) => this.#publisher.publish(request);
  read: Broker['read'] = (room, since, limit) => this.#reader.read(room, since, limit);
  history: Broker['history'] = (room, query) => this.#reader.history(room, query);
  readMark: Broker['readMark'] = (room) => this.#reader.readMark(room);
  markRead: Broker['markRead'] = (room, position) => this.#marker.mark(room, position);

  signal(room: string, signal: Signal): void {
    const { rooms } = this.#subscriber;
    if (!this.commands.usable || this.#availability.status === 'down') {
      if (rooms.isWanted(room)) this.#listener.signal(room, signal);
      return;
    }
    if (this.#signalsOut >= SIGNALS_OUT_MAX) return;
    this.#signalsOut += 1;
    const unasked = rooms.unasked(room);
    this.commands
      .call('publish', this.keys.channel(room), encodeSignal(signal))
      .then(() => {
        // Published while this room could not be heard here: it will not come back, and is given to the members
        // on this node directly. Had the room been asked for meanwhile, it might come twice.
        if (unasked !== undefined && rooms.unasked(room) === unasked) this.#listener.signal(room, signal);
      })
      .catch((error: unknown) => {
        this.#logger.debug({ reason: String(error) }, 'a signal was not sent');
      })
      .finally(() => {
        this.#signalsOut -= 1;
      });
  }

  health(): BrokerHealth {
    const status = this.#availability.status === 'up' ? 'connected' : 'down';
    const latencyMs = this.#canary.latencyMs;
    return latencyMs === undefined ? { status } : { status, latencyMs };
  }

  #createSubscriber(options: RedisBrokerOptions, contact: FirstContact): Subscriber {
    const listener = this.#listener;
    return new Subscriber(
      { ...options, contact, keys: this.keys },
      {
        heard: (room, payload) => listener.heard(room, payload),
        canaryHeard: (payload) => listener.canaryHeard(payload),
        listening: () => this.#canary.listening(),
        lost: () => {
          this.#canary.deaf();
          listener.linkLost();
          this.#availability.set('subscriber', false);
        },
        resubscribed: (room, sameStore) => listener.subscribed(room, sameStore),
        complete: () => this.#availability.set('subscriber', true),
      },
    );
  }

  #createCanary(options: RedisBrokerOptions): Canary {
    return new Canary(
      { ...options, commands: this.commands, key: this.keys.canary() },
      {
        silent: (silentMs) => this.#subscriber.replace(`no canary was heard for ${silentMs} ms`),
        gap: () => this.#missed(),
        tick: () => this.#compareLinks(),
      },
    );
  }

  /** Something was missed on a link that is sound now: every room is told as after a lost link, which heals it. */
  #missed(): void {
    this.#logger.warn({}, 'a canary was missed, so room messages may be missing too');
    const { rooms } = this.#subscriber;
    this.#listener.linkLost();
    for (const room of rooms.rooms()) if (rooms.isHeard(room)) this.#listener.subscribed(room, true);
  }

  #compareLinks(): void {
    const [here, there] = [this.commands.identity, this.#subscriber.identity];
    if (here === undefined || there === undefined || here === there) return;
    const reason = 'the two links ended at different Redis servers';
    this.#subscriber.replace(reason);
    this.commands.replace(reason);
  }

  #changed(status: 'up' | 'down'): void {
    if (status === 'down') this.#reads.down(AWAY);
    else this.#reads.up();
    this.#publisher.setDown(status === 'down');
    this.#listener.status(status);
  }
}
