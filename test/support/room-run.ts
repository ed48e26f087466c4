/**
 * Random operations with publish, read, init and history on real Redis servers, every
 * answer compared with room-model.ts and every reader's promises kept by room-reader.ts.
 *
 * Two worlds: `single` is one Redis with an append-only file that is restarted, emptied
 * and has its tail cut; `pair` is two without, one replicating the other, promoted while
 * the old primary goes on (so that its tail is lost), flipped between and healed.
 */
import type { Redis } from 'ioredis';
import { decodeEnvelope } from '../../src/broker/redis/envelope.ts';
import { createKeys, type Keys } from '../../src/broker/redis/keys.ts';
import { cutAofTail, aofBytes } from './aof.ts';
import { startRedis, type RedisServer } from './redis-server.ts';
import {
  afterPublish,
  ancestorAt,
  describeState,
  EMPTY_ROOM,
  isRolledBack,
  predictHistory,
  predictPublish,
  predictRead,
  type RoomState,
} from './room-model.ts';
import { fail, ModelViolation, Reader, Witness, type Cursor, type ReadReply } from './room-reader.ts';
import { ScriptCaller, type Reply, type Sources } from './script-caller.ts';
import { Seeded } from './seeded.ts';

export interface RoomRun {
  readonly seed: number;
  readonly operations: number;
  readonly world: 'single' | 'pair';
  readonly sources?: Sources;
}

/** How often each thing happened: a run that never saw a verdict proves nothing about it. */
export type Tally = Record<string, number>;

const ROOMS = ['red', 'green', 'blue'];
const ONCE_NAMES = ['ann/1', 'ann/2', 'bob/1', 'bob/2'];
const KEPT = 12;
const KEY_TTL_S = 86_400;
const TRACE = 25;

interface ModelServer {
  readonly redis: RedisServer;
  client: Redis;
  caller: ScriptCaller;
  primary: boolean;
  /** First 12 digits of its master_replid. */
  term: string;
  rooms: Map<string, RoomState>;
  /** Every state since the process started or the replica was synced, oldest first: where a lost tail may lead back to. */
  past: ReadonlyMap<string, RoomState>[];
  /** What it was synced with as a replica, oldest first. The newest need not lie on its disk: a partial sync writes nothing. */
  synced: ReadonlyMap<string, RoomState>[];
  aofStart: number;
  heard: { readonly room: string; readonly raw: Buffer }[];
  subscriber: Redis;
}

export async function runRoomModel(run: RoomRun): Promise<Tally> {
  const world = new RoomWorld(run);
  try {
    await world.start();
    return await world.run();
  } finally {
    await world.stop();
  }
}

class RoomWorld {
  readonly #run: RoomRun;
  readonly #chance: Seeded;
  readonly #keys: Keys = createKeys('model:');
  readonly #witness = new Witness();
  readonly #names = new Set<string>();
  readonly #tally: Tally = {};
  readonly #trace: string[] = [];
  #servers: ModelServer[] = [];
  #readers: Reader[] = [];
  #operation = 0;

  constructor(run: RoomRun) {
    this.#run = run;
    this.#chance = new Seeded(run.seed);
  }

