/**
 * Random operations with the presence scripts by several simulated nodes: they hold and
 * drop users, repeat themselves, freeze and wake as zombies, die, drain, expire and reap
 * each other at once, while keys vanish and Redis is flushed, restarted and cut. Every
 * answer and every announcement is compared with presence-model.ts; at rest, the members
 * of a room are exactly those whom a running node has, and the dead have left no key.
 */
import { startRedis } from '../redis-server.ts';
import { sourcesWith, type Sources } from '../script-caller.ts';
import { Seeded } from '../seeded.ts';
import { aofBytes, cutAofTail } from './aof.ts';
import { PresenceCluster } from './presence-cluster.ts';
import { PresenceModel } from './presence-model.ts';
import { DRAIN_MS, LEASE_MS, PresenceStore, STEP_MS } from './presence-store.ts';
import { PresenceWitness } from './presence-witness.ts';
import { fail, RunLog, type Tally } from './run-log.ts';

export interface PresenceRun {
  readonly seed: number;
  readonly operations: number;
  readonly sources?: Sources;
}

const USERS = ['ann', 'bob', 'cat', 'dan', 'eve', 'fay'];
const STATES = ['{}', '{"a":1}', '{"a":2}'];
const RUNNING_MAX = 4;

/** Throws a ModelViolation that names the seed and the last steps. */
export async function runPresenceModel(run: PresenceRun): Promise<Tally> {
  const redis = await startRedis({ aof: true, args: ['--appendfsync', 'no'] });
  try {
    const store = new PresenceStore(redis, run.sources ?? sourcesWith());
    await store.connect();
    return await new PresenceWorld(run, store).run();
  } finally {
    await redis.stop();
  }
}

class PresenceWorld {
  readonly #run: PresenceRun;
  readonly #chance: Seeded;
  readonly #log = new RunLog();
  readonly #store: PresenceStore;
  readonly #witness: PresenceWitness;
  readonly #cluster: PresenceCluster;
  #aofStart: number;
  #operation = 0;

  constructor(run: PresenceRun, store: PresenceStore) {
    this.#run = run;
    this.#chance = new Seeded(run.seed);
    this.#store = store;
    this.#witness = new PresenceWitness(store, this.#chance, this.#log);
    this.#cluster = new PresenceCluster(store, this.#witness, this.#chance, this.#log);
    this.#aofStart = aofBytes(store.redis.dir);
  }

  async run(): Promise<Tally> {
    try {
      await this.#cluster.boot();
      for (this.#operation = 1; this.#operation <= this.#run.operations; this.#operation++)
        await this.#step();
      await this.#rest();
    } catch (error) {
      throw this.#log.explain(error, `seed ${this.#run.seed}, presence, operation ${this.#operation}`);
    }
    return this.#log.tally;
  }

  async #step(): Promise<void> {
    const dice = this.#chance.between(1, 1000);
    if (dice <= 420) await this.#change('hold');
    else if (dice <= 680) await this.#change('drop');
    else if (dice <= 740) await this.#passTime();
    else if (dice <= 800) await this.#cluster.expire(this.#cluster.pickNode('running'), true);
    else if (dice <= 870) await this.#changeLife();
    else if (dice <= 880)
      await this.#cluster.lateRegistration(this.#chance.pick(this.#cluster.nodes).incarnation);
    else if (dice <= 910) await this.#cluster.audit(this.#chance.pick(this.#store.rooms));
    else if (dice <= 970) await this.#witness.compare();
    else if (dice <= 980) await this.#rest();
    else if (dice <= 996) await this.#damage();
    else await this.#restart();
  }

