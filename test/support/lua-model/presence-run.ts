/**
 * Random operations with the presence scripts by several simulated nodes: they hold and
 * drop users, repeat themselves, freeze and wake as zombies, die, drain, expire and reap
 * each other at once, while keys vanish and Redis is flushed, restarted and cut. Every
 * answer and every announcement is compared with presence-model.ts; at rest, the members
 * of a room are exactly those whom a running node has, and the dead have left no key.
 */
import type { PresenceChange } from '../../../src/broker/presence.ts';
import { startRedis } from '../redis-server.ts';
import { sourcesWith, type Reply, type Sources } from '../script-caller.ts';
import { Seeded } from '../seeded.ts';
import { aofBytes, cutAofTail } from './aof.ts';
import { PresenceModel, type Announcement } from './presence-model.ts';
import { PresenceReplica } from './presence-replica.ts';
import { DRAIN_MS, LEASE_MS, PresenceStore, STEP_MS } from './presence-store.ts';
import { fail, RunLog, type Tally } from './run-log.ts';

export interface PresenceRun {
  readonly seed: number;
  readonly operations: number;
  readonly sources?: Sources;
}

const USERS = ['ann', 'bob', 'cat', 'dan', 'eve', 'fay'];
const STATES = ['{}', '{"a":1}', '{"a":2}'];
const RUNNING_MAX = 4;

