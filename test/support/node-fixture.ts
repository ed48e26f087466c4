/**
 * A node of its own for use-case tests: fake time, a store that can be broken,
 * connections without sockets. Nothing moves unless the test says so, except
 * what waits for promises alone (`settle`).
 */
import { type Config, loadConfig } from '../../src/config.ts';
import type { Access } from '../../src/node/access.ts';
import { openAccess } from '../../src/node/access.ts';
import type { Dispatcher } from '../../src/node/dispatch.ts';
import { Node } from '../../src/node/node.ts';
import { createFakeStore, type FakeStore } from './fake-broker.ts';
import type { Random } from '../../src/core/clock.ts';
import { createFakeClock, createSeededRandom, type FakeClock } from './fake-clock.ts';
import { createFakeConnection, type FakeConnection, type Frame } from './fake-connection.ts';
import { createRecordingLogger, type RecordingLogger } from './recording-logger.ts';
import { SharedStore } from './shared-store.ts';

export interface NodeFixture {
  readonly node: Node;
  readonly clock: FakeClock;
  readonly store: FakeStore;
  readonly logger: RecordingLogger;
  /** The store itself, behind the front, where nodes share one. */
  readonly shared: SharedStore | undefined;
  /** A connection that has not said anything. */
  connect(): Client;
  /** A connection that has said hello. */
  hello(user?: string): Promise<Client>;
  /** Lets everything run that waits for no time and no held-back answer. */
  settle(): Promise<void>;
  advance(ms: number): Promise<void>;
  /** What broke a promise of the protocol on any connection. */
  violations(): string[];
}

export class Client {
  readonly connection: FakeConnection = createFakeConnection();
  readonly #dispatcher: Dispatcher;
  readonly #settle: () => Promise<void>;
  #nextId = 1;

  constructor(node: Node, settle: () => Promise<void>) {
    this.#dispatcher = node.opened(this.connection);
    this.#settle = settle;
  }

  get id(): string {
    return this.connection.id;
  }

  /** Sends frames, each as a message of its own, without waiting for anything. */
  say(...frames: readonly object[]): void {
    for (const frame of frames) this.text(JSON.stringify(frame));
  }

  text(text: string): void {
    this.#dispatcher.text(text);
  }

  /** Sends a frame with a new id; the reply, as far as it came without time passing. */
  async request(frame: object): Promise<Frame> {
    const id = `${this.id.slice(-2)}-${this.#nextId++}`;
    this.say({ ...frame, id });
    await this.#settle();
    const reply = this.connection.reply(id);
    if (!reply) throw new Error(`no reply to ${JSON.stringify(frame)}`);
    return reply;
  }

  join(room: string, options: object = {}): Promise<Frame> {
    return this.request({ type: 'join', room, ...options });
  }

  publish(room: string, data: unknown, options: object = {}): Promise<Frame> {
    return this.request({ type: 'publish', room, data, ...options });
  }

  /** The socket is gone, however it went. */
  drop(): void {
    this.#dispatcher.closed();
    this.connection.gone();
  }
}

export interface FixtureOptions {
  readonly settings?: Partial<Config>;
  readonly access?: Access;
  readonly seed?: number;
  /** A second node at the store and in the time of the first. */
  readonly beside?: NodeFixture;
  /** Begins a store that nodes can share. */
  readonly shareable?: boolean;
}

interface Cluster {
  readonly clock: FakeClock;
  readonly random: Random;
  readonly shared: SharedStore | undefined;
  nodes: number;
}

const clusters = new WeakMap<NodeFixture, Cluster>();

function clusterOf(options: FixtureOptions, settings: Config): Cluster {
  const joined = options.beside && clusters.get(options.beside);
  if (joined) return joined;
  const clock = createFakeClock();
  const random = createSeededRandom(options.seed ?? 1);
  const shared = options.shareable ? new SharedStore({ clock, random, settings }) : undefined;
  return { clock, random, shared, nodes: 0 };
}

const ROUNDS = 4;

export function createNodeFixture(options: FixtureOptions = {}): NodeFixture {
  const { config } = loadConfig({ env: {}, hostname: 'node-1' });
  const settings = { ...config, ...options.settings };
  const cluster = clusterOf(options, settings);
  const { clock, random } = cluster;
  cluster.nodes += 1;
  const name = `node-${cluster.nodes}`;
  const logger = createRecordingLogger();
  const shared = cluster.shared && { store: cluster.shared, node: name };
  const store = createFakeStore({ clock, random, settings, shared });
  const node = new Node({
    broker: store.broker,
    presence: store.presence,
    access: options.access ?? openAccess,
    clock,
    random,
    logger,
    serverName: 'roomcast/0.0.0',
    settings: { ...settings, nodeName: name },
  });
  node.start();
  const clients: Client[] = [];
  const settle = async () => {
    for (let round = 0; round < ROUNDS; round += 1) await clock.advanceAsync(0);
  };
  const connect = () => {
    const client = new Client(node, settle);
    clients.push(client);
    return client;
  };
  const fixture: NodeFixture = {
    node,
    clock,
    store,
    logger,
    shared: cluster.shared,
    connect,
    settle,
    async hello(user) {
      const client = connect();
      client.say({ type: 'hello', user });
      await settle();
      return client;
    },
    async advance(ms) {
      await clock.advanceAsync(ms);
      await settle();
    },
    violations: () => clients.flatMap((client) => client.connection.violations),
  };
  clusters.set(fixture, cluster);
  return fixture;
}