  async start(): Promise<void> {
    const count = this.#run.world === 'pair' ? 2 : 1;
    for (let i = 0; i < count; i++) {
      // Without fsync and replication delays: neither adds a state, both add seconds.
      const args = ['--appendfsync', 'no', '--repl-diskless-sync-delay', '0', '--repl-backlog-ttl', '0'];
      const redis = await startRedis({ aof: this.#run.world === 'single', args });
      this.#servers.push(await this.#connect(redis));
    }
    for (const room of ROOMS) {
      for (let i = 0; i < 3; i++) this.#readers.push(new Reader(room, 0, this.#witness));
    }
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) await server.redis.stop();
  }

  async run(): Promise<Tally> {
    try {
      for (this.#operation = 1; this.#operation <= this.#run.operations; this.#operation++)
        await this.#step();
      for (const reader of this.#readers) await this.#catchUp(reader);
    } catch (error) {
      if (!(error instanceof ModelViolation)) throw error;
      const where = `seed ${this.#run.seed}, ${this.#run.world}, operation ${this.#operation}`;
      throw new ModelViolation(`${where}: ${error.message}\n  ${this.#trace.join('\n  ')}`);
    }
    return this.#tally;
  }

  async #step(): Promise<void> {
    const dice = this.#chance.between(1, 1000);
    if (dice <= 600) await this.#publish();
    else if (dice <= 720) await this.#settle();
    else if (dice <= 850) await this.#catchUp(this.#chance.pick(this.#readers));
    else if (dice <= 890) await this.#readForeign();
    else if (dice <= 920) await this.#history();
    else if (dice <= 935) await this.#initialise(this.#primary(), this.#chance.pick(ROOMS));
    else if (dice <= 955) await this.#compare(this.#primary());
    else if (dice <= 982) await this.#damage(this.#primary(), this.#chance.pick(ROOMS));
    else if (this.#run.world === 'single') await this.#breakSingle();
    else await this.#breakPair();
  }

  // Operations that a node makes.

  async #publish(): Promise<void> {
    const server = this.#primary();
    const room = this.#chance.pick(ROOMS);
    const name = this.#chance.chance(0.4) ? this.#chance.pick(ONCE_NAMES) : undefined;
    const payload = `1p${this.#operation}`;
    const deadline = this.#chance.chance(0.05) ? 1 : this.#chance.pick([0, 9e15]);
    const before = stateOf(server, room);
    const predicted = predictPublish(before, server.term, name, deadline === 1);
    const reply = await server.caller.call(
      'publish',
      [this.#keys.meta(room), this.#keys.log(room), this.#onceKey(room, name ?? 'none/0')],
      [
        payload,
        this.#keys.channel(room),
        'PUBLISH',
        name === undefined ? 0 : KEY_TTL_S * 1000,
        KEPT,
        KEY_TTL_S,
        KEY_TTL_S,
        `${this.#run.seed}.${this.#operation}`,
        deadline,
      ],
    );
    this.#note(`publish ${payload} ${name ?? ''} to ${room} on ${this.#indexOf(server)}: ${reply.join(' ')}`);
    this.#count(`publish ${String(reply[0])}`);
    if (reply[0] !== predicted.kind) fail(`publish answered ${reply.join(' ')}, expected ${predicted.kind}`);
    if (predicted.kind === 'dup' && reply[1] !== predicted.position)
      fail(`the first time was ${predicted.position}`);
    if (predicted.kind !== 'ok') return;

    const [epoch = '', seq] = String(reply[1]).split(':');
    const [life = '', token = ''] = epoch.split('.');
    if (Number(seq) !== predicted.seq) fail(`expected seq ${predicted.seq}`);
    this.#expectName(life, predicted.life);
    this.#expectName(token, predicted.token);
    if (predicted.life === undefined) this.#count('new life');
    else if (predicted.token === undefined) this.#count('new term');
    const after = afterPublish(before, server.term, { payload, seq: predicted.seq, epoch, key: name }, KEPT);
    if (after.tip !== undefined) this.#witness.acknowledge(after.tip);
    this.#witness.claim(room, epoch, predicted.seq, payload);
    replaceState(server, room, after);
  }

  async #initialise(server: ModelServer, room: string): Promise<void> {
    const state = stateOf(server, room);
    const args = [`${this.#run.seed}.i${this.#operation}`, KEY_TTL_S];
    const [created] = await server.caller.call('init', [this.#keys.meta(room), this.#keys.log(room)], args);
    this.#note(`init ${room} on ${this.#indexOf(server)}: ${String(created)}`);
    if (created !== (state.life === undefined ? 1 : 0)) fail(`init answered ${String(created)}`);
    if (state.life !== undefined) return;
    const { epoch } = await this.#read(server, room, undefined, 1);
    const [life = '', token = ''] = epoch.split('.');
    this.#expectName(life, undefined);
    this.#expectName(token, undefined);
    const lineage = [{ token, start: 1 }];
    replaceState(server, room, { ...EMPTY_ROOM, once: state.once, life, lineage, writtenIn: server.term });
  }

  /** One read of a reader, or as many as it takes, always against what the model says. */
  async #catchUp(reader: Reader): Promise<void> {
    let server = this.#servers[reader.server] ?? this.#primary();
    if (!server.primary) {
      server = this.#primary();
      reader.server = this.#indexOf(server);
    }
    const limit = this.#chance.pick([1, 2, 5, 100]);
    for (;;) {
      if (stateOf(server, reader.room).life === undefined) await this.#initialise(server, reader.room);
      const state = stateOf(server, reader.room);
      const predicted = predictRead(state, reader.cursor, limit);
      const reply = await this.#read(server, reader.room, reader.cursor, limit);
      this.#expectRead(reply, predicted, state);
      reader.take(reply, state);
      if (reply.verdict !== 'more') return;
    }
  }

  /** Positions that are nobody's: of other rooms, of the past, of the future, invented. */
  async #readForeign(): Promise<void> {
    const server = this.#primary();
    const room = this.#chance.pick(ROOMS);
    const known = this.#chance.pick(this.#readers).cursor;
    const epoch = this.#chance.chance(0.2) || known === undefined ? '0123456789.0123456789' : known.epoch;
    const seq = Math.max(0, (known?.seq ?? 5) + this.#chance.between(-KEPT - 5, 3));
    const limit = this.#chance.between(1, 8);
    const predicted = predictRead(stateOf(server, room), { epoch, seq }, limit);
    const reply = await this.#read(server, room, { epoch, seq }, limit);
    this.#expectRead(reply, predicted, stateOf(server, room));
  }

  async #read(
    server: ModelServer,
    room: string,
    since: Cursor | undefined,
    limit: number,
  ): Promise<ReadReply> {
    const [epoch = '', token = ''] = since?.epoch.split('.') ?? [];
    const reply = await server.caller.call(
      'read',
      [this.#keys.meta(room), this.#keys.log(room)],
      [epoch, token, since?.seq ?? '', limit],
    );
    const [verdict, told = '', top = 0, entries = [], terms = ''] = reply;
    this.#count(`read ${String(verdict)}`);
    this.#note(
      `read ${room} on ${this.#indexOf(server)} since ${since?.epoch}:${since?.seq}: ${JSON.stringify(reply)}`,
    );
    return {
      verdict: String(verdict),
      epoch: String(told),
      top: Number(top),
      entries: asList(entries).map((entry) => {
        const [id, fields] = asList(entry);
        return { seq: Number.parseInt(String(id), 10), payload: String(asList(fields ?? [])[1]) };
      }),
      terms: [...String(terms).matchAll(/(\w+):(\d+);/g)].map(([, name = '', start]) => ({
        token: name,
        start: Number(start),
      })),
    };
  }

  #expectRead(reply: ReadReply, predicted: ReturnType<typeof predictRead>, state: RoomState): void {
    const got = JSON.stringify([
      reply.verdict,
      reply.epoch,
      reply.entries.map((entry) => entry.payload),
      reply.terms,
    ]);
    const { verdict, epoch, entries, terms } = predicted;
    const expected = JSON.stringify([verdict, epoch, entries.map((entry) => entry.payload), terms]);
    if (got !== expected) fail(`read answered ${got}, expected ${expected}`);
    if (reply.verdict !== 'absent' && reply.top !== state.seq)
      fail(`the top is ${state.seq}, not ${reply.top}`);
    this.#count('terms crossed', reply.terms.length);
  }

  async #history(): Promise<void> {
    const server = this.#primary();
    const room = this.#chance.pick(ROOMS);
    const state = stateOf(server, room);
    const near = Math.max(0, state.seq + this.#chance.between(-KEPT - 3, 3));
    const [before, after] = this.#chance.pick([
      [near, undefined],
      [undefined, near],
      [undefined, undefined],
    ]);
    const limit = this.#chance.between(1, KEPT + 2);
    const keys = [this.#keys.meta(room), this.#keys.log(room)];
    const reply = await server.caller.call('history', keys, [before ?? '', after ?? '', limit]);
    if (state.life === undefined) {
      if (reply[0] !== 'absent') fail(`history of an absent room answered ${JSON.stringify(reply)}`);
      return;
    }
    const predicted = predictHistory(state, before, after, limit);
    const page = asList(reply[2] ?? []).map((entry) => asList(asList(entry)[1] ?? [])[1]);
    const got = JSON.stringify([reply[1], page, reply[3]]);
    const entries = predicted.entries.map((entry) => entry.payload);
    const expected = JSON.stringify([String(state.seq), entries, predicted.more ? '1' : '0']);
    if (got !== expected) fail(`history ${before}/${after}/${limit} answered ${got}, expected ${expected}`);
  }

