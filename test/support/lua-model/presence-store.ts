/**
 * The real partition of the presence model test: calls of the scripts, reading back what
 * is stored, and a clock that can be moved. A lease is days long, so that the few
 * seconds of the run do not matter; time passes by setting everything stored back.
 */
import type { Redis } from 'ioredis';
import type { PresenceChange } from '../../../src/broker/presence.ts';
import { decodeEnvelope } from '../../../src/broker/redis/envelope.ts';
import { createKeys, type Keys } from '../../../src/broker/redis/keys.ts';
import type { RedisServer } from '../redis-server.ts';
import { ScriptCaller, type Reply, type Sources } from '../script-caller.ts';
import { PresenceModel } from './presence-model.ts';
import type { Snapshot } from './presence-replica.ts';
import { fail } from './run-log.ts';

/** Thresholds lie at half, one and two leases. */
export const LEASE_MS = 1_000_000_000;
/** Multiples of it keep a distance of at least 0.01 leases, hours, from every threshold. */
export const STEP_MS = 130_000_000;
/** How far in a drained node's last beat is set back. */
export const DRAIN_MS = 600_000_000;

const SET_BACK = `
  for _, incarnation in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], -ARGV[1], incarnation)
  end
  if tonumber(redis.call('HGET', KEYS[2], 'until') or 0) > 0 then
    redis.call('HINCRBY', KEYS[2], 'until', -ARGV[1])
  end`;
const META_TTL_S = 86_400;
const NEVER = 9e15;

export class PresenceStore {
  readonly redis: RedisServer;
  readonly keys: Keys = createKeys('model:');
  readonly partition: number;
  /** Three rooms of one partition. */
  readonly rooms: readonly string[];
  term = '';
  readonly #sources: Sources;
  #passedMs = 0;
  #link: { client: Redis; callers: ScriptCaller[]; subscriber: Redis; heard: Heard[] } | undefined;

  constructor(redis: RedisServer, sources: Sources) {
    this.redis = redis;
    this.#sources = sources;
    const rooms = ['lobby'];
    this.partition = this.keys.partitionOf('lobby');
    for (let i = 0; rooms.length < 3; i++) {
      if (this.keys.partitionOf(`room:${i}`) === this.partition) rooms.push(`room:${i}`);
    }
    this.rooms = rooms;
  }

  get client(): Redis {
    return this.#connected().client;
  }

