/**
 * Random operations with publish, read, init and history on real Redis servers, every
 * answer compared with room-model.ts and every reader's promises kept by room-reader.ts.
 *
 * Two worlds: `single` is one Redis with an append-only file that is restarted, emptied
 * and has its tail cut; `pair` is two without, one replicating the other, promoted while
 * the old primary goes on (its tail is lost to whoever moves over), flipped between and healed.
 * Runs of even seeds are gentle: nothing is damaged and never all is lost, so lives grow old and see many terms.
 */
import { decodeEnvelope } from '../../../src/broker/redis/envelope.ts';
import { createKeys, type Keys } from '../../../src/broker/redis/keys.ts';
import { startRedis } from '../redis-server.ts';
import { sourcesWith, type Sources } from '../script-caller.ts';
import { Seeded } from '../seeded.ts';
import { breakPair, breakSingle, damageRoom, type FaultContext } from './room-faults.ts';
import {
  afterPublish,
  EMPTY_ROOM,
  predictHistory,
  predictPublish,
  predictRead,
  TERMS_KEPT,
} from './room-model.ts';
import { checkReply, expectRead, Reader, Witness, type Cursor, type ReadReply } from './room-reader.ts';
import { ONCE_NAMES, RoomServer, ROOMS } from './room-server.ts';
import { fail, RunLog, type Tally } from './run-log.ts';

export interface RoomRun {
  readonly seed: number;
  readonly operations: number;
  readonly world: 'single' | 'pair';
  readonly sources?: Sources;
}

const KEPT = 12;
const KEY_TTL_S = 86_400;

