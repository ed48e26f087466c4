/**
 * What presence asks of Redis, as typed methods: which keys and arguments each
 * script takes and how its reply reads. The lease, the reaper and the store above
 * share it, so that the layout of a script is written down once. It decides
 * nothing: what a refusal means is told by whoever asked.
 */
import { type MetaLife, metaTtlS } from '../../core/retention.ts';
import { BrokerError } from '../broker.ts';
import type { LeftReason, Member, PresenceSnapshot } from '../presence.ts';
import type { Commands } from './commands.ts';
import { type Keys, PARTITIONS } from './keys.ts';

export interface PresenceScriptSettings extends MetaLife {
  readonly leaseMs: number;
}

export interface PresenceScriptOptions {
  readonly commands: Commands;
  readonly keys: Keys;
  readonly settings: PresenceScriptSettings;
}

/** `expired` and `fenced` are certainly not applied. */
export type WriteAnswer =
  | { readonly verdict: 'ok'; readonly value: number }
  | { readonly verdict: 'expired' }
  | { readonly verdict: 'fenced' };

export interface BeatAnswer {
  /** False: this incarnation has no lease in the partition and never will again. */
  readonly alive: boolean;
  /** Names one life of the primary that answered: another one after each start and each promotion. */
  readonly term: string;
}

export interface ReapAnswer {
  /** `alive`: refused, its lease still runs. `more`: the limit ended it. */
  readonly verdict: 'alive' | 'more' | 'done';
  /** Users taken from the incarnation, those whom somebody else still holds included. */
  readonly users: number;
}

/** A page of a SCAN. */
export interface Page {
  /** '0' after the last page. */
  readonly cursor: string;
  readonly names: readonly string[];
}

/** Users taken per reap call: about 1 ms of Redis, and an envelope of at most 64 KB. */
export const REAP_USERS = 500;
/** Members looked at per audit call, users and rooms per scanned page. */
const AUDIT_USERS = 200;
const HELD_USERS = 200;
const HELD_ROOMS = 100;

/** Classic pub/sub: what a standalone Redis (or a primary with replicas) relays. */
const PUBLISH = 'PUBLISH';

/** Every method rejects with a `BrokerError`, as `Commands.run` does. */
export class PresenceScripts {
  readonly #commands: Commands;
  readonly #keys: Keys;
  readonly #leaseMs: string;
  readonly #life: MetaLife;

  constructor({ commands, keys, settings }: PresenceScriptOptions) {
    this.#commands = commands;
    this.#keys = keys;
    this.#leaseMs = String(settings.leaseMs);
    this.#life = settings;
  }

