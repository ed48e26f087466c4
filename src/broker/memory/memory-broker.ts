/**
 * The embedded broker: everything `Broker` promises, in one process and
 * without Redis. A call takes effect before it returns, so the order of the
 * calls is the order of the store; lanes need no queue and an outcome is never
 * unknown. What it does not do: it outlives nothing. A restart loses every room,
 * and clients that come back are told `lost`.
 */
import type {
  Broker,
  BrokerEvents,
  BrokerHealth,
  HistoryPage,
  HistoryQuery,
  PublishRequest,
  ReadResult,
  Receipt,
  Signal,
} from '../broker.ts';
import { BrokerError } from '../broker.ts';
import type { PresenceStore } from '../presence.ts';
import type { Clock, Random, Timer } from '../../core/clock.ts';
import type { RetentionSettings } from '../../core/retention.ts';
import type { Position } from '../../protocol/position.ts';
import { EventBus } from './event-bus.ts';
import { MemoryPresence } from './memory-presence.ts';
import { OnceKeys } from './once-keys.ts';
import type { Room } from './room-store.ts';
import { RoomStores } from './room-stores.ts';

export interface MemoryBrokerSettings extends RetentionSettings {
  readonly onceTtlMs: number;
}

export interface MemoryBrokerOptions {
  readonly settings: MemoryBrokerSettings;
  readonly clock: Clock;
  readonly random: Random;
}

/** How often the forgotten is taken away; only memory waits for it, never an answer. */
const SWEEP_INTERVAL_MS = 1_000;
/** Expired keys taken away in one sweep. */
const ONCE_KEYS_PER_SWEEP_MAX = 5_000;

/** The two ports over one store: presence changes are told through the events of the broker. */
export function createMemoryBroker(options: MemoryBrokerOptions): {
  broker: Broker;
  presence: PresenceStore;
} {
  const { settings, clock, random } = options;
  const bus = new EventBus();
  const rooms = new RoomStores({ settings, clock, random, isHeard: (room) => bus.hears(room) });
  const onceKeys = new OnceKeys({ clock, ttlMs: settings.onceTtlMs });
  return {
    broker: new MemoryBroker({ bus, rooms, onceKeys, clock }),
    presence: new MemoryPresence({ bus, rooms, clock }),
  };
}

interface MemoryBrokerParts {
  readonly bus: EventBus;
  readonly rooms: RoomStores;
  readonly onceKeys: OnceKeys;
  readonly clock: Clock;
}

export class MemoryBroker implements Broker {
  readonly #bus: EventBus;
  readonly #rooms: RoomStores;
  readonly #onceKeys: OnceKeys;
  readonly #clock: Clock;
  #sweeper: Timer | null = null;

  constructor(parts: MemoryBrokerParts) {
    this.#bus = parts.bus;
    this.#rooms = parts.rooms;
    this.#onceKeys = parts.onceKeys;
    this.#clock = parts.clock;
  }

  start(events: BrokerEvents): void {
    this.#sweeper ??= this.#clock.every(SWEEP_INTERVAL_MS, () => {
      this.#rooms.sweep();
      this.#onceKeys.forgetExpired(ONCE_KEYS_PER_SWEEP_MAX);
    });
    this.#bus.open(events);
  }

  async stop(): Promise<void> {
    this.#sweeper?.cancel();
    this.#sweeper = null;
    this.#bus.close();
  }

  async subscribe(room: string): Promise<void> {
    this.#mustBeOpen();
    this.#bus.hear(room);
  }

  async unsubscribe(room: string): Promise<void> {
    // Its time to live begins now: without this a room heard in silence for a day would be gone at once.
    if (this.#rooms.of(room).peek(room)) this.#use(room);
    this.#bus.ignore(room);
  }

  async publish(request: PublishRequest): Promise<Receipt> {
    this.#mustBeOpen();
    const { user, key } = request;
    const room = this.#use(request.room);
    const { epoch } = room.log;
    const first = key === undefined ? undefined : this.#onceKeys.find(room.name, epoch, user, key);
    if (first) return { epoch, seq: first.seq, duplicate: true };
    const entry = this.#rooms.of(room.name).append(room, Buffer.from(request.body));
    // Remembered before it is told: a listener that publishes the key again at once must find it.
    if (key !== undefined) this.#onceKeys.remember(room.name, user, key, { epoch, seq: entry.seq });
    this.#bus.message(room.name, epoch, entry);
    return { epoch, seq: entry.seq, duplicate: false };
  }

  signal(room: string, signal: Signal): void {
    this.#bus.signal(room, signal);
  }

  async read(room: string, since: Position | null, limit: number): Promise<ReadResult> {
    this.#mustBeOpen();
    const { log, presenceVersion } = this.#use(room);
    return { ...log.read(since, limit), presenceVersion };
  }

  async history(room: string, query: HistoryQuery): Promise<HistoryPage> {
    this.#mustBeOpen();
    return this.#use(room).log.history(query);
  }

  async readMark(room: string): Promise<Position> {
    this.#mustBeOpen();
    const { log, markSeq } = this.#use(room);
    return { epoch: log.epoch, seq: markSeq };
  }

  async markRead(name: string, { epoch, seq }: Position): Promise<boolean> {
    this.#mustBeOpen();
    const room = this.#use(name);
    if (epoch !== room.log.epoch || seq > room.log.top) return false;
    room.markSeq = Math.max(room.markSeq, seq);
    return true;
  }

  health(): BrokerHealth {
    return { status: 'disabled' };
  }

  #use(name: string): Room {
    return this.#rooms.of(name).use(name);
  }

  #mustBeOpen(): void {
    if (!this.#bus.isOpen) throw new BrokerError('unavailable', 'the broker is not running');
  }
}
