/**
 * A real Redis of the publish model test beside what it should hold, and the two ways
 * to compare them: it is exactly in the expected state, or, having lost its tail, in
 * one that was there before. Half a publish would be neither.
 */
import type { Redis } from 'ioredis';
import type { Keys } from '../../../src/broker/redis/keys.ts';
import type { RedisServer } from '../redis-server.ts';
import { ScriptCaller, type Reply, type Sources } from '../script-caller.ts';
import { aofBytes } from './aof.ts';
import { describeState, EMPTY_ROOM, type RoomState } from './room-model.ts';
import type { Cursor, ReadReply } from './room-reader.ts';
import { fail } from './run-log.ts';

export const ROOMS = ['red', 'green', 'blue'];
/** user/key of the idempotent publishes; few, so that they repeat. */
export const ONCE_NAMES = ['ann/1', 'ann/2', 'bob/1', 'bob/2'];

export class RoomServer {
  readonly redis: RedisServer;
  readonly #keys: Keys;
  readonly #sources: Sources;
  primary = true;
  /** First 12 digits of its master_replid. */
  term = '';
  rooms = new Map<string, RoomState>();
  /** Every state since the process started or its replica was synced, oldest first: where a lost tail may lead back to. */
  past: ReadonlyMap<string, RoomState>[] = [new Map()];
  /** What it was synced with as a replica, oldest first. The newest need not lie on its disk: a partial sync writes nothing. */
  synced: ReadonlyMap<string, RoomState>[] = [new Map()];
  /** Messages it stored since `takeHeard`, in order: each must be heard. */
  published: string[] = [];
  /** Length of the append-only file when the process started. */
  aofStart = 0;
  #link: { client: Redis; subscriber: Redis; caller: ScriptCaller; heard: Heard[] } | undefined;

  constructor(redis: RedisServer, keys: Keys, sources: Sources) {
    this.redis = redis;
    this.#keys = keys;
    this.#sources = sources;
  }

  get client(): Redis {
    return this.#connected().client;
  }

  get caller(): ScriptCaller {
    return this.#connected().caller;
  }

  /** After each start of the process. */
  async connect(): Promise<void> {
    const [client, subscriber] = [await this.redis.client(), await this.redis.client()];
    const heard: Heard[] = [];
    subscriber.on('messageBuffer', (channel: Buffer, raw: Buffer) => {
      const room = this.#keys.roomOfChannel(channel);
      if (room !== undefined) heard.push({ room, raw });
    });
    await subscriber.subscribe(...ROOMS.map((room) => this.#keys.channel(room)));
    this.#link = { client, subscriber, heard, caller: await ScriptCaller.on(client, this.#sources) };
    this.aofStart = aofBytes(this.redis.dir);
    await this.learnTerm();
  }

  /** A sync empties the script cache of a replica, and each change of role changes the term. */
  async changeRole(primary: boolean): Promise<void> {
    this.primary = primary;
    await this.learnTerm();
    if (primary) this.#connected().caller = await ScriptCaller.on(this.client, this.#sources);
  }

  async learnTerm(): Promise<void> {
    this.term = /master_replid:(\w{12})/.exec(await this.client.info('replication'))?.[1] ?? '';
  }

  /** Everything the channels brought so far. Pushes leave in order: what was published before the PING has arrived. */
  async takeHeard(): Promise<Heard[]> {
    const { subscriber, heard } = this.#connected();
    await subscriber.ping();
    return heard.splice(0);
  }

  async read(room: string, since: Cursor | undefined, limit: number): Promise<ReadReply> {
    const [epoch = '', token = ''] = since?.epoch.split('.') ?? [];
    const keys = [this.#keys.meta(room), this.#keys.log(room)];
    const reply = await this.caller.call('read', keys, [epoch, token, since?.seq ?? '', limit]);
    const [verdict, told = '', top = 0, entries = [], terms = ''] = reply;
    return {
      verdict: String(verdict),
      epoch: String(told),
      top: Number(top),
      entries: entriesOf(entries),
      terms: [...String(terms).matchAll(/(\w+):(\d+);/g)].map(([, name = '', start]) => {
        return { token: name, start: Number(start) };
      }),
    };
  }

  /** 'absent', or the top, the payloads of the page and an ellipsis where there are more. */
  async history(
    room: string,
    before: number | undefined,
    after: number | undefined,
    limit: number,
  ): Promise<string> {
    const keys = [this.#keys.meta(room), this.#keys.log(room)];
    const reply = await this.caller.call('history', keys, [before ?? '', after ?? '', limit]);
    const [epoch, top, entries = [], more] = reply;
    if (epoch === 'absent') return 'absent';
    const page = entriesOf(entries).map((entry) => entry.payload);
    return `${String(top)}: ${page.join(' ')}${more === '1' ? ' …' : ''}`;
  }

  stateOf(room: string): RoomState {
    return this.rooms.get(room) ?? EMPTY_ROOM;
  }

  /** The scripts write in one step, so the states between two calls are all the states there are. */
  replaceState(room: string, state: RoomState): void {
    this.rooms.set(room, state);
    this.past.push(new Map(this.rooms));
  }

  forgetPast(): void {
    this.past = [new Map(this.rooms)];
  }

  describe(): string {
    return ROOMS.map((room) => describeState(this.stateOf(room))).join('\n');
  }

  /** What the server really stores, against the model, key by key. */
  async compare(): Promise<void> {
    const [actual, expected] = [await this.#dump(), this.describe()];
    if (actual !== expected) fail(`the server holds\n${actual}\nand should hold\n${expected}`);
  }

  /** Takes the newest of the states in `past` that the server can be in. */
  async findPast(): Promise<void> {
    const actual = await this.#dump();
    for (let i = this.past.length - 1; i >= 0; i--) {
      this.rooms = new Map(this.past[i]);
      if (this.describe() === actual) return this.forgetPast();
    }
    fail(`having lost its tail the server is in a state that never was:\n${actual}`);
  }

  onceKey(room: string, name: string): string {
    const [user = '', key = ''] = name.split('/');
    return this.#keys.once(room, user, key);
  }

  async #dump(): Promise<string> {
    const { client } = this;
    const rooms: string[] = [];
    for (const room of ROOMS) {
      const stored = await client.hmget(this.#keys.meta(room), 'e', 's', 'l', 'r');
      const log = await client.xrange(this.#keys.log(room), '-', '+');
      const positions = await client.mget(ONCE_NAMES.map((name) => this.onceKey(room, name)));
      const meta = stored[0] === null ? 'no meta' : stored.join(' ');
      const entries = log.map(([id, fields]) => `${Number.parseInt(id, 10)}=${fields[1]}`);
      const once = ONCE_NAMES.map((name, i) => `${name}=${positions[i]}`).filter(
        (_, i) => positions[i] !== null,
      );
      rooms.push(`${meta} | ${entries.join(' ')} | ${once.toSorted().join(' ')}`);
    }
    return rooms.join('\n');
  }

  #connected() {
    return this.#link ?? fail('not connected');
  }
}

export interface Heard {
  readonly room: string;
  readonly raw: Buffer;
}

function entriesOf(entries: Reply): { seq: number; payload: string }[] {
  return asList(entries).map((entry) => {
    const [id, fields = []] = asList(entry);
    return { seq: Number.parseInt(String(id), 10), payload: String(asList(fields)[1]) };
  });
}

function asList(reply: Reply): Reply[] {
  return Array.isArray(reply) ? reply : [];
}