interface SimulatedNode {
  readonly name: string;
  incarnation: string;
  life: 'running' | 'frozen' | 'gone';
  /** Room -> user -> state. */
  readonly desired: Map<string, Map<string, string>>;
}

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
  readonly #replicas: ReadonlyMap<string, readonly PresenceReplica[]>;
  readonly #nodes: SimulatedNode[] = [];
  /** Incarnations whose index was destroyed: their keys may stay behind. */
  readonly #tainted = new Set<string>();
  #model: PresenceModel;
  #expected: { readonly room: string; readonly what: Announcement; readonly version: number }[] = [];
  #damaged = false;
  #aofStart: number;
  #operation = 0;
  #incarnations = 0;

  constructor(run: PresenceRun, store: PresenceStore) {
    this.#run = run;
    this.#chance = new Seeded(run.seed);
    this.#store = store;
    this.#model = new PresenceModel(store.rooms, LEASE_MS);
    this.#aofStart = aofBytes(store.redis.dir);
    this.#replicas = new Map(
      store.rooms.map((room) => [room, [new PresenceReplica(room, false), new PresenceReplica(room, true)]]),
    );
  }

  async run(): Promise<Tally> {
    try {
      await this.#boot();
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
    else if (dice <= 800) await this.#expire(this.#pickNode('running'), true);
    else if (dice <= 870) await this.#changeLife();
    else if (dice <= 880) await this.#lateRegistration(this.#chance.pick(this.#nodes).incarnation);
    else if (dice <= 910) await this.#audit(this.#chance.pick(this.#store.rooms));
    else if (dice <= 970) await this.#compare();
    else if (dice <= 980) await this.#rest();
    else if (dice <= 996) await this.#damage();
    else await this.#restart();
  }

  // Writes of a node.

  /** Of any node, the frozen and the gone included: their writes may still lie in a socket. */
  async #change(verb: 'hold' | 'drop'): Promise<void> {
    const running = this.#chance.chance(0.85) ? this.#pickNode('running') : undefined;
    const node = running ?? this.#chance.pick(this.#nodes);
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
          ? await this.#hold(incarnation, room, user, state, stated, expired)
          : await this.#drop(incarnation, room, user, this.#chance.pick(['left', 'closed']), expired);
      if (outcome === 'fenced' && node.life === 'running') return this.#recover(node);
    }
  }

  async #hold(
    inc: string,
    room: string,
    user: string,
    state: string,
    stated: boolean,
    expired = false,
  ): Promise<string> {
    const what = expired ? 'expired' : this.#model.hold(inc, room, user, state, stated);
    const reply = await this.#store.hold(inc, room, user, state, stated, expired);
    return this.#answered(`${inc} holds ${user} in ${room} ${state} ${stated}`, room, reply, what);
  }

  async #drop(inc: string, room: string, user: string, reason: string, expired = false): Promise<string> {
    const what = expired ? 'expired' : this.#model.drop(inc, room, user, reason);
    const reply = await this.#store.drop(inc, room, user, reason, expired);
    return this.#answered(`${inc} drops ${user} from ${room}`, room, reply, what);
  }

  #answered(call: string, room: string, reply: Reply[], what: Announcement | string | undefined): string {
    this.#log.note(`${call}: ${reply.join(' ')}`);
    const outcome = typeof what === 'string' ? what : 'ok';
    this.#log.count(typeof what === 'object' ? what.kind : outcome);
    if (reply[0] !== outcome) fail(`answered ${reply.join(' ')}, expected ${outcome}`);
    if (outcome !== 'ok') return outcome;
    const state = this.#model.room(room);
    const version = Number(reply[1]);
    if (typeof what === 'object') {
      this.#expected.push({ room, what, version });
      state.version = version;
    } else if (version !== state.version) {
      fail(`nothing changed, but the version went from ${state.version} to ${version}`);
    }
    return outcome;
  }

  // Leases.

  async #beat(node: SimulatedNode, register = false, backDateMs = 0): Promise<void> {
    await this.#beatAll([node], register, backDateMs);
  }

  /** All at once, as the nodes of a cluster do; Redis takes them in this order. */
  async #beatAll(nodes: readonly SimulatedNode[], register = false, backDateMs = 0): Promise<void> {
    const beats = nodes.map(async (node) => {
      const { incarnation } = node;
      const alive = this.#model.beat(incarnation, register, backDateMs, this.#store.now(), this.#store.term);
      const [answer, , term] = await this.#store.beat(incarnation, register, backDateMs);
      this.#log.note(`${incarnation} beats: ${String(answer)}`);
      if (answer !== (alive ? 1 : 0)) fail(`beat answered ${String(answer)}, expected ${alive}`);
      if (term !== this.#store.term) fail(`beat told the term ${String(term)}`);
      return alive ? undefined : node;
    });
    for (const fenced of await Promise.all(beats)) if (fenced !== undefined) await this.#recover(fenced);
  }

  /** The first beat of a node, sent again or stuck in a socket until now, perhaps longer than the node lived. */
  async #lateRegistration(incarnation: string): Promise<void> {
    const alive = this.#model.beat(incarnation, true, 0, this.#store.now(), this.#store.term);
    const [answer] = await this.#store.beat(incarnation, true, 0);
    this.#log.note(`${incarnation} registers late: ${String(answer)}`);
    this.#log.count('late registration');
    if (answer !== (alive ? 1 : 0))
      fail(`a late registration was answered ${String(answer)}, expected ${alive}`);
  }

  #running(): SimulatedNode[] {
    return this.#nodes.filter((node) => node.life === 'running');
  }

  /** Fenced: a new incarnation holds everything, then the old one is reaped by its own node. */
  async #recover(node: SimulatedNode): Promise<void> {
    const old = node.incarnation;
    node.incarnation = this.#newIncarnation(node.name);
    this.#log.note(`${node.name} is ${node.incarnation} now`);
    this.#log.count('fenced node');
    await this.#beat(node, true);
    await this.#holdAll(node);
    for (const room of this.#store.rooms) await this.#reap(old, room, 'closed', false);
  }

  async #holdAll(node: SimulatedNode): Promise<void> {
    for (const [room, users] of node.desired) {
      for (const [user, state] of users) await this.#hold(node.incarnation, room, user, state, false);
    }
  }

  /**
   * Drops what the store believes that the node holds and it does not. Believes by either key:
   * where the index was lost, only the list of holders still names the node.
   */
  async #reconcile(node: SimulatedNode): Promise<void> {
    for (const [room, { held, members }] of this.#model.rooms) {
      const listed = [...members].filter(([, member]) => member.holders.includes(node.incarnation));
      for (const user of new Set([...(held.get(node.incarnation) ?? []), ...listed.map(([name]) => name)])) {
        if (!node.desired.get(room)?.has(user)) await this.#drop(node.incarnation, room, user, 'closed');
      }
    }
  }

  async #passTime(): Promise<void> {
    const outage = this.#chance.chance(0.2);
    const steps = this.#chance.between(1, 10);
    this.#log.note(`${steps} steps pass${outage ? ' and nobody can beat' : ''}`);
    this.#log.count(outage ? 'outage' : 'time passed');
    for (let i = 0; i < steps; i++) {
      await this.#store.pass(STEP_MS);
      if (!outage) await this.#beatAll(this.#running());
    }
    // After an outage somebody is first to look, and must not judge before all had time to beat.
    if (outage && this.#chance.chance(0.5)) await this.#expire(this.#pickNode('running'), true);
    await this.#beatAll(this.#running());
  }

  async #expire(node: SimulatedNode | undefined, halfHearted: boolean): Promise<void> {
    if (node === undefined) return;
    const expected = this.#model.expire(node.incarnation, this.#store.now(), this.#store.term).toSorted();
    const dead = (await this.#store.expire(node.incarnation)).map(String).toSorted();
    this.#log.note(`${node.incarnation} finds dead: ${dead.join(' ')}`);
    if (dead.join(' ') !== expected.join(' ')) fail(`expected dead: ${expected.join(' ')}`);
    if (dead.length > 0) this.#log.count('expired node', dead.length);
    if (this.#chance.chance(0.1)) {
      await this.#reap(node.incarnation, this.#chance.pick(this.#store.rooms), 'node_lost', true);
    }
    for (const inc of dead) {
      if (this.#chance.chance(0.2)) await this.#lateRegistration(inc);
      const rooms = await this.#store.client.smembers(this.#store.keys.rooms(this.#store.partition, inc));
      // Without rooms one call, for any of them, ends the reaping.
      const first = this.#store.rooms[0] ?? '';
      for (const room of rooms.length > 0 ? rooms : [first]) {
        if (!(halfHearted && this.#chance.chance(0.2))) await this.#reap(inc, room, 'node_lost', halfHearted);
      }
    }
  }

  /** By one to three reapers at once; a half-hearted one may die before it is done. */
  async #reap(inc: string, room: string, reason: string, halfHearted: boolean): Promise<void> {
    await this.#settle();
    const { client, keys } = this.#store;
    const before = await client.hkeys(keys.presence(room, inc));
    const replies: Reply[][] = [];
    for (let round = 1; ; round++) {
      if (round > 50) fail(`${inc} is not reaped in ${room} after ${round} rounds`);
      const limit = this.#chance.pick([1, 2, 100]);
      const reapers = Array.from({ length: this.#chance.between(1, 3) }, (_, i) => i);
      replies.push(...(await Promise.all(reapers.map((i) => this.#store.reap(i, inc, room, limit, reason)))));
      if (replies.some(([state]) => state !== 'more') || (halfHearted && this.#chance.chance(0.3))) break;
    }
    const after = new Set(await client.hkeys(keys.presence(room, inc)));
    const taken = before.filter((user) => !after.has(user));
    this.#log.note(`reap ${inc} in ${room}: took ${taken.join(' ')}: ${JSON.stringify(replies)}`);
    if (this.#model.live.has(inc)) {
      if (replies.some(([state]) => state !== 'alive') || taken.length > 0)
        fail('a living incarnation was reaped');
      this.#log.count('reap refused');
      return;
    }
    const counted = replies.reduce((sum, [, count]) => sum + Number(count), 0);
    if (counted !== taken.length) fail(`reapers say they took ${counted} of ${taken.length}`);
    if (replies.some(([state]) => state === 'done') !== (after.size === 0))
      fail(`left behind: ${[...after].join(' ')}`);
    this.#log.count('reaped', taken.length);
    const gone = this.#model.reap(inc, room, taken);
    if (after.size === 0) this.#model.endReap(inc, room);
    await this.#heardLeaving(room, gone, reason);
  }

  async #audit(room: string): Promise<void> {
    await this.#settle();
    const gone = this.#model.audit(room);
    const left = await this.#store.audit(room);
    this.#log.note(`audit of ${room}: ${left} left`);
    if (left !== gone.length) fail(`audit dropped ${left}, expected ${gone.join(' ')}`);
    this.#log.count('audited away', left);
    await this.#heardLeaving(room, gone, 'node_lost');
  }

  // What is heard.

  /** Everything announced so far is what the calls should have announced, in their order. */
  async #settle(): Promise<void> {
    const heard = await this.#store.takeHeard();
    const expected = this.#expected.splice(0);
    for (const { room, change } of heard) {
      const next = expected.shift();
      const got = `${room} ${change.version} ${describeChange(change)}`;
      const wanted =
        next === undefined ? 'nothing' : `${next.room} ${next.version} ${describeWhat(next.what)}`;
      if (got !== wanted) fail(`heard "${got}", expected "${wanted}"`);
      await this.#replicate(room, change);
    }
    if (expected.length > 0) fail(`never announced: ${JSON.stringify(expected)}`);
  }

  /** One or more announcements that together name exactly these users. */
  async #heardLeaving(room: string, users: readonly string[], reason: string): Promise<void> {
    const named: string[] = [];
    for (const { room: where, change } of await this.#store.takeHeard()) {
      if (where !== room || change.kind !== 'left' || change.reason !== reason)
        fail(`heard ${describeChange(change)}`);
      named.push(...(change.kind === 'left' ? change.users : []));
      this.#model.room(room).version = change.version;
      await this.#replicate(room, change);
    }
    const [got, wanted] = [named.toSorted().join(' '), users.toSorted().join(' ')];
    if (got !== wanted) fail(`"${got}" were announced as left, expected "${wanted}"`);
  }

  async #replicate(room: string, change: PresenceChange): Promise<void> {
    const [faithful, lossy] = this.#replicas.get(room) ?? [];
    faithful?.hear(change);
    if (lossy !== undefined && !this.#chance.chance(0.1) && lossy.hear(change)) {
      this.#log.count('chain mended');
      lossy.mend(await this.#store.snapshot(room));
    }
  }

  /** What the sweep of a node does when it cannot trust what it heard. */
  async #mendAll(): Promise<void> {
    for (const [room, replicas] of this.#replicas) {
      const snapshot = await this.#store.snapshot(room);
      for (const replica of replicas) replica.mend(snapshot);
    }
  }

  /** What is stored, key by key, and what the replicas make of it. */
  async #compare(): Promise<void> {
    await this.#settle();
    const actual = await this.#store.read();
    const [got, wanted] = [actual.describe(), this.#model.describe()];
    if (got !== wanted) fail(`stored:\n${got}\nexpected:\n${wanted}`);
    for (const [name, room] of actual.rooms) {
      if (room.version !== this.#model.room(name).version) fail(`${name} is at ${room.version}`);
      const snapshot = await this.#store.snapshot(name);
      for (const replica of this.#replicas.get(name) ?? []) replica.check(snapshot);
      if (!this.#damaged) checkUnion(actual, name, this.#tainted);
    }
  }

  // Nodes and Redis come and go.

  async #boot(): Promise<void> {
    const name = `node${this.#nodes.length}`;
    const node: SimulatedNode = {
      name,
      incarnation: this.#newIncarnation(name),
      life: 'running',
      desired: new Map(),
    };
    this.#nodes.push(node);
    this.#log.note(`${name} starts as ${node.incarnation}`);
    await this.#beat(node, true);
    if (this.#chance.chance(0.3)) await this.#beat(node, true);
  }

  async #changeLife(): Promise<void> {
    const running = this.#running();
    const node = this.#pickNode('running');
    const frozen = this.#pickNode('frozen');
    const kind = this.#chance.pick(['freeze', 'freeze', 'wake', 'wake', 'wake', 'kill', 'drain'] as const);
    if (running.length < 2 || (running.length < RUNNING_MAX && this.#chance.chance(0.3))) return this.#boot();
    if (kind === 'wake' ? frozen === undefined : node === undefined) return;
    this.#log.note(`${kind} ${(kind === 'wake' ? frozen : node)?.name}`);
    this.#log.count(kind);
    if (kind === 'wake' && frozen !== undefined) {
      frozen.life = 'running';
      // The first thing a zombie does may also be a write.
      if (this.#chance.chance(0.5)) await this.#beat(frozen);
    } else if (node !== undefined) {
      if (kind === 'drain') await this.#beat(node, false, DRAIN_MS);
      node.life = kind === 'freeze' ? 'frozen' : 'gone';
    }
  }

  /** The end of all faults: nodes do what they do after a rebuild, the dead are found, rooms are audited. */
  async #rest(): Promise<void> {
    this.#log.note('rest');
    this.#log.count('rest');
    for (const node of this.#nodes) if (node.life === 'frozen') node.life = 'running';
    if (this.#pickNode('running') === undefined) await this.#boot();
    await this.#reassert();
    const own = (): string[] => this.#running().map((node) => node.incarnation);
    for (let step = 0; this.#model.dead.size > 0 || this.#model.live.size > own().length; step++) {
      if (step > 50) fail(`after 50 steps there still are ${this.#model.describe()}`);
      await this.#store.pass(STEP_MS);
      await this.#beatAll(this.#running());
      await this.#expire(this.#pickNode('running'), false);
    }
    for (const room of this.#store.rooms) await this.#audit(room);
    this.#damaged = false;
    await this.#compare();
    this.#checkRest(await this.#store.read(), new Set(own()));
    // The gone have had their say; what they still might write is refused, and refused again.
    while (this.#nodes.length > 8)
      this.#nodes.splice(
        this.#nodes.findIndex((node) => node.life === 'gone'),
        1,
      );
  }

  async #reassert(): Promise<void> {
    await this.#beatAll(this.#running());
    for (const node of this.#nodes) {
      if (node.life !== 'running') continue;
      await this.#holdAll(node);
      await this.#reconcile(node);
    }
  }

  #checkRest(actual: PresenceModel, own: ReadonlySet<string>): void {
    for (const [name, room] of actual.rooms) {
      const wanted = new Set<string>();
      for (const node of this.#nodes) {
        if (node.life === 'running')
          for (const user of node.desired.get(name)?.keys() ?? []) wanted.add(user);
      }
      const [got, expected] = [
        [...room.members.keys()].toSorted().join(' '),
        [...wanted].toSorted().join(' '),
      ];
      if (got !== expected) fail(`${name} has "${got}", the nodes have "${expected}"`);
      for (const inc of room.held.keys()) {
        if (!own.has(inc) && !this.#tainted.has(inc)) fail(`${inc} is dead and left presence in ${name}`);
      }
    }
    for (const inc of actual.roomsOf.keys()) {
      if (!own.has(inc) && !this.#tainted.has(inc)) fail(`${inc} is dead and left its rooms`);
    }
  }

  async #damage(): Promise<void> {
    await this.#settle();
    const { client, keys, partition } = this.#store;
    const room = this.#chance.pick(this.#store.rooms);
    const inc = this.#chance.pick(this.#nodes).incarnation;
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
    const model = this.#model;
    this.#log.note(`damage ${kind} of ${room} or ${inc}`);
    this.#log.count(`damage ${kind}`);
    this.#damaged = true;
    if (kind === 'members') {
      await client.del(keys.members(room));
      model.room(room).members.clear();
    } else if (kind === 'presence') {
      await client.del(keys.presence(room, inc));
      model.room(room).held.delete(inc);
    } else if (kind === 'rooms') {
      await client.del(keys.rooms(partition, inc));
      model.roomsOf.delete(inc);
      this.#tainted.add(inc);
    } else if (kind === 'meta') {
      await client.del(keys.meta(room));
      model.room(room).version = 0;
    } else if (kind === 'live' || kind === 'dead') {
      await client.del(kind === 'live' ? keys.live(partition) : keys.dead(partition));
      for (const lost of kind === 'live' ? model.live.keys() : model.dead) this.#tainted.add(lost);
      model[kind].clear();
    } else if (kind === 'grace') {
      await client.del(keys.grace(partition));
      model.grace = undefined;
    } else {
      await client.flushall();
      this.#model = new PresenceModel(this.#store.rooms, LEASE_MS);
    }
    await this.#mendAll();
  }

  async #restart(): Promise<void> {
    const kind = this.#chance.pick(['restart', 'cut', 'cut', 'empty'] as const);
    await this.#settle();
    this.#log.note(kind);
    this.#log.count(kind);
    const { redis } = this.#store;
    const before = this.#model.describe();
    await redis.kill();
    if (kind === 'cut') cutAofTail(redis.dir, this.#aofStart, this.#chance.fraction());
    await redis.restart({ empty: kind === 'empty' });
    await this.#store.connect();
    this.#aofStart = aofBytes(redis.dir);
    this.#model = await this.#store.read();
    if (kind === 'restart' && this.#model.describe() !== before) fail('a restart changed what is stored');
    if (kind === 'cut' && this.#model.describe() !== before) this.#log.count('tail lost');
    // The past that a cut leads back to may be a damaged one.
    if (kind === 'cut') this.#damaged = true;
    await this.#mendAll();
    // Leases that were stored prove nothing until somebody could beat.
    if (this.#chance.chance(0.5)) await this.#expire(this.#pickNode('running'), true);
    // The changed term in the answer to their next beat makes the nodes tell everything again.
    await this.#reassert();
    for (const room of this.#store.rooms) await this.#audit(room);
  }

  #pickNode(life: SimulatedNode['life']): SimulatedNode | undefined {
    const choices = this.#nodes.filter((node) => node.life === life);
    return choices.length === 0 ? undefined : this.#chance.pick(choices);
  }

  #newIncarnation(name: string): string {
    return `${name}.${++this.#incarnations}`;
  }
}

/** Nobody is a member without a holder, and nobody is held without being a member. */
function checkUnion(actual: PresenceModel, name: string, tainted: ReadonlySet<string>): void {
  const room = actual.room(name);
  const holders = new Map<string, string[]>();
  for (const [inc, users] of room.held) {
    if (tainted.has(inc)) continue;
    for (const user of users) holders.set(user, [...(holders.get(user) ?? []), inc]);
  }
  const describe = (entries: Iterable<[string, readonly string[]]>): string =>
    [...entries]
      .map(([user, incs]) => `${user}: ${incs.toSorted().join(' ')}`)
      .toSorted()
      .join(', ');
  const members = [...room.members]
    .map(([user, member]): [string, readonly string[]] => [
      user,
      member.holders.filter((inc) => !tainted.has(inc)),
    ])
    .filter(([, incs]) => incs.length > 0);
  const [got, wanted] = [describe(members), describe(holders)];
  if (got !== wanted) fail(`${name} lists ${got}, and is held by ${wanted}`);
}

function describeWhat({ kind, users, state, reason }: Announcement): string {
  return `${kind} ${users.join(' ')} ${state ?? reason}`;
}

function describeChange(change: PresenceChange): string {
  if (change.kind === 'left')
    return describeWhat({ kind: 'left', users: change.users, reason: change.reason });
  const { user, state } = change.member;
  return describeWhat({ kind: change.kind, users: [user], state });
}