/** Throws a ModelViolation that names the seed and the last steps. */
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
  readonly #log = new RunLog();
  readonly #servers: RoomServer[] = [];
  readonly #readers: Reader[] = [];
  readonly #faults: FaultContext;
  #operation = 0;

  constructor(run: RoomRun) {
    this.#run = run;
    this.#chance = new Seeded(run.seed);
    this.#faults = {
      chance: this.#chance,
      log: this.#log,
      keys: this.#keys,
      gentle: run.seed % 2 === 0,
      readers: this.#readers,
    };
  }

  async start(): Promise<void> {
    const sources = this.#run.sources ?? sourcesWith();
    for (let i = 0; i < (this.#run.world === 'pair' ? 2 : 1); i++) {
      // Without fsync and replication delays: neither adds a state, both add seconds.
      const args = ['--appendfsync', 'no', '--repl-diskless-sync-delay', '0', '--repl-backlog-ttl', '0'];
      const redis = await startRedis({ aof: this.#run.world === 'single', args });
      const server = new RoomServer(redis, this.#keys, sources);
      this.#servers.push(server);
      await server.connect();
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
      throw this.#log.explain(
        error,
        `seed ${this.#run.seed}, ${this.#run.world}, operation ${this.#operation}`,
      );
    }
    return this.#log.tally;
  }

  async #step(): Promise<void> {
    const dice = this.#chance.between(1, 1000);
    if (dice <= 600) await this.#publish();
    else if (dice <= 720) await this.#settle();
    else if (dice <= 850) await this.#catchUp(this.#chance.pick(this.#readers));
    else if (dice <= 890) await this.#readForeign(this.#primary(), this.#chance.pick(ROOMS));
    else if (dice <= 920) await this.#history(this.#primary(), this.#chance.pick(ROOMS));
    else if (dice <= 935) await this.#initialise(this.#primary(), this.#chance.pick(ROOMS));
    else if (dice <= 960) await this.#primary().compare();
    else if (dice <= 988) await this.#damage(this.#primary(), this.#chance.pick(ROOMS));
    else await this.#break();
  }

  /** Looked at from old positions at once, because the next messages push the damage out of the log. */
  async #damage(server: RoomServer, room: string): Promise<void> {
    await damageRoom(this.#faults, server, room);
    for (let i = 0; i < 3; i++) await this.#readForeign(server, room);
    await this.#history(server, room);
  }

  async #break(): Promise<void> {
    await this.#settle();
    const [one, other] = this.#servers;
    if (one !== undefined && other !== undefined) await breakPair(this.#faults, [one, other]);
    else if (one !== undefined) await breakSingle(this.#faults, one);
  }

  // Operations that a node makes.

  async #publish(): Promise<void> {
    const server = this.#primary();
    const room = this.#chance.pick(ROOMS);
    const name = this.#chance.chance(0.4) ? this.#chance.pick(ONCE_NAMES) : undefined;
    const payload = `1p${this.#operation}`;
    const deadline = this.#chance.chance(0.05) ? 1 : this.#chance.pick([0, 9e15]);
    const before = server.stateOf(room);
    const predicted = predictPublish(before, server.term, name, deadline === 1);
    const reply = await server.caller.call(
      'publish',
      [this.#keys.meta(room), this.#keys.log(room), server.onceKey(room, name ?? 'none/0')],
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
    this.#log.note(
      `publish ${payload} ${name ?? ''} to ${room} on ${this.#indexOf(server)}: ${reply.join(' ')}`,
    );
    this.#log.count(`publish ${String(reply[0])}`);
    if (reply[0] !== predicted.kind) fail(`publish answered ${reply.join(' ')}, expected ${predicted.kind}`);
    if (predicted.kind === 'dup' && reply[1] !== predicted.position)
      fail(`the first time was ${predicted.position}`);
    if (predicted.kind !== 'ok') return;

    const [epoch = '', seq] = String(reply[1]).split(':');
    const [life = '', token = ''] = epoch.split('.');
    if (Number(seq) !== predicted.seq) fail(`expected seq ${predicted.seq}`);
    this.#expectName(life, predicted.life);
    this.#expectName(token, predicted.token);
    if (predicted.life === undefined) this.#log.count('new life');
    else if (predicted.token === undefined) this.#log.count('new term');
    if (before.lineage.length === TERMS_KEPT && predicted.token === undefined)
      this.#log.count('term forgotten');
    const after = afterPublish(before, server.term, { payload, seq: predicted.seq, epoch, key: name }, KEPT);
    if (after.tip !== undefined) this.#witness.acknowledge(after.tip);
    this.#witness.claim(room, epoch, predicted.seq, payload);
    server.replaceState(room, after);
    server.published.push(payload);
  }

  async #initialise(server: RoomServer, room: string): Promise<void> {
    const state = server.stateOf(room);
    const args = [`${this.#run.seed}.i${this.#operation}`, KEY_TTL_S];
    const [created] = await server.caller.call('init', [this.#keys.meta(room), this.#keys.log(room)], args);
    this.#log.note(`init ${room} on ${this.#indexOf(server)}: ${String(created)}`);
    if (created !== (state.life === undefined ? 1 : 0)) fail(`init answered ${String(created)}`);
    if (state.life !== undefined) return;
    const { epoch } = await this.#read(server, room, undefined, 1);
    const [life = '', token = ''] = epoch.split('.');
    this.#expectName(life, undefined);
    this.#expectName(token, undefined);
    const lineage = [{ token, start: 1 }];
    server.replaceState(room, { ...EMPTY_ROOM, once: state.once, life, lineage, writtenIn: server.term });
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
      if (server.stateOf(reader.room).life === undefined) await this.#initialise(server, reader.room);
      const state = server.stateOf(reader.room);
      const predicted = predictRead(state, reader.cursor, limit);
      const reply = await this.#read(server, reader.room, reader.cursor, limit);
      checkReply(reply, reader.cursor, limit, state);
      expectRead(reply, predicted, state);
      reader.take(reply, state);
      if (reply.verdict !== 'more') return;
    }
  }

  /** Positions that are nobody's: old ones of the room, others of the past, the future or another room, invented ones. */
  async #readForeign(server: RoomServer, room: string): Promise<void> {
    const readers = this.#readers.filter((reader) => reader.room === room || this.#chance.chance(0.1));
    const known = this.#chance.pick(readers).cursor;
    const epoch = this.#chance.chance(0.1) || known === undefined ? '0123456789.0123456789' : known.epoch;
    const seq = Math.max(0, (known?.seq ?? 5) + this.#chance.between(-KEPT - 5, 3));
    const limit = this.#chance.between(1, 8);
    const predicted = predictRead(server.stateOf(room), { epoch, seq }, limit);
    const reply = await this.#read(server, room, { epoch, seq }, limit);
    checkReply(reply, { epoch, seq }, limit, server.stateOf(room));
    expectRead(reply, predicted, server.stateOf(room));
  }

  async #read(
    server: RoomServer,
    room: string,
    since: Cursor | undefined,
    limit: number,
  ): Promise<ReadReply> {
    const reply = await server.read(room, since, limit);
    this.#log.count(`read ${reply.verdict}`);
    this.#log.count('terms crossed', reply.terms.length);
    const position = `${since?.epoch}:${since?.seq}`;
    this.#log.note(`read ${room} on ${this.#indexOf(server)} since ${position}: ${JSON.stringify(reply)}`);
    return reply;
  }

  async #history(server: RoomServer, room: string): Promise<void> {
    const state = server.stateOf(room);
    const near = Math.max(0, state.seq + this.#chance.between(-KEPT - 3, 3));
    const [before, after] = this.#chance.pick([
      [near, undefined],
      [undefined, near],
      [undefined, undefined],
    ]);
    const limit = this.#chance.between(1, KEPT + 2);
    const got = await server.history(room, before, after, limit);
    const { entries, more } = predictHistory(state, before, after, limit);
    const page = `${state.seq}: ${entries.map((entry) => entry.payload).join(' ')}${more ? ' …' : ''}`;
    const expected = state.life === undefined ? 'absent' : page;
    if (got !== expected) fail(`history ${before}/${after}/${limit} answered ${got}, expected ${expected}`);
  }

  /** Hands what the channels brought to the readers, of which some lose some of it. */
  async #settle(): Promise<void> {
    for (const [index, server] of this.#servers.entries()) {
      const heard = await server.takeHeard();
      if (!server.primary) continue;
      for (const { room, raw } of heard) {
        const envelope = decodeEnvelope(raw);
        if (envelope?.kind !== 'message') return fail(`heard ${raw.toString()}`);
        const payload = `1${envelope.body.toString()}`;
        const expected = server.published.shift();
        if (payload !== expected) fail(`heard ${payload}, expected ${expected}`);
        this.#log.count('heard');
        for (const reader of this.#readers) {
          if (reader.server !== index || reader.room !== room || this.#chance.chance(0.05)) continue;
          const behind = reader.hear(envelope.epoch, envelope.seq, payload);
          if (behind) await this.#catchUp(reader);
        }
      }
      if (server.published.length > 0) fail(`never announced: ${server.published.join(' ')}`);
    }
  }

  /** In a split brain both sides are written to. */
  #primary(): RoomServer {
    return this.#chance.pick(this.#servers.filter((server) => server.primary));
  }

  #indexOf(server: RoomServer): number {
    return this.#servers.indexOf(server);
  }

  /** A life or term that the model could not know must be one that nobody ever saw. */
  #expectName(name: string, expected: string | undefined): void {
    if (expected === undefined ? this.#names.has(name) : name !== expected) {
      fail(`got the name ${name}, expected ${expected ?? 'a new one'}`);
    }
    this.#names.add(name);
  }
}
