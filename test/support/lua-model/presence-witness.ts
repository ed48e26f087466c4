/**
 * Sees that what the presence scripts answer, announce and store is what presence-model.ts
 * says, and lets replicas listen that hold the promises of presence-replica.ts.
 */
import type { PresenceChange } from '../../../src/broker/presence.ts';
import type { Reply } from '../script-caller.ts';
import type { Seeded } from '../seeded.ts';
import { PresenceModel, type Announcement } from './presence-model.ts';
import { PresenceReplica } from './presence-replica.ts';
import { LEASE_MS, type PresenceStore } from './presence-store.ts';
import { fail, type RunLog } from './run-log.ts';

export class PresenceWitness {
  /** What should be stored now; replaced where Redis lost something. */
  model: PresenceModel;
  /** Incarnations whose index was destroyed: their keys may stay behind. */
  readonly tainted = new Set<string>();
  /** Keys were lost and the nodes did not yet tell everything again. */
  damaged = false;
  readonly #store: PresenceStore;
  readonly #chance: Seeded;
  readonly #log: RunLog;
  readonly #replicas: ReadonlyMap<string, readonly PresenceReplica[]>;
  #expected: { readonly room: string; readonly what: Announcement; readonly version: number }[] = [];

  constructor(store: PresenceStore, chance: Seeded, log: RunLog) {
    this.#store = store;
    this.#chance = chance;
    this.#log = log;
    this.model = new PresenceModel(store.rooms, LEASE_MS);
    this.#replicas = new Map(
      store.rooms.map((room) => [room, [new PresenceReplica(room, false), new PresenceReplica(room, true)]]),
    );
  }

  /** @param what the outcome, or what the call should announce. @returns the outcome. */
  answered(call: string, room: string, reply: Reply[], what: Announcement | string | undefined): string {
    this.#log.note(`${call}: ${reply.join(' ')}`);
    const outcome = typeof what === 'string' ? what : 'ok';
    this.#log.count(typeof what === 'object' ? what.kind : outcome);
    if (reply[0] !== outcome) fail(`answered ${reply.join(' ')}, expected ${outcome}`);
    if (outcome !== 'ok') return outcome;
    const state = this.model.room(room);
    const version = Number(reply[1]);
    if (typeof what === 'object') {
      this.#expected.push({ room, what, version });
      state.version = version;
    } else if (version !== state.version) {
      fail(`nothing changed, but the version went from ${state.version} to ${version}`);
    }
    return outcome;
  }

  /** Everything announced so far is what the calls should have announced, in their order. */
  async settle(): Promise<void> {
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
  async heardLeaving(room: string, users: readonly string[], reason: string): Promise<void> {
    const named: string[] = [];
    for (const { room: where, change } of await this.#store.takeHeard()) {
      if (where !== room || change.kind !== 'left' || change.reason !== reason)
        fail(`heard ${describeChange(change)}`);
      named.push(...(change.kind === 'left' ? change.users : []));
      this.model.room(room).version = change.version;
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
  async mendAll(): Promise<void> {
    for (const [room, replicas] of this.#replicas) {
      const snapshot = await this.#store.snapshot(room);
      for (const replica of replicas) replica.mend(snapshot);
    }
  }

  /** What is stored, key by key, and what the replicas make of it. */
  async compare(): Promise<void> {
    await this.settle();
    const actual = await this.#store.read();
    const [got, wanted] = [actual.describe(), this.model.describe()];
    if (got !== wanted) fail(`stored:\n${got}\nexpected:\n${wanted}`);
    for (const [name, room] of actual.rooms) {
      if (room.version !== this.model.room(name).version) fail(`${name} is at ${room.version}`);
      const snapshot = await this.#store.snapshot(name);
      for (const replica of this.#replicas.get(name) ?? []) replica.check(snapshot);
      if (!this.damaged) checkUnion(actual, name, this.tainted);
    }
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
