/**
 * The simulated nodes of the presence model test and what a node does: it holds and drops
 * users, beats, takes a new incarnation when it is fenced, expires and reaps others, audits,
 * and tells everything again after a loss. Each call is seen by presence-witness.ts.
 */
import type { Reply } from '../script-caller.ts';
import type { Seeded } from '../seeded.ts';
import type { PresenceModel } from './presence-model.ts';
import type { PresenceStore } from './presence-store.ts';
import type { PresenceWitness } from './presence-witness.ts';
import { fail, type RunLog } from './run-log.ts';

export interface SimulatedNode {
  readonly name: string;
  incarnation: string;
  life: 'running' | 'frozen' | 'gone';
  /** Room -> user -> state. */
  readonly desired: Map<string, Map<string, string>>;
}

export class PresenceCluster {
  readonly nodes: SimulatedNode[] = [];
  readonly #store: PresenceStore;
  readonly #witness: PresenceWitness;
  readonly #chance: Seeded;
  readonly #log: RunLog;
  #incarnations = 0;

  constructor(store: PresenceStore, witness: PresenceWitness, chance: Seeded, log: RunLog) {
    this.#store = store;
    this.#witness = witness;
    this.#chance = chance;
    this.#log = log;
  }

  async hold(
    inc: string,
    room: string,
    user: string,
    state: string,
    stated: boolean,
    expired = false,
  ): Promise<string> {
    const what = expired ? 'expired' : this.#witness.model.hold(inc, room, user, state, stated);
    const reply = await this.#store.hold(inc, room, user, state, stated, expired);
    return this.#witness.answered(`${inc} holds ${user} in ${room} ${state} ${stated}`, room, reply, what);
  }

  async drop(inc: string, room: string, user: string, reason: string, expired = false): Promise<string> {
    const what = expired ? 'expired' : this.#witness.model.drop(inc, room, user, reason);
    const reply = await this.#store.drop(inc, room, user, reason, expired);
    return this.#witness.answered(`${inc} drops ${user} from ${room}`, room, reply, what);
  }

  async beat(node: SimulatedNode, register = false, backDateMs = 0): Promise<void> {
    await this.beatAll([node], register, backDateMs);
  }

  /** All at once, as the nodes of a cluster do; Redis takes them in this order. */
  async beatAll(nodes: readonly SimulatedNode[], register = false, backDateMs = 0): Promise<void> {
    const beats = nodes.map(async (node) => {
      const { incarnation } = node;
      const alive = this.#witness.model.beat(
        incarnation,
        register,
        backDateMs,
        this.#store.now(),
        this.#store.term,
      );
      const [answer, , term] = await this.#store.beat(incarnation, register, backDateMs);
      this.#log.note(`${incarnation} beats: ${String(answer)}`);
      if (answer !== (alive ? 1 : 0)) fail(`beat answered ${String(answer)}, expected ${alive}`);
      if (term !== this.#store.term) fail(`beat told the term ${String(term)}`);
      return alive ? undefined : node;
    });
    for (const fenced of await Promise.all(beats)) if (fenced !== undefined) await this.recover(fenced);
  }

  /** The first beat of a node, sent again or stuck in a socket until now, perhaps longer than the node lived. */
  async lateRegistration(incarnation: string): Promise<void> {
    const alive = this.#witness.model.beat(incarnation, true, 0, this.#store.now(), this.#store.term);
    const [answer] = await this.#store.beat(incarnation, true, 0);
    this.#log.note(`${incarnation} registers late: ${String(answer)}`);
    this.#log.count('late registration');
    if (answer !== (alive ? 1 : 0))
      fail(`a late registration was answered ${String(answer)}, expected ${alive}`);
  }

  running(): SimulatedNode[] {
    return this.nodes.filter((node) => node.life === 'running');
  }

  /** Fenced: a new incarnation holds everything, then the old one is reaped by its own node. */
  async recover(node: SimulatedNode): Promise<void> {
    const old = node.incarnation;
    node.incarnation = this.#newIncarnation(node.name);
    this.#log.note(`${node.name} is ${node.incarnation} now`);
    this.#log.count('fenced node');
    await this.beat(node, true);
    await this.#holdAll(node);
    for (const room of this.#store.rooms) await this.reap(old, room, 'closed', false);
  }

  async #holdAll(node: SimulatedNode): Promise<void> {
    for (const [room, users] of node.desired) {
      for (const [user, state] of users) await this.hold(node.incarnation, room, user, state, false);
    }
  }

