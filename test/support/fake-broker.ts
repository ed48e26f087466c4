/**
 * The embedded broker behind a front that a test can break: calls can be held
 * back, refused or left without an answer, the subscription link can be lost,
 * what it carries can be delayed, and the store can come back empty. Without a
 * fault it is the embedded broker.
 */
import { type Broker, BrokerError, type BrokerEvents, type BrokerStatus } from '../../src/broker/broker.ts';
import { createMemoryBroker, type MemoryBrokerSettings } from '../../src/broker/memory/memory-broker.ts';
import type { PresenceEvents, PresenceStore } from '../../src/broker/presence.ts';
import type { Clock, Random } from '../../src/core/clock.ts';
import type { SharedStore } from './shared-store.ts';

type BrokerCall = 'subscribe' | 'unsubscribe' | 'publish' | 'read' | 'history' | 'readMark' | 'markRead';
type PresenceCall = 'hold' | 'drop' | 'snapshot' | 'reconcile';
export type Call = BrokerCall | PresenceCall;

/** Awaited in front of a call, or behind it (the store has done it, the answer is not there yet). May throw. */
type Hook = (...args: readonly unknown[]) => Promise<void> | void;

export interface FakeStore {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  /** Calls in their order: `read r`, `hold r ann`. */
  readonly calls: string[];
  /** Rooms whose channel is heard. */
  readonly heard: ReadonlySet<string>;
  before(call: Call, hook: Hook | undefined): void;
  after(call: Call, hook: Hook | undefined): void;
  /** Everything is refused with `unavailable` from now on; the node is told. The link is lost as well. */
  goDown(): void;
  /** The store answers again. The link is another matter: `relink`. */
  comeUp(): void;
  loseLink(): void;
  /** Every room is acknowledged anew, by the same store or by one that may lack what the old one had. */
  relink(sameStore?: boolean): void;
  /** What the store published while no link was there to carry it is gone. */
  readonly linked: boolean;
  /** From now on what is heard waits for `deliver`. */
  delayEvents(): void;
  /** Delivers that many (all) delayed events; with all, later ones come at once again. */
  deliver(count?: number): void;
  /** The next delayed messages, signals and changes vanish, and nobody is told. */
  discard(count: number): void;
  /** All data is gone, as after a restart of a Redis that does not persist. */
  empty(): void;
  /** The lease was lost: the node must hold everything again. */
  rebuild(): void;
  /** An event as from somewhere else. */
  readonly events: BrokerEvents;
}

export interface FakeStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: MemoryBrokerSettings;
  /** One store behind several fronts, each with a name of its own; without it the front has one for itself. */
  readonly shared?: { readonly store: SharedStore; readonly node: string } | undefined;
}

export function createFakeStore(options: FakeStoreOptions): FakeStore {
  return new Front(options);
}

class Front implements FakeStore {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly calls: string[] = [];
  readonly heard = new Set<string>();
  readonly events: BrokerEvents;
  linked = true;
  readonly #options: FakeStoreOptions;
  readonly #before = new Map<Call, Hook>();
  readonly #after = new Map<Call, Hook>();
  #inner: { broker: Broker; presence: PresenceStore };
  #node: BrokerEvents | undefined;
  #presenceEvents: PresenceEvents | undefined;
  #status: BrokerStatus = 'up';
  /** Per reconciliation under way: whom the node held since it was called. */
  readonly #reconciling = new Set<Set<string>>();
  #delayed: { readonly tell: () => void; readonly canVanish: boolean }[] | undefined;

  constructor(options: FakeStoreOptions) {
    this.#options = options;
    this.#inner = this.#open();
    this.events = this.#eventsToNode();
    this.broker = this.#brokerFront();
    this.presence = this.#presenceFront();
  }

  before(call: Call, hook: Hook | undefined): void {
    if (hook) this.#before.set(call, hook);
    else this.#before.delete(call);
  }

  after(call: Call, hook: Hook | undefined): void {
    if (hook) this.#after.set(call, hook);
    else this.#after.delete(call);
  }

  goDown(): void {
    this.loseLink();
    this.#status = 'down';
    this.#node?.status('down');
  }

  comeUp(): void {
    this.#status = 'up';
    this.#node?.status('up');
  }

  loseLink(): void {
    if (!this.linked) return;
    this.linked = false;
    if (this.#delayed) this.#delayed = [];
    this.#node?.linkLost();
  }

  relink(sameStore = true): void {
    this.linked = true;
    for (const room of this.heard) this.#tell(() => this.#node?.subscribed(room, sameStore), false);
  }

  delayEvents(): void {
    this.#delayed ??= [];
  }

  deliver(count?: number): void {
    const delayed = this.#delayed ?? [];
    if (count === undefined) this.#delayed = undefined;
    for (const { tell } of delayed.splice(0, count ?? delayed.length)) tell();
  }

  discard(count: number): void {
    const delayed = this.#delayed ?? [];
    for (let place = 0, left = count; place < delayed.length && left > 0; ) {
      if (!delayed[place]?.canVanish) place += 1;
      else {
        delayed.splice(place, 1);
        left -= 1;
      }
    }
  }

  empty(): void {
    const { shared } = this.#options;
    shared?.store.empty();
    this.#inner = this.#open();
    if (!shared) this.#startInner();
  }

  rebuild(): void {
    void this.#presenceEvents?.rebuild();
  }

  #open(): { broker: Broker; presence: PresenceStore } {
    const { shared } = this.#options;
    if (!shared) return createMemoryBroker(this.#options);
    const { store, node } = shared;
    const { presence } = store;
    return {
      presence: presence.for(node),
      broker: {
        start: (events) => store.listen(events),
        stop: async () => undefined,
        subscribe: (room) => store.hear(room),
        unsubscribe: async () => undefined,
        publish: (request) => store.broker.publish(request),
        signal: (room, signal) => store.broker.signal(room, signal),
        read: async (room, since, limit) => {
          const result = await store.broker.read(room, since, limit);
          return { ...result, presenceVersion: presence.version(room) };
        },
        history: (room, query) => store.broker.history(room, query),
        readMark: (room) => store.broker.readMark(room),
        markRead: (room, position) => store.broker.markRead(room, position),
        health: () => store.broker.health(),
      },
    };
  }

  #startInner(): void {
    // Its own `up` is not passed on: the front has a status of its own.
    this.#inner.broker.start({ ...this.events, status: () => undefined });
    for (const room of this.heard) void this.#inner.broker.subscribe(room);
  }

