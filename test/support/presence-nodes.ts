/**
 * Several nodes' presence over one real Redis, in one process, each with its own
 * connection, name and clock, so that each can die, stand still or lose its link
 * alone. A node here does the least a node must do: it remembers whom it has,
 * writes until the write is applied, and writes everything again when told to.
 * An observer beside them hears what every member of a room would hear.
 */
import type { Redis } from 'ioredis';
import { BrokerError } from '../../src/broker/broker.ts';
import type { PresenceChange, PresenceStore } from '../../src/broker/presence.ts';
import { CommandLink } from '../../src/broker/redis/command-link.ts';
import { decodeEnvelope } from '../../src/broker/redis/envelope.ts';
import { createKeys, type Keys } from '../../src/broker/redis/keys.ts';
import { createRedisPresence } from '../../src/broker/redis/redis-presence.ts';
import { loadScripts } from '../../src/broker/redis/scripts.ts';
import { systemRandom } from '../../src/ops/system-clock.ts';
import type { RedisServer } from './redis-server.ts';
import { createRecordingLogger, type RecordingLogger } from './recording-logger.ts';
import { createStandingClock } from './standing-clock.ts';

/** Short, so that a death is seen in about a second. */
export const SHORT = {
  leaseMs: 1_000,
  heartbeatMs: 200,
  presenceHoldMs: 400,
  metaTtlS: 3_600,
  inboxTtlS: 600,
  redisDeadlineMs: 500,
};
export type PresenceNodeSettings = typeof SHORT;

export interface PresenceNode {
  readonly presence: PresenceStore;
  readonly log: RecordingLogger;
  /** How often the store asked for everything. */
  readonly rebuilds: number;
  /** Has the user from now on; resolves when that is written. */
  join(room: string, user: string): Promise<void>;
  leave(room: string, user: string): Promise<void>;
  /** SIGKILL: no timer runs any more, the link is gone, nothing is said. */
  die(): void;
  stand(): void;
  goOn(): void;
  /** A clean end, with the users still here. */
  stop(): Promise<void>;
  /** Everything that had to be written again is written. */
  rebuilt(): Promise<void>;
}

export interface Observer {
  /** All that was announced before the call, in order. */
  changes(room: string): Promise<readonly PresenceChange[]>;
  /** One name for each time somebody left before the call, in order. */
  left(room: string): Promise<string[]>;
  /** When somebody was first heard to leave: milliseconds since 1970, the clock Redis has too. */
  firstLeftMs(room: string): number;
  /** Where the Redis it heard is gone: hears the one that is there now, keeping what was heard. */
  hearAgain(): Promise<void>;
}

export interface PresenceNodes {
  readonly keys: Keys;
  readonly redis: Redis;
  readonly observer: Observer;
  node(
    name: string,
    more?: { port?: number; settings?: Partial<PresenceNodeSettings> },
  ): Promise<PresenceNode>;
  /** A room the observer hears. */
  room(name?: string): Promise<string>;
  /** The users of the room, by the store. */
  users(room: string): Promise<string[]>;
  /** user -> when they came; it stays as long as they never left. */
  since(room: string): Promise<Map<string, string>>;
  /** incarnation -> its last beat in one partition, in ms of Redis time. */
  beats(partition?: number): Promise<Map<string, number>>;
  redisMs(): Promise<number>;
  /** Keys that hold or list anybody, those of leases apart. */
  traces(): Promise<string[]>;
  /** Stops every node. */
  close(): Promise<void>;
}

let groups = 0;