  /**
   * Drops what the store believes that the node holds and it does not. Believes by either key:
   * where the index was lost, only the list of holders still names the node.
   */
  async #reconcile(node: SimulatedNode): Promise<void> {
    for (const [room, { held, members }] of this.#witness.model.rooms) {
      const listed = [...members].filter(([, member]) => member.holders.includes(node.incarnation));
      for (const user of new Set([...(held.get(node.incarnation) ?? []), ...listed.map(([name]) => name)])) {
        if (!node.desired.get(room)?.has(user)) await this.drop(node.incarnation, room, user, 'closed');
      }
    }
  }

  async expire(node: SimulatedNode | undefined, halfHearted: boolean): Promise<void> {
    if (node === undefined) return;
    const expected = this.#witness.model
      .expire(node.incarnation, this.#store.now(), this.#store.term)
      .toSorted();
    const dead = (await this.#store.expire(node.incarnation)).map(String).toSorted();
    this.#log.note(`${node.incarnation} finds dead: ${dead.join(' ')}`);
    if (dead.join(' ') !== expected.join(' ')) fail(`expected dead: ${expected.join(' ')}`);
    if (dead.length > 0) this.#log.count('expired node', dead.length);
    if (this.#chance.chance(0.1)) {
      await this.reap(node.incarnation, this.#chance.pick(this.#store.rooms), 'node_lost', true);
    }
    for (const inc of dead) {
      if (this.#chance.chance(0.2)) await this.lateRegistration(inc);
      const rooms = await this.#store.client.smembers(this.#store.keys.rooms(this.#store.partition, inc));
      // Without rooms one call, for any of them, ends the reaping.
      const first = this.#store.rooms[0] ?? '';
      for (const room of rooms.length > 0 ? rooms : [first]) {
        if (!(halfHearted && this.#chance.chance(0.2))) await this.reap(inc, room, 'node_lost', halfHearted);
      }
    }
  }

  /** By one to three reapers at once; a half-hearted one may die before it is done. */
  async reap(inc: string, room: string, reason: string, halfHearted: boolean): Promise<void> {
    await this.#witness.settle();
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
    if (this.#witness.model.live.has(inc)) {
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
    const gone = this.#witness.model.reap(inc, room, taken);
    if (after.size === 0) this.#witness.model.endReap(inc, room);
    await this.#witness.heardLeaving(room, gone, reason);
  }

  async audit(room: string): Promise<void> {
    await this.#witness.settle();
    const gone = this.#witness.model.audit(room);
    const left = await this.#store.audit(room);
    this.#log.note(`audit of ${room}: ${left} left`);
    if (left !== gone.length) fail(`audit dropped ${left}, expected ${gone.join(' ')}`);
    this.#log.count('audited away', left);
    await this.#witness.heardLeaving(room, gone, 'node_lost');
  }

  async boot(): Promise<void> {
    const name = `node${this.nodes.length}`;
    const node: SimulatedNode = {
      name,
      incarnation: this.#newIncarnation(name),
      life: 'running',
      desired: new Map(),
    };
    this.nodes.push(node);
    this.#log.note(`${name} starts as ${node.incarnation}`);
    await this.beat(node, true);
    if (this.#chance.chance(0.3)) await this.beat(node, true);
  }

  async reassert(): Promise<void> {
    await this.beatAll(this.running());
    for (const node of this.nodes) {
      if (node.life !== 'running') continue;
      await this.#holdAll(node);
      await this.#reconcile(node);
    }
  }

  checkRest(actual: PresenceModel, own: ReadonlySet<string>): void {
    for (const [name, room] of actual.rooms) {
      const wanted = new Set<string>();
      for (const node of this.nodes) {
        if (node.life === 'running')
          for (const user of node.desired.get(name)?.keys() ?? []) wanted.add(user);
      }
      const [got, expected] = [
        [...room.members.keys()].toSorted().join(' '),
        [...wanted].toSorted().join(' '),
      ];
      if (got !== expected) fail(`${name} has "${got}", the nodes have "${expected}"`);
      for (const inc of room.held.keys()) {
        if (!own.has(inc) && !this.#witness.tainted.has(inc))
          fail(`${inc} is dead and left presence in ${name}`);
      }
    }
    for (const inc of actual.roomsOf.keys()) {
      if (!own.has(inc) && !this.#witness.tainted.has(inc)) fail(`${inc} is dead and left its rooms`);
    }
  }

  pickNode(life: SimulatedNode['life']): SimulatedNode | undefined {
    const choices = this.nodes.filter((node) => node.life === life);
    return choices.length === 0 ? undefined : this.#chance.pick(choices);
  }

  #newIncarnation(name: string): string {
    return `${name}.${++this.#incarnations}`;
  }
}
