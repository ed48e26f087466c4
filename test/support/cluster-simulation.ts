/**
 * Whole nodes at one shared store, with clients that join, leave, reload, publish
 * and set states while links are lost, answers are late or never come, and the
 * store loses everything: one random step after the other, in fake time. At the
 * end all faults stop, and everybody must see the same truth.
 */
import { BrokerError } from '../../src/broker/broker.ts';
import type { Config } from '../../src/config.ts';
import type { ReadResult } from '../../src/core/entry.ts';
import type { Call } from './fake-broker.ts';
import { FollowingClient, SharedTruth } from './following-client.ts';
import { createNodeFixture, type NodeFixture } from './node-fixture.ts';
import { Seeded } from './seeded.ts';

export interface ClusterOptions {
  readonly seed: number;
  readonly steps: number;
  /** Faults that may happen; without any, nobody may ever have to ask. */
  readonly faults: boolean;
  /** Clients stop reading now and then. */
  readonly stalls?: boolean;
  readonly settings?: Partial<Config>;
}

export interface ClusterResult {
  readonly messages: number;
  readonly asks: number;
  readonly resets: number;
}

const ROOMS = ['a', 'b'];
const USERS = ['ann', 'bob', 'cid', 'dan'];
const CALLS: readonly Call[] = [
  'subscribe',
  'publish',
  'read',
  'history',
  'hold',
  'drop',
  'snapshot',
  'reconcile',
];
/** Calls whose effect may be there although no answer came. */
const UNKNOWN: readonly Call[] = ['publish', 'hold', 'drop'];

export async function simulateCluster(options: ClusterOptions): Promise<ClusterResult> {
  const simulation = new ClusterSimulation(options);
  for (let step = 0; step < options.steps; step += 1) await simulation.step();
  await simulation.finish();
  return simulation.result;
}

class ClusterSimulation {
  readonly #random: Seeded;
  readonly #faults: boolean;
  readonly #stalls: boolean;
  readonly #nodes: NodeFixture[];
  readonly #truth = new SharedTruth();
  readonly #clients: FollowingClient[];
  #published = 0;

  constructor({ seed, faults, stalls = false, settings = {} }: ClusterOptions) {
    this.#random = new Seeded(seed);
    this.#faults = faults;
    this.#stalls = stalls;
    const first = createNodeFixture({ settings, shareable: true, seed });
    this.#nodes = [first, createNodeFixture({ settings, beside: first })];
    // Two clients of each user: tabs.
    this.#clients = [...USERS, ...USERS].map((user) => new FollowingClient(user, this.#truth));
  }

  get result(): ClusterResult {
    const sum = (of: (client: FollowingClient) => number) =>
      this.#clients.reduce((all, client) => all + of(client), 0);
    return { messages: sum((c) => c.messages), asks: sum((c) => c.asks), resets: sum((c) => c.resets) };
  }