  /** After each start of the process. */
  async connect(): Promise<void> {
    const [client, subscriber] = [await this.redis.client(), await this.redis.client()];
    const callers = [await ScriptCaller.on(client, this.#sources)];
    for (let i = 0; i < 2; i++) callers.push(await ScriptCaller.on(await this.redis.client(), this.#sources));
    const heard: Heard[] = [];
    subscriber.on('messageBuffer', (channel: Buffer, raw: Buffer) => {
      const envelope = decodeEnvelope(raw);
      const room = this.keys.roomOfChannel(channel) ?? '';
      heard.push({ room, change: envelope?.kind === 'presence' ? envelope.change : undefined, raw });
    });
    await subscriber.subscribe(...this.rooms.map((room) => this.keys.channel(room)));
    this.#link = { client, callers, subscriber, heard };
    this.term = /master_replid:(\w{12})/.exec(await client.info('replication'))?.[1] ?? '';
  }

  /** The test's time: that of Redis and all that was skipped. */
  now(): number {
    return Date.now() + this.#passedMs;
  }

  /** Lets time pass for everything that Redis has stored. */
  async pass(ms: number): Promise<void> {
    this.#passedMs += ms;
    await this.client.eval(SET_BACK, 2, this.keys.live(this.partition), this.keys.grace(this.partition), ms);
  }

  hold(
    inc: string,
    room: string,
    user: string,
    state: string,
    stated: boolean,
    expired: boolean,
  ): Promise<Reply[]> {
    const args = [inc, user, state, stated ? 1 : 0, room, ...this.#announce(room), expired ? 1 : NEVER];
    return this.#call(0, 'hold', this.#memberKeys(room, inc), args);
  }

  drop(inc: string, room: string, user: string, reason: string, expired: boolean): Promise<Reply[]> {
    const args = [inc, user, reason, room, ...this.#announce(room), expired ? 1 : NEVER];
    return this.#call(0, 'drop', this.#memberKeys(room, inc), args);
  }

  beat(inc: string, register: boolean, backDateMs: number): Promise<Reply[]> {
    return this.#call(0, 'heartbeat', this.#leaseKeys(), [inc, register ? 1 : 0, LEASE_MS, backDateMs]);
  }

  expire(caller: string): Promise<Reply[]> {
    return this.#call(0, 'expire', this.#leaseKeys(), [caller, LEASE_MS]);
  }

  /** @param connection which of three connections: reaps on different ones run at once. */
  reap(connection: number, inc: string, room: string, limit: number, reason: string): Promise<Reply[]> {
    const { keys, partition } = this;
    const names = [
      keys.live(partition),
      keys.presence(room, inc),
      keys.members(room),
      keys.rooms(partition, inc),
      keys.meta(room),
      keys.dead(partition),
    ];
    const [channel, publish, ttl] = this.#announce(room);
    return this.#call(connection, 'reap', names, [inc, room, channel, publish, limit, reason, ttl]);
  }

  /** One room, all pages. @returns how many left. */
  async audit(room: string): Promise<number> {
    const { keys, partition } = this;
    const names = [keys.live(partition), keys.dead(partition), keys.members(room), keys.meta(room)];
    let left = 0;
    for (let cursor = ''; cursor !== '0'; ) {
      const [next, gone] = await this.#call(0, 'audit', names, [cursor || '0', 2, ...this.#announce(room)]);
      cursor = String(next);
      left += Number(gone);
    }
    return left;
  }

  async snapshot(room: string): Promise<Snapshot> {
    const [version, count, flat] = await this.#call(
      0,
      'snapshot',
      [this.keys.members(room), this.keys.meta(room)],
      [1000],
    );
    const members = new Map<string, string>();
    const list = Array.isArray(flat) ? flat.map(String) : [];
    for (let i = 0; i < list.length; i += 2) members.set(list[i] ?? '', list[i + 1]?.split('\n')[2] ?? '');
    if (members.size !== count) fail(`a snapshot counts ${String(count)} and lists ${members.size}`);
    return { version: Number(version), members };
  }

  /** Everything heard so far: a PING comes back behind what was published before it. */
  async takeHeard(): Promise<{ readonly room: string; readonly change: PresenceChange }[]> {
    const { subscriber, heard } = this.#connected();
    await subscriber.ping();
    return heard.splice(0).map(({ room, change, raw }) => {
      return { room, change: change ?? fail(`heard in ${room}: ${raw.toString()}`) };
    });
  }

  /** What is stored, as a model: to compare with one, and to go on from after a loss. */
  async read(): Promise<PresenceModel> {
    const { client, keys, partition } = this;
    const model = new PresenceModel(this.rooms, LEASE_MS);
    const leases = await client.zrange(keys.live(partition), 0, '-1', 'WITHSCORES');
    for (let i = 0; i < leases.length; i += 2)
      model.live.set(leases[i] ?? '', Number(leases[i + 1]) + this.#passedMs);
    for (const inc of await client.smembers(keys.dead(partition))) model.dead.add(inc);
    const [term, until] = await client.hmget(keys.grace(partition), 'term', 'until');
    if (term) model.grace = { term, until: Number(until) === 0 ? -Infinity : Number(until) + this.#passedMs };
    const tag = `model:{rc${partition}}:`;
    for (const key of await client.keys('*')) {
      if (!key.startsWith(tag)) fail(`the key ${key} lies outside the partition`);
      const [, inc] = /^rooms:(.*)$/.exec(key.slice(tag.length)) ?? [];
      if (inc !== undefined) model.roomsOf.set(inc, new Set(await client.smembers(key)));
      const [, name, holder] = /^presence:(.*):([^:]*)$/.exec(key.slice(tag.length)) ?? [];
      if (name !== undefined) model.room(name).held.set(holder ?? '', new Set(await client.hkeys(key)));
    }
    for (const [name, room] of model.rooms) {
      room.version = Number(await client.hget(keys.meta(name), 'pv'));
      for (const [user, text] of Object.entries(await client.hgetall(keys.members(name)))) {
        const [holders = '', , state = ''] = text.split('\n');
        room.members.set(user, { holders: holders.split(' '), state });
      }
    }
    return model;
  }

  #memberKeys(room: string, inc: string): string[] {
    const { keys, partition } = this;
    return [
      keys.live(partition),
      keys.presence(room, inc),
      keys.members(room),
      keys.rooms(partition, inc),
      keys.meta(room),
    ];
  }

  #leaseKeys(): string[] {
    return [this.keys.live(this.partition), this.keys.dead(this.partition), this.keys.grace(this.partition)];
  }

  #announce(room: string): [string, string, number] {
    return [this.keys.channel(room), 'PUBLISH', META_TTL_S];
  }

  #call(
    connection: number,
    name: 'hold' | 'drop' | 'heartbeat' | 'expire' | 'reap' | 'audit' | 'snapshot',
    keys: string[],
    args: (string | number)[],
  ): Promise<Reply[]> {
    const caller = this.#connected().callers[connection];
    return caller === undefined ? fail(`no connection ${connection}`) : caller.call(name, keys, args);
  }

  #connected() {
    return this.#link ?? fail('not connected');
  }
}

interface Heard {
  readonly room: string;
  readonly change: PresenceChange | undefined;
  readonly raw: Buffer;
}