  async hold(
    incarnation: string,
    room: string,
    user: string,
    state: string,
    stated: boolean,
  ): Promise<WriteAnswer> {
    const told = [incarnation, user, state, stated ? '1' : '0', room, this.#keys.channel(room), PUBLISH];
    const args = [...told, this.#metaTtl(room), this.#commands.deadline()];
    return writeAnswer('hold', await this.#commands.run('hold', this.#holdingKeys(incarnation, room), args));
  }

  async drop(incarnation: string, room: string, user: string, reason: LeftReason): Promise<WriteAnswer> {
    const told = [incarnation, user, reason, room, this.#keys.channel(room), PUBLISH];
    const args = [...told, this.#metaTtl(room), this.#commands.deadline()];
    return writeAnswer('drop', await this.#commands.run('drop', this.#holdingKeys(incarnation, room), args));
  }

  /** The value is the sum over all living nodes. */
  async countConnections(incarnation: string, user: string, count: number): Promise<WriteAnswer> {
    const script = 'count-connections';
    const keys = [this.#keys.live(this.#keys.partitionOf(`@${user}`)), this.#keys.connections(user)];
    const args = [incarnation, String(count), String(this.#life.metaTtlS), this.#commands.deadline()];
    return writeAnswer(script, await this.#commands.run(script, keys, args));
  }

  async snapshot(room: string, limit: number): Promise<PresenceSnapshot> {
    const keys = [this.#keys.members(room), this.#keys.meta(room)];
    return snapshotOf(await this.#commands.run('snapshot', keys, [String(limit)]), limit);
  }

  /** Takes a lease (`register`) or renews it, as if it were done `backDateMs` ago. */
  async beat(
    partition: number,
    incarnation: string,
    register: boolean,
    backDateMs: number,
  ): Promise<BeatAnswer> {
    const args = [incarnation, register ? '1' : '0', this.#leaseMs, String(backDateMs)];
    const reply = await this.#commands.run('heartbeat', this.#leaseKeys(partition), args);
    const [alive, , term] = list('heartbeat', reply);
    return { alive: Number(alive) === 1, term: String(term) };
  }

  /** Ends the leases that ran out; answers who is to be reaped. */
  async expire(partition: number, caller: string): Promise<readonly string[]> {
    const reply = await this.#commands.run('expire', this.#leaseKeys(partition), [caller, this.#leaseMs]);
    return list('expire', reply).map(String);
  }

  /** Takes at most `REAP_USERS` users from a dead incarnation. */
  async reap(incarnation: string, room: string): Promise<ReapAnswer> {
    const keys = [...this.#holdingKeys(incarnation, room), this.#keys.dead(this.#keys.partitionOf(room))];
    const told = [incarnation, room, this.#keys.channel(room), PUBLISH, String(REAP_USERS), 'node_lost'];
    const reply = await this.#commands.run('reap', keys, [...told, this.#metaTtl(room)]);
    const [verdict, users] = list('reap', reply);
    if (verdict !== 'alive' && verdict !== 'more' && verdict !== 'done') throw unreadable('reap', verdict);
    return { verdict, users: Number(users) };
  }

  /** Takes holders that do not exist out of one page of members; answers the next cursor, '0' after the last. */
  async audit(room: string, cursor: string): Promise<string> {
    const partition = this.#keys.partitionOf(room);
    const leases = [this.#keys.live(partition), this.#keys.dead(partition)];
    const keys = [...leases, this.#keys.members(room), this.#keys.meta(room)];
    const args = [cursor, String(AUDIT_USERS), this.#keys.channel(room), PUBLISH, this.#metaTtl(room)];
    return String(list('audit', await this.#commands.run('audit', keys, args))[0]);
  }

  /** One page of the users that an incarnation holds in a room. */
  async heldUsers(incarnation: string, room: string, cursor: string): Promise<Page> {
    const key = this.#keys.presence(room, incarnation);
    const page = pageOf(
      'HSCAN',
      await this.#commands.call('HSCAN', key, cursor, 'COUNT', String(HELD_USERS)),
    );
    // Fields and values take turns; the values are of no interest here.
    return { cursor: page.cursor, names: page.names.filter((_, index) => index % 2 === 0) };
  }

  /** One page of the rooms in which an incarnation holds somebody. */
  async heldRooms(partition: number, incarnation: string, cursor: string): Promise<Page> {
    const key = this.#keys.rooms(partition, incarnation);
    return pageOf('SSCAN', await this.#commands.call('SSCAN', key, cursor, 'COUNT', String(HELD_ROOMS)));
  }

  /** Leaves an incarnation that will never write again to the reapers. */
  async bury(partition: number, incarnation: string): Promise<void> {
    await this.#commands.call('SADD', this.#keys.dead(partition), incarnation);
  }

  /** Nothing of it is left to reap. Tells whether this call was the one that ended it. */
  async forget(partition: number, incarnation: string): Promise<boolean> {
    return Number(await this.#commands.call('SREM', this.#keys.dead(partition), incarnation)) === 1;
  }

  /** That of the room's messages: online state must not end the life of the inbox that shares its meta. */
  #metaTtl(room: string): string {
    return String(metaTtlS(room, this.#life));
  }

  #leaseKeys(partition: number): string[] {
    return [this.#keys.live(partition), this.#keys.dead(partition), this.#keys.grace(partition)];
  }

  /** The keys of hold, drop and reap (which has one more), in their order. */
  #holdingKeys(incarnation: string, room: string): string[] {
    const partition = this.#keys.partitionOf(room);
    return [
      this.#keys.live(partition),
      this.#keys.presence(room, incarnation),
      this.#keys.members(room),
      this.#keys.rooms(partition, incarnation),
      this.#keys.meta(room),
    ];
  }
}

const EVERY_PARTITION: readonly number[] = Array.from({ length: PARTITIONS }, (_, partition) => partition);

/** Asks every partition in one turn, so in one write. Answers with their partitions; a failed one is left out. */
export async function inEveryPartition<T>(
  ask: (partition: number) => Promise<T>,
): Promise<(readonly [partition: number, answer: T])[]> {
  const settled = await Promise.allSettled(EVERY_PARTITION.map((partition) => ask(partition)));
  return settled.flatMap((result, partition) =>
    result.status === 'fulfilled' ? [[partition, result.value] as const] : [],
  );
}

/** Every name of a scan, page by page. A name may come twice. `goOn` is asked before each page. */
export async function* scanned(
  page: (cursor: string) => Promise<Page>,
  goOn: () => boolean = () => true,
): AsyncGenerator<readonly string[]> {
  let cursor = '0';
  do {
    if (!goOn()) return;
    const found = await page(cursor);
    cursor = found.cursor;
    if (found.names.length > 0) yield found.names;
  } while (cursor !== '0');
}

function writeAnswer(script: string, reply: unknown): WriteAnswer {
  const [verdict, value] = list(script, reply);
  if (verdict === 'expired' || verdict === 'fenced') return { verdict };
  const number = Number(value);
  if (verdict !== 'ok' || !Number.isSafeInteger(number)) throw unreadable(script, verdict);
  return { verdict, value: number };
}

function snapshotOf(reply: unknown, limit: number): PresenceSnapshot {
  const [version, count, flat] = list('snapshot', reply);
  const head = { version: Number(version), count: Number(count) };
  if (head.count > limit) return head;
  const entries = list('snapshot', flat).map(String);
  const members: Member[] = [];
  for (let index = 0; index + 1 < entries.length; index += 2) {
    members.push(memberOf(entries[index] ?? '', entries[index + 1] ?? ''));
  }
  return { ...head, members };
}

/** An entry of members(room): `holder holder\nsince\nstate`; the state is the rest, line breaks included. */
function memberOf(user: string, entry: string): Member {
  const holdersEnd = entry.indexOf('\n');
  const sinceEnd = entry.indexOf('\n', holdersEnd + 1);
  const since = Number(entry.slice(holdersEnd + 1, sinceEnd));
  if (holdersEnd < 0 || sinceEnd < 0 || !Number.isSafeInteger(since))
    throw unreadable('snapshot', 'a member');
  return { user, since, state: entry.slice(sinceEnd + 1) };
}

function pageOf(command: string, reply: unknown): Page {
  const [cursor, names] = list(command, reply);
  return { cursor: String(cursor), names: list(command, names).map(String) };
}

function list(script: string, reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw unreadable(script, reply);
  return reply;
}

/** Something ran, and what it did cannot be told: a script of another release, or damage. */
function unreadable(script: string, what: unknown): BrokerError {
  return new BrokerError(
    'unknown_outcome',
    `${script} answered what cannot be read: ${String(what).slice(0, 80)}`,
  );
}