  async step(): Promise<void> {
    const random = this.#random;
    const client = random.pick(this.#clients);
    const room = random.pick(ROOMS);
    const kind = random.between(0, 99);
    if (!client.isConnected) client.connect(random.pick(this.#nodes));
    else if (this.#stalls && random.chance(0.15)) random.pick([() => client.stall(), () => client.read()])();
    else if (kind < 25) this.#join(client, room);
    else if (kind < 32) client.leave(room);
    else if (kind < 40) this.#drop(client);
    else if (kind < 62) client.publish(room, (this.#published += 1));
    else if (kind < 72) client.state(room, { n: random.between(1, 3) });
    else if (kind < 88 || !this.#faults) await this.#pass(random.pick([1, 10, 60, 150, 1000, 6000]));
    else await this.#fault(random.pick(this.#nodes));
    // Frames often follow each other without a turn between them.
    if (random.chance(0.7)) await this.#settle();
    this.#look();
  }

  async finish(): Promise<void> {
    for (const node of this.#nodes) this.#heal(node);
    for (const client of this.#clients) client.read();
    await this.#pass(100);
    for (const { store } of this.#nodes) store.rebuild();
    // Longer than the hold, the settling after an outage and the look at the heads of silent rooms.
    for (let second = 0; second < 90; second += 1) {
      await this.#pass(1000);
      this.#look();
    }
    await this.#settle();
    this.#look();
    for (const room of ROOMS) await this.#checkRoom(room);
    const broken = [
      ...this.#clients.flatMap((client) => client.violations),
      ...this.#nodes.flatMap((n) => n.violations()),
    ];
    if (broken.length > 0) throw new Error(broken.slice(0, 5).join('\n'));
  }

  #drop(client: FollowingClient): void {
    client.look();
    client.drop();
  }

  #join(client: FollowingClient, room: string): void {
    const random = this.#random;
    const state = random.chance(0.3) ? { n: random.between(1, 3) } : undefined;
    client.join(room, random.pick(['full', 'full', 'full', 'count', 'none']), {
      resume: random.chance(0.7),
      state,
    });
  }

  async #fault(node: NodeFixture): Promise<void> {
    const random = this.#random;
    const { store } = node;
    switch (random.between(0, 9)) {
      case 0:
        return store.loseLink();
      case 1:
      case 2:
        return this.#heal(node);
      case 3:
        return store.delayEvents();
      case 4:
        return store.deliver(random.between(1, 5));
      case 5:
        return store.discard(1);
      case 6:
      case 7:
        return this.#disturb(node, random.pick(CALLS));
      case 8:
        return store.goDown();
      default:
        if (random.chance(0.3)) await this.#loseEverything();
    }
  }

  /** From now on a kind of call is late, refused, or left without an answer, until the node is healed. */
  #disturb({ store, clock }: NodeFixture, call: Call): void {
    const random = this.#random;
    const late = () => new Promise<void>((resolve) => clock.after(random.between(1, 400), resolve));
    const refused = () => {
      if (random.chance(0.5)) throw new BrokerError('unavailable', 'no answer');
    };
    const unknown = () => {
      if (random.chance(0.5)) throw new BrokerError('unknown_outcome', 'no answer in time');
    };
    const soon = () => undefined;
    store.before(call, random.pick([late, refused, soon]));
    store.after(call, random.pick(UNKNOWN.includes(call) ? [late, unknown, soon] : [late, soon]));
  }

  #heal({ store }: NodeFixture): void {
    for (const call of CALLS) {
      store.before(call, undefined);
      store.after(call, undefined);
    }
    store.deliver();
    store.comeUp();
    if (!store.linked) store.relink();
  }

  /** Redis restarts without its data: every node loses both links, and finds out about its lease a moment later. */
  async #loseEverything(): Promise<void> {
    for (const { store } of this.#nodes) store.goDown();
    await this.#pass(this.#random.between(1, 3000));
    for (const room of ROOMS) this.#truth.lost.add((await this.#read(room)).epoch);
    this.#nodes[0]?.store.empty();
    for (const { store } of this.#nodes) {
      store.comeUp();
      store.relink(false);
      await this.#pass(this.#random.between(1, 1500));
      store.rebuild();
    }
  }

  async #pass(ms: number): Promise<void> {
    // The nodes share their clock: moving the first one's moves all.
    await this.#nodes[0]?.clock.advanceAsync(ms);
  }

  async #settle(): Promise<void> {
    for (const node of this.#nodes) await node.settle();
  }

  #look(): void {
    for (const client of this.#clients) client.look();
  }

  #read(room: string): Promise<ReadResult> {
    const shared = this.#nodes[0]?.shared;
    if (!shared) throw new Error('no shared store');
    return shared.broker.read(room, null, 1);
  }

  async #checkRoom(room: string): Promise<void> {
    const store = this.#nodes[0]?.store;
    if (!store) throw new Error('no node');
    const members = this.#clients.flatMap((client) => {
      const following = client.rooms.get(room);
      return following ? [{ client, following }] : [];
    });
    const { epoch, top } = await this.#read(room);
    const snapshot = await store.presence.snapshot(room, 1_000_000);
    const there = (snapshot.members ?? []).map(({ user, state }) => `${user} ${state}`).sort();
    const wanted = [...new Set(members.map(({ client }) => client.user))].sort();
    const found = (snapshot.members ?? []).map(({ user }) => user).sort();
    if (found.join() !== wanted.join())
      throw new Error(`${room}: ${wanted.join()} are in it, the store has ${found.join()}`);
    for (const { client, following } of members) {
      const { position, view, mode } = following;
      if (position.epoch !== epoch || position.seq !== top) {
        throw new Error(
          `${client.user} in ${room} is at ${position.epoch}:${position.seq}, the room at ${epoch}:${top}`,
        );
      }
      if (mode === 'none') continue;
      if (view?.count !== there.length)
        throw new Error(`${client.user} counts ${view?.count} in ${room}: ${there.join()}`);
      if (mode === 'count' || !view.members) continue;
      const seen = [...view.members.values()]
        .map(({ user, state }) => `${user} ${JSON.stringify(state)}`)
        .sort();
      if (seen.join() !== there.join())
        throw new Error(`${client.user} sees ${seen.join()} in ${room}, there are ${there.join()}`);
    }
  }
}