  /** Of any node, the frozen and the gone included: their writes may still lie in a socket. */
  async #change(verb: 'hold' | 'drop'): Promise<void> {
    const running = this.#chance.chance(0.85) ? this.#cluster.pickNode('running') : undefined;
    const node = running ?? this.#chance.pick(this.#cluster.nodes);
    const room = this.#chance.pick(this.#store.rooms);
    const user = this.#chance.pick(USERS);
    const state = this.#chance.pick(STATES);
    const stated = this.#chance.chance(0.5);
    const expired = this.#chance.chance(0.03);
    if (node.life !== 'gone') {
      const users = node.desired.get(room) ?? new Map<string, string>();
      node.desired.set(room, users);
      if (verb === 'hold') users.set(user, state);
      else users.delete(user);
    }
    const { incarnation } = node;
    const times = this.#chance.chance(0.2) ? 2 : 1;
    for (let i = 0; i < times; i++) {
      const outcome =
        verb === 'hold'
          ? await this.#cluster.hold(incarnation, room, user, state, stated, expired)
          : await this.#cluster.drop(incarnation, room, user, this.#chance.pick(['left', 'closed']), expired);
      if (outcome === 'fenced' && node.life === 'running') return this.#cluster.recover(node);
    }
  }

  async #passTime(): Promise<void> {
    const outage = this.#chance.chance(0.2);
    const steps = this.#chance.between(1, 10);
    this.#log.note(`${steps} steps pass${outage ? ' and nobody can beat' : ''}`);
    this.#log.count(outage ? 'outage' : 'time passed');
    for (let i = 0; i < steps; i++) {
      await this.#store.pass(STEP_MS);
      if (!outage) await this.#cluster.beatAll(this.#cluster.running());
    }
    // After an outage somebody is first to look, and must not judge before all had time to beat.
    if (outage && this.#chance.chance(0.5))
      await this.#cluster.expire(this.#cluster.pickNode('running'), true);
    await this.#cluster.beatAll(this.#cluster.running());
  }

  async #changeLife(): Promise<void> {
    const running = this.#cluster.running();
    const node = this.#cluster.pickNode('running');
    const frozen = this.#cluster.pickNode('frozen');
    const kind = this.#chance.pick(['freeze', 'freeze', 'wake', 'wake', 'wake', 'kill', 'drain'] as const);
    if (running.length < 2 || (running.length < RUNNING_MAX && this.#chance.chance(0.3)))
      return this.#cluster.boot();
    if (kind === 'wake' ? frozen === undefined : node === undefined) return;
    this.#log.note(`${kind} ${(kind === 'wake' ? frozen : node)?.name}`);
    this.#log.count(kind);
    if (kind === 'wake' && frozen !== undefined) {
      frozen.life = 'running';
      // The first thing a zombie does may also be a write.
      if (this.#chance.chance(0.5)) await this.#cluster.beat(frozen);
    } else if (node !== undefined) {
      if (kind === 'drain') await this.#cluster.beat(node, false, DRAIN_MS);
      node.life = kind === 'freeze' ? 'frozen' : 'gone';
    }
  }

  /** The end of all faults: nodes do what they do after a rebuild, the dead are found, rooms are audited. */
  async #rest(): Promise<void> {
    this.#log.note('rest');
    this.#log.count('rest');
    for (const node of this.#cluster.nodes) if (node.life === 'frozen') node.life = 'running';
    if (this.#cluster.pickNode('running') === undefined) await this.#cluster.boot();
    await this.#cluster.reassert();
    const own = (): string[] => this.#cluster.running().map((node) => node.incarnation);
    for (
      let step = 0;
      this.#witness.model.dead.size > 0 || this.#witness.model.live.size > own().length;
      step++
    ) {
      if (step > 50) fail(`after 50 steps there still are ${this.#witness.model.describe()}`);
      await this.#store.pass(STEP_MS);
      await this.#cluster.beatAll(this.#cluster.running());
      await this.#cluster.expire(this.#cluster.pickNode('running'), false);
    }
    for (const room of this.#store.rooms) await this.#cluster.audit(room);
    this.#witness.damaged = false;
    await this.#witness.compare();
    this.#cluster.checkRest(await this.#store.read(), new Set(own()));
    // The gone have had their say; what they still might write is refused, and refused again.
    while (this.#cluster.nodes.length > 8)
      this.#cluster.nodes.splice(
        this.#cluster.nodes.findIndex((node) => node.life === 'gone'),
        1,
      );
  }

  async #damage(): Promise<void> {
    await this.#witness.settle();
    const { client, keys, partition } = this.#store;
    const room = this.#chance.pick(this.#store.rooms);
    const inc = this.#chance.pick(this.#cluster.nodes).incarnation;
    const kind = this.#chance.pick([
      'members',
      'presence',
      'rooms',
      'meta',
      'live',
      'dead',
      'grace',
      'flush',
    ] as const);
    const model = this.#witness.model;
    this.#log.note(`damage ${kind} of ${room} or ${inc}`);
    this.#log.count(`damage ${kind}`);
    this.#witness.damaged = true;
    if (kind === 'members') {
      await client.del(keys.members(room));
      model.room(room).members.clear();
    } else if (kind === 'presence') {
      await client.del(keys.presence(room, inc));
      model.room(room).held.delete(inc);
    } else if (kind === 'rooms') {
      await client.del(keys.rooms(partition, inc));
      model.roomsOf.delete(inc);
      this.#witness.tainted.add(inc);
    } else if (kind === 'meta') {
      await client.del(keys.meta(room));
      model.room(room).version = 0;
    } else if (kind === 'live' || kind === 'dead') {
      await client.del(kind === 'live' ? keys.live(partition) : keys.dead(partition));
      for (const lost of kind === 'live' ? model.live.keys() : model.dead) this.#witness.tainted.add(lost);
      model[kind].clear();
    } else if (kind === 'grace') {
      await client.del(keys.grace(partition));
      model.grace = undefined;
    } else {
      await client.flushall();
      this.#witness.model = new PresenceModel(this.#store.rooms, LEASE_MS);
    }
    await this.#witness.mendAll();
  }

  /**
   * One node freezes, and its lease runs out before anybody judges: a restart then meets a lease
   * that the term before it would have ended. By chance alone that is too rare to be relied upon.
   */
  async #outliveOneLease(): Promise<boolean> {
    const node = this.#cluster.pickNode('running');
    if (node === undefined || this.#cluster.running().length < 2) return false;
    node.life = 'frozen';
    this.#log.note(`${node.name} freezes for longer than its lease`);
    this.#log.count('lease outlived');
    for (let passed = 0; passed <= LEASE_MS; passed += STEP_MS) {
      await this.#store.pass(STEP_MS);
      await this.#cluster.beatAll(this.#cluster.running());
    }
    return true;
  }

  async #restart(): Promise<void> {
    const kind = this.#chance.pick(['restart', 'cut', 'cut', 'empty'] as const);
    const outlived = this.#chance.chance(0.7) && (await this.#outliveOneLease());
    await this.#witness.settle();
    this.#log.note(kind);
    this.#log.count(kind);
    const { redis } = this.#store;
    const before = this.#witness.model.describe();
    await redis.kill();
    if (kind === 'cut') cutAofTail(redis.dir, this.#aofStart, this.#chance.fraction());
    await redis.restart({ empty: kind === 'empty' });
    await this.#store.connect();
    this.#aofStart = aofBytes(redis.dir);
    this.#witness.model = await this.#store.read();
    if (kind === 'restart' && this.#witness.model.describe() !== before)
      fail('a restart changed what is stored');
    if (kind === 'cut' && this.#witness.model.describe() !== before) this.#log.count('tail lost');
    // The past that a cut leads back to may be a damaged one.
    if (kind === 'cut') this.#witness.damaged = true;
    await this.#witness.mendAll();
    // Leases that were stored prove nothing until somebody could beat.
    if (outlived || this.#chance.chance(0.5))
      await this.#cluster.expire(this.#cluster.pickNode('running'), true);
    // The changed term in the answer to their next beat makes the nodes tell everything again.
    await this.#cluster.reassert();
    for (const room of this.#store.rooms) await this.#cluster.audit(room);
  }
}