  /** Hands what the channels brought to the readers, of which some lose some of it. */
  async #settle(): Promise<void> {
    for (const [index, server] of this.#servers.entries()) {
      // Pushes leave in order: what was published before this answer has arrived with it.
      await server.subscriber.ping();
      const heard = server.heard.splice(0);
      if (!server.primary) continue;
      for (const { room, raw } of heard) {
        const envelope = decodeEnvelope(raw);
        if (envelope?.kind !== 'message') return fail(`heard ${raw.toString()}`);
        this.#count('heard');
        for (const reader of this.#readers) {
          if (reader.server !== index || reader.room !== room || this.#chance.chance(0.05)) continue;
          const behind = reader.hear(envelope.epoch, envelope.seq, `1${envelope.body.toString()}`);
          if (behind) await this.#catchUp(reader);
        }
      }
    }
  }

  // What happens to a Redis.

  async #damage(server: ModelServer, room: string): Promise<void> {
    const state = stateOf(server, room);
    const kind = this.#chance.pick(['meta', 'log', 'entry', 'once', 'rollback', 'rollback'] as const);
    const change = (next: Partial<RoomState>): void => replaceState(server, room, { ...state, ...next });
    // Two damages of one room at once are beyond what its keys can tell: the log must prove the rollback.
    if (isRolledBack(state) && (kind === 'log' || kind === 'entry' || kind === 'rollback')) return;
    this.#note(`damage ${kind} of ${room} on ${this.#indexOf(server)}`);
    this.#count(`damage ${kind}`);
    if (kind === 'meta') {
      await server.client.del(this.#keys.meta(room));
      change({ life: undefined, seq: 0, tip: undefined, lineage: [], writtenIn: '' });
    } else if (kind === 'log') {
      await server.client.del(this.#keys.log(room));
      change({ log: [] });
    } else if (kind === 'entry') {
      const entry = state.log.at(this.#chance.between(0, Math.max(0, state.log.length - 2)));
      if (entry === undefined || entry === state.log.at(-1)) return;
      const log = await server.client.xrange(this.#keys.log(room), `${entry.seq}-0`, '+', 'COUNT', 1);
      await server.client.xdel(this.#keys.log(room), log[0]?.[0] ?? '');
      change({ log: state.log.filter((kept) => kept !== entry) });
    } else if (kind === 'once') {
      const name = this.#chance.pick(ONCE_NAMES);
      await server.client.del(this.#onceKey(room, name));
      const once = new Map(state.once);
      once.delete(name);
      change({ once });
    } else {
      await this.#rollBackMeta(server, room, state);
    }
  }

  /** Meta alone as it was up to three messages ago, in the same life, with the log intact. */
  async #rollBackMeta(server: ModelServer, room: string, state: RoomState): Promise<void> {
    const seq = state.seq - this.#chance.between(1, 3);
    const tip = ancestorAt(state.tip, seq);
    const token = tip?.epoch.split('.')[1];
    const end = state.lineage.findIndex((term) => term.token === token);
    if (tip === undefined || end < 0 || state.log.at(-1)?.seq !== state.seq) return;
    const lineage = state.lineage.slice(0, end + 1);
    const text = lineage.map((term) => `${term.token}:${term.start};`).join('');
    await server.client.hset(this.#keys.meta(room), 's', seq, 'l', text);
    replaceState(server, room, { ...state, seq, tip, lineage });
  }

  async #breakSingle(): Promise<void> {
    const server = this.#primary();
    if (this.#chance.chance(0.6)) return;
    const kind = this.#chance.pick(['restart', 'restart', 'cut', 'cut', 'empty'] as const);
    await this.#settle();
    this.#note(kind);
    this.#count(kind);
    const expected = describeServer(server);
    await server.redis.kill();
    if (kind === 'cut') await cutAofTail(server.redis.dir, server.aofStart, this.#chance.fraction());
    await server.redis.restart({ empty: kind === 'empty' });
    await this.#reconnect(server);
    if (kind === 'empty') {
      server.rooms = new Map();
    } else if (kind === 'cut') {
      await this.#findPast(server);
      if (describeServer(server) !== expected) this.#count('tail lost');
    }
    await this.#compare(server);
    server.past = [new Map(server.rooms)];
  }

  /** A server that lost its tail must be in a state that was there before: half a publish would be none. */
  async #findPast(server: ModelServer): Promise<void> {
    const actual = await this.#dump(server);
    for (let i = server.past.length - 1; i >= 0; i--) {
      server.rooms = new Map(server.past[i]);
      if (describeServer(server) === actual) return;
    }
    fail(`having lost its tail the server is in a state that never was:\n${actual}`);
  }

  async #breakPair(): Promise<void> {
    const [one, other] = this.#servers;
    if (one === undefined || other === undefined) return;
    await this.#settle();
    if (!one.primary || !other.primary) {
      const [primary, replica] = one.primary ? [one, other] : [other, one];
      await this.#promote(primary, replica);
      return;
    }
    const kinds = ['flip', 'flip', 'flip', 'heal', 'heal', 'heal', 'empty', 'snapshot'] as const;
    const kind = this.#chance.pick(kinds);
    this.#note(kind);
    this.#count(kind);
    if (kind === 'flip') {
      const side = this.#chance.between(0, 1);
      for (const reader of this.#readers) if (this.#chance.chance(0.8)) reader.server = side;
    } else if (kind === 'heal') {
      const [primary, replica] = this.#chance.chance(0.5) ? [one, other] : [other, one];
      await this.#replicate(primary, replica);
    } else {
      const empty = kind === 'empty';
      await one.redis.restart({ empty });
      await this.#reconnect(one);
      if (empty) one.synced = [new Map()];
      one.past = one.synced;
      await this.#findPast(one);
      one.past = [new Map(one.rooms)];
    }
  }

  async #replicate(primary: ModelServer, replica: ModelServer): Promise<void> {
    await replica.client.replicaof('127.0.0.1', primary.redis.port);
    replica.primary = false;
    await until(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
    primary.past = [new Map(primary.rooms)];
    replica.synced = [...replica.synced, new Map(primary.rooms)];
    // The first replica of a primary gives it a replication log and with it a new id.
    primary.term = await termOf(primary.client);
  }

  /**
   * The replica becomes a primary with what has reached it, which within the first second is little:
   * Redis begins to stream when the replica's next acknowledgement comes. The old primary goes on,
   * and what it still writes is lost to the new one as well.
   */
  async #promote(primary: ModelServer, replica: ModelServer): Promise<void> {
    this.#note(`promote ${this.#indexOf(replica)}`);
    this.#count('promote');
    if (this.#chance.chance(0.1)) {
      await primary.client.set('model:fence', this.#operation);
      await until(async () => (await replica.client.get('model:fence')) === String(this.#operation));
    }
    await replica.client.replicaof('NO', 'ONE');
    replica.primary = true;
    await replica.subscriber.ping();
    replica.heard = [];
    replica.term = await termOf(replica.client);
    replica.caller = await ScriptCaller.on(replica.client, this.#run.sources);
    replica.past = [...primary.past];
    await this.#findPast(replica);
    if (describeServer(replica) !== describeServer(primary)) this.#count('tail lost');
    replica.past = [new Map(replica.rooms)];
  }

  // Servers.

  async #connect(redis: RedisServer): Promise<ModelServer> {
    const client = await redis.client();
    const subscriber = await redis.client();
    const server: ModelServer = {
      redis,
      client,
      caller: await ScriptCaller.on(client, this.#run.sources),
      primary: true,
      term: await termOf(client),
      rooms: new Map(),
      past: [new Map()],
      synced: [new Map()],
      aofStart: aofBytes(redis.dir),
      heard: [],
      subscriber,
    };
    await this.#listen(server);
    return server;
  }

  async #reconnect(server: ModelServer): Promise<void> {
    server.client = await server.redis.client();
    server.subscriber = await server.redis.client();
    server.caller = await ScriptCaller.on(server.client, this.#run.sources);
    server.term = await termOf(server.client);
    server.aofStart = aofBytes(server.redis.dir);
    server.heard = [];
    await this.#listen(server);
  }

  async #listen(server: ModelServer): Promise<void> {
    const { heard, subscriber } = server;
    subscriber.on('messageBuffer', (channel: Buffer, raw: Buffer) => {
      const room = this.#keys.roomOfChannel(channel);
      if (room !== undefined) (server.subscriber === subscriber ? server.heard : heard).push({ room, raw });
    });
    await subscriber.subscribe(...ROOMS.map((room) => this.#keys.channel(room)));
  }

  /** What the server really stores, against the model, key by key. */
  async #compare(server: ModelServer): Promise<void> {
    const [actual, expected] = [await this.#dump(server), describeServer(server)];
    if (actual !== expected) fail(`the server holds\n${actual}\nand should hold\n${expected}`);
  }

  async #dump(server: ModelServer): Promise<string> {
    const rooms: string[] = [];
    for (const room of ROOMS) {
      const [life, seq, lineage, writtenIn] = await server.client.hmget(
        this.#keys.meta(room),
        'e',
        's',
        'l',
        'r',
      );
      const log = await server.client.xrange(this.#keys.log(room), '-', '+');
      const positions = await server.client.mget(ONCE_NAMES.map((name) => this.#onceKey(room, name)));
      const once = ONCE_NAMES.flatMap((name, i) =>
        positions[i] === null ? [] : [`${name}=${positions[i]}`],
      );
      const meta = life === null ? 'no meta' : [life, seq, lineage, writtenIn].join(' ');
      const entries = log.map(([id, fields]) => `${Number.parseInt(id, 10)}=${fields[1]}`);
      rooms.push(`${meta} | ${entries.join(' ')} | ${once.toSorted().join(' ')}`);
    }
    return rooms.join('\n');
  }

  /** In a split brain both sides are written to. */
  #primary(): ModelServer {
    return this.#chance.pick(this.#servers.filter((server) => server.primary));
  }

  #indexOf(server: ModelServer): number {
    return this.#servers.indexOf(server);
  }

  #onceKey(room: string, name: string): string {
    const [user = '', key = ''] = name.split('/');
    return this.#keys.once(room, user, key);
  }

  /** A life or term that the model could not know must be one that nobody ever saw. */
  #expectName(name: string, expected: string | undefined): void {
    if (expected === undefined ? this.#names.has(name) : name !== expected) {
      fail(`got the name ${name}, expected ${expected ?? 'a new one'}`);
    }
    this.#names.add(name);
  }

  #note(what: string): void {
    this.#trace.push(what);
    if (this.#trace.length > TRACE) this.#trace.shift();
  }

  #count(what: string, times = 1): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + times;
  }
}

function stateOf(server: ModelServer, room: string): RoomState {
  return server.rooms.get(room) ?? EMPTY_ROOM;
}

/** The scripts write in one step, so the states between two calls are all the states there are. */
function replaceState(server: ModelServer, room: string, state: RoomState): void {
  server.rooms.set(room, state);
  server.past.push(new Map(server.rooms));
}

function describeServer(server: ModelServer): string {
  return ROOMS.map((room) => describeState(stateOf(server, room))).join('\n');
}

async function termOf(client: Redis): Promise<string> {
  return /master_replid:(\w{12})/.exec(await client.info('replication'))?.[1] ?? '';
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('not reached in 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function asList(reply: Reply): Reply[] {
  return Array.isArray(reply) ? reply : [];
}