export async function createPresenceNodes(server: RedisServer): Promise<PresenceNodes> {
  groups += 1;
  const keys = createKeys(`p${process.pid}-${groups}:`);
  const scripts = loadScripts();
  let redis = await server.client();
  const nodes = new Set<PresenceNode>();
  const heard = new Map<string, PresenceChange[]>();
  const firstLeft = new Map<string, number>();
  let subscriber: Redis | undefined;
  let rooms = 0;

  async function hear(): Promise<void> {
    const connection = await server.client();
    subscriber?.disconnect();
    subscriber = connection;
    connection.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      const envelope = decodeEnvelope(message);
      const room = keys.roomOfChannel(channel);
      if (envelope?.kind !== 'presence' || room === undefined) return;
      heard.get(room)?.push(envelope.change);
      if (envelope.change.kind === 'left' && !firstLeft.has(room)) firstLeft.set(room, Date.now());
    });
    for (const room of heard.keys()) await connection.subscribe(keys.channel(room));
  }
  await hear();

  const observer: Observer = {
    async changes(room) {
      // Answered behind everything Redis had to say on this connection.
      await subscriber?.ping();
      return heard.get(room) ?? [];
    },
    async left(room) {
      const changes = await observer.changes(room);
      return changes.flatMap((change) => (change.kind === 'left' ? change.users : []));
    },
    firstLeftMs: (room) => firstLeft.get(room) ?? Number.NaN,
    hearAgain: async () => {
      redis = await server.client();
      await hear();
    },
  };

  return {
    keys,
    get redis() {
      return redis;
    },
    observer,
    async node(name, { port = server.port, settings: changed = {} } = {}) {
      const settings = { ...SHORT, ...changed };
      const clock = createStandingClock();
      const log = createRecordingLogger();
      const target = { host: '127.0.0.1', port };
      const parts = { clock, random: systemRandom, logger: log, settings };
      const link = new CommandLink({ ...parts, target, scripts });
      const presence = createRedisPresence({ ...parts, commands: link, keys, nodeName: name });
      const node = createNode(presence, log, clock, link);
      nodes.add(node);
      link.start();
      presence.start({ rebuild: () => node.rebuild() });
      await until(() => log.saying('lease taken').length > 0, `the lease of ${name}`);
      return node;
    },
    async room(name) {
      rooms += 1;
      const room = name ?? `room/${rooms}`;
      heard.set(room, []);
      await subscriber?.subscribe(keys.channel(room));
      return room;
    },
    users: async (room) => (await redis.hkeys(keys.members(room))).toSorted(),
    async since(room) {
      const entries = Object.entries(await redis.hgetall(keys.members(room)));
      return new Map(entries.map(([user, entry]) => [user, entry.split('\n')[1] ?? '']));
    },
    async beats(partition = 0) {
      const flat = await redis.zrange(keys.live(partition), '0', '-1', 'WITHSCORES');
      return new Map(
        flat.flatMap((name, index) => (index % 2 === 0 ? [[name, Number(flat[index + 1])] as const] : [])),
      );
    },
    async redisMs() {
      const [seconds, micros] = await redis.time();
      return Number(seconds) * 1_000 + Number(micros) / 1_000;
    },
    async traces() {
      const every = await redis.keys(keys.live(0).replace(/\{.*$/, '*'));
      return every.filter((key) => !/:(live|grace|meta:.*)$/.test(key)).toSorted();
    },
    async close() {
      for (const node of nodes) await node.stop();
      subscriber?.disconnect();
      redis.disconnect();
    },
  };
}

function createNode(
  presence: PresenceStore,
  log: RecordingLogger,
  clock: ReturnType<typeof createStandingClock>,
  link: { stop(): void },
): PresenceNode & { rebuild(): Promise<void> } {
  const has = new Map<string, Set<string>>();
  let rebuilds = 0;
  let gone = false;
  let rebuilding: Promise<unknown> = Promise.resolve();

  /** As a node does: again and again, as long as it is still so. */
  async function written(write: () => Promise<unknown>, still: () => boolean): Promise<void> {
    while (!gone && still()) {
      try {
        await write();
        return;
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error;
        await new Promise<void>((resolve) => void clock.after(20, resolve));
      }
    }
  }

  function hold(room: string, user: string): Promise<void> {
    return written(
      () => presence.hold(room, user, '{}', false),
      () => has.get(room)?.has(user) === true,
    );
  }

  async function writeRoom(room: string, users: Set<string>): Promise<void> {
    await Promise.all([...users].map((user) => hold(room, user)));
    await written(
      () => presence.reconcile(room, users),
      () => true,
    );
  }

  return {
    presence,
    log,
    get rebuilds() {
      return rebuilds;
    },
    rebuild() {
      rebuilds += 1;
      const rewritten = [...has].map(([room, users]) => writeRoom(room, users));
      rebuilding = Promise.all([rebuilding, ...rewritten]);
      return rebuilding.then(() => undefined);
    },
    join(room, user) {
      const users = has.get(room) ?? new Set();
      has.set(room, users.add(user));
      return hold(room, user);
    },
    leave(room, user) {
      const users = has.get(room);
      users?.delete(user);
      if (users?.size === 0) has.delete(room);
      return written(
        () => presence.drop(room, user, 'left'),
        () => has.get(room)?.has(user) !== true,
      );
    },
    die() {
      gone = true;
      clock.stand();
      link.stop();
    },
    stand: () => clock.stand(),
    goOn: () => clock.goOn(),
    async stop() {
      if (gone) return;
      gone = true;
      await presence.stop();
      link.stop();
    },
    async rebuilt() {
      await rebuilding;
    },
  };
}

/** How many users this node took from the dead, by its log, which comes when its run ends. */
export function reapedUsers(node: PresenceNode): number {
  return node.log.saying('reaped').reduce((sum, { fields }) => sum + Number(fields.users), 0);
}

/** Looks every few milliseconds until it holds: for what is true in Redis and told by no event. Rejects, naming `what`. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
