/**
 * One store for several nodes in one process: the embedded broker's rooms, told
 * to every node, and a presence that counts nodes. Each node gets to it through
 * a front of its own (fake-broker.ts), whose link can be broken by itself.
 */
import type { Broker, BrokerEvents } from '../../src/broker/broker.ts';
import { createMemoryBroker, type MemoryBrokerSettings } from '../../src/broker/memory/memory-broker.ts';
import type { Clock, Random } from '../../src/core/clock.ts';
import { SimulatedPresence } from './simulated-presence.ts';

export interface SharedStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: MemoryBrokerSettings;
}

export class SharedStore {
  readonly presence: SimulatedPresence;
  readonly #options: SharedStoreOptions;
  readonly #listeners = new Set<BrokerEvents>();
  /** All rooms ever heard: the embedded broker tells of no others. */
  readonly #rooms = new Set<string>();
  #broker: Broker;

  constructor(options: SharedStoreOptions) {
    this.#options = options;
    this.presence = new SimulatedPresence(
      (room, change) => this.#each((listener) => listener.presence(room, change)),
      () => options.clock.wallMs(),
    );
    this.#broker = this.#start();
  }

  get broker(): Broker {
    return this.#broker;
  }

  listen(listener: BrokerEvents): void {
    this.#listeners.add(listener);
  }

  async hear(room: string): Promise<void> {
    this.#rooms.add(room);
    await this.#broker.subscribe(room);
  }

  /** As a Redis that came back without its data. */
  empty(): void {
    this.#broker = this.#start();
    for (const room of this.#rooms) void this.#broker.subscribe(room);
    this.presence.empty();
  }

  #start(): Broker {
    const { broker } = createMemoryBroker(this.#options);
    broker.start({
      message: (room, epoch, entry) => this.#each((listener) => listener.message(room, epoch, entry)),
      signal: (room, signal) => this.#each((listener) => listener.signal(room, signal)),
      presence: () => undefined,
      gap: () => undefined,
      linkLost: () => undefined,
      subscribed: () => undefined,
      status: () => undefined,
    });
    return broker;
  }

  #each(tell: (listener: BrokerEvents) => void): void {
    for (const listener of this.#listeners) tell(listener);
  }
}