  #tell(tell: () => void, canVanish: boolean): void {
    if (this.#delayed) this.#delayed.push({ tell, canVanish });
    else tell();
  }

  #carry(room: string, tell: () => void): void {
    if (this.linked && this.heard.has(room)) this.#tell(tell, true);
  }

  #eventsToNode(): BrokerEvents {
    return {
      message: (room, epoch, entry) => this.#carry(room, () => this.#node?.message(room, epoch, entry)),
      presence: (room, change) => this.#carry(room, () => this.#node?.presence(room, change)),
      signal: (room, signal) => this.#carry(room, () => this.#node?.signal(room, signal)),
      gap: (room) => this.#carry(room, () => this.#node?.gap(room)),
      linkLost: () => this.loseLink(),
      subscribed: (room, sameStore) => this.#node?.subscribed(room, sameStore),
      status: (status) => this.#node?.status(status),
    };
  }

  /** A call passes its hooks; while the store is down it is refused. */
  async #call<T>(name: Call, args: readonly unknown[], run: () => Promise<T>): Promise<T> {
    this.calls.push([name, ...args.filter((arg) => typeof arg === 'string')].join(' '));
    await this.#before.get(name)?.(...args);
    if (this.#status === 'down') throw new BrokerError('unavailable', 'the store is away');
    const result = await run();
    await this.#after.get(name)?.(...args);
    return result;
  }

  #brokerFront(): Broker {
    return {
      start: (events) => {
        this.#node = events;
        this.#startInner();
        events.status(this.#status);
      },
      stop: () => this.#inner.broker.stop(),
      subscribe: (room) =>
        this.#call('subscribe', [room], async () => {
          if (!this.linked) throw new BrokerError('unavailable', 'the link is away');
          this.heard.add(room);
          await this.#inner.broker.subscribe(room);
        }),
      unsubscribe: async (room) => {
        this.calls.push(`unsubscribe ${room}`);
        await this.#before.get('unsubscribe')?.(room);
        this.heard.delete(room);
        await this.#inner.broker.unsubscribe(room);
        await this.#after.get('unsubscribe')?.(room);
      },
      publish: (request) =>
        this.#call('publish', [request.room, request], () => this.#inner.broker.publish(request)),
      signal: (room, signal) => {
        // While it is away a signal still reaches this node, and no other.
        if (this.#status === 'down') this.#node?.signal(room, signal);
        else this.#inner.broker.signal(room, signal);
      },
      read: (room, since, limit) =>
        this.#call('read', [room, since, limit], () => this.#inner.broker.read(room, since, limit)),
      history: (room, query) =>
        this.#call('history', [room, query], () => this.#inner.broker.history(room, query)),
      readMark: (room) => this.#call('readMark', [room], () => this.#inner.broker.readMark(room)),
      markRead: (room, position) =>
        this.#call('markRead', [room, position], () => this.#inner.broker.markRead(room, position)),
      health: () => this.#inner.broker.health(),
    };
  }

  #presenceFront(): PresenceStore {
    return {
      start: (events) => {
        this.#presenceEvents = events;
      },
      stop: () => this.#inner.presence.stop(),
      hold: (room, user, state, stated) => {
        for (const held of this.#reconciling) held.add(`${room} ${user}`);
        return this.#call('hold', [room, user, state, stated], () =>
          this.#inner.presence.hold(room, user, state, stated),
        );
      },
      drop: (room, user, reason) =>
        this.#call('drop', [room, user, reason], () => this.#inner.presence.drop(room, user, reason)),
      snapshot: (room, limit) =>
        this.#call('snapshot', [room, limit], () => this.#inner.presence.snapshot(room, limit)),
      // As the port promises: a store that is away counts this node alone.
      countConnections: async (user, count) => {
        this.calls.push(`countConnections ${user}`);
        return this.#status === 'down' ? count : this.#inner.presence.countConnections(user, count);
      },
      reconcile: async (room, users) => {
        // As in Redis: who is held while it works is no stranger, however late it is.
        const held = new Set<string>();
        this.#reconciling.add(held);
        try {
          await this.#call('reconcile', [room, users], () => {
            const since = [...held].filter((name) => name.startsWith(`${room} `));
            const present = [...users, ...since.map((name) => name.slice(room.length + 1))];
            return this.#inner.presence.reconcile(room, new Set(present));
          });
        } finally {
          this.#reconciling.delete(held);
        }
      },
    };
  }
}
