/**
 * Brings what Redis believes in line with what this node knows, after everything
 * was written again. In a room: strangers this node does not have are dropped, its
 * own former incarnations let go, and holders that do not exist are taken out. And
 * over all rooms: those in which it has nobody, though Redis, having lost the drop
 * of the last one, believes it has.
 *
 * It removes only what it is sure of. A user held again while it works is no
 * stranger; a former incarnation is let go only where the present one holds
 * everybody, or users would leave and come back before the eyes of the room.
 */
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import { BrokerError } from '../broker.ts';
import type { NodeLease } from './node-lease.ts';
import { inEveryPartition, type PresenceScripts, scanned, type WriteAnswer } from './presence-scripts.ts';
import type { LeasedWriter } from './leased-writer.ts';

export interface RoomReconcilerOptions {
  readonly scripts: PresenceScripts;
  readonly writer: LeasedWriter;
  readonly lease: Pick<NodeLease, 'writable' | 'fenced' | 'former' | 'settled'>;
}

/** One look at one room. */
interface Pass {
  /** Users whom the node held after the look began: it may not have known of them then. */
  readonly held: Set<string>;
  /** Drops under way; settled when they can no longer land. */
  readonly dropping: Map<string, Promise<unknown>>;
}

/** Drops under way at a time, per room. */
const DROPS_AT_ONCE_MAX = 200;
/** A former incarnation whose lease ends while it is let go is looked at a second time. */
const RELEASES_MAX = 2;

export class RoomReconciler {
  readonly #scripts: PresenceScripts;
  readonly #writer: LeasedWriter;
  readonly #lease: RoomReconcilerOptions['lease'];
  readonly #mutex = new KeyedMutex();
  /** By room: the look under way, and those that wait for it. */
  readonly #passes = new Map<string, Set<Pass>>();
  /** During a rebuild: the rooms in which the node held somebody since it began. */
  #heldSince: Set<string> | undefined;

  constructor(options: RoomReconcilerOptions) {
    this.#scripts = options.scripts;
    this.#writer = options.writer;
    this.#lease = options.lease;
  }

  /**
   * To be told of every hold before it is sent; where a promise is returned, only
   * after it settled: a drop of the same user is under way and must not land behind it.
   */
  beforeHold(room: string, user: string): Promise<unknown> | undefined {
    this.#heldSince?.add(room);
    let dropping: Promise<unknown> | undefined;
    for (const pass of this.#passes.get(room) ?? []) {
      pass.held.add(user);
      dropping ??= pass.dropping.get(user);
    }
    return dropping;
  }

  /** `users`: whom this node has. Rejects with a `BrokerError`; what was done by then is right, and may be done again. */
  async reconcile(room: string, users: ReadonlySet<string>): Promise<void> {
    // Its hold may have been sent before the rebuild began, and be told of only after it.
    if (users.size > 0) this.#heldSince?.add(room);
    const pass: Pass = { held: new Set(), dropping: new Map() };
    const passes = this.#passes.get(room) ?? new Set();
    // From this turn on: `users` is what the node knew when it called.
    this.#passes.set(room, passes.add(pass));
    try {
      await this.#mutex.run(room, () => this.#look(room, users, pass));
    } finally {
      passes.delete(pass);
      if (passes.size === 0) this.#passes.delete(room);
    }
  }

  /**
   * Runs `writeAll`, in which the node holds everybody again. Where it tells that it
   * is done, it has nobody in the rooms it did not touch. A later one takes its place.
   */
  async rebuild(writeAll: () => void | Promise<void>): Promise<void> {
    const held = new Set<string>();
    this.#heldSince = held;
    try {
      const done = writeAll();
      if (done === undefined) return;
      await done;
      const incarnation = this.#lease.writable();
      if (incarnation === undefined) return;
      const listed = await inEveryPartition((partition) => this.#roomsOf(partition, incarnation));
      for (const room of listed.flatMap(([, rooms]) => rooms)) {
        // Asked for each anew: a user may have come while the others were looked at.
        if (this.#heldSince === held && !held.has(room)) await this.reconcile(room, new Set());
      }
    } finally {
      if (this.#heldSince === held) this.#heldSince = undefined;
    }
  }

  async #roomsOf(partition: number, incarnation: string): Promise<string[]> {
    const rooms: string[] = [];
    const page = (cursor: string) => this.#scripts.heldRooms(partition, incarnation, cursor);
    for await (const names of scanned(page)) rooms.push(...names);
    return rooms;
  }

  async #look(room: string, users: ReadonlySet<string>, pass: Pass): Promise<void> {
    const incarnation = this.#lease.writable();
    if (incarnation === undefined) throw new BrokerError('unavailable', 'this node has no presence lease');
    const stored = await this.#heldBy(incarnation, room);
    const strangers = [...stored].filter((user) => !users.has(user));
    const answers = await this.#dropAll(incarnation, room, strangers, pass);
    if (answers.some(({ verdict }) => verdict === 'fenced')) this.#lease.fenced(incarnation);
    if (answers.some(({ verdict }) => verdict !== 'ok')) {
      throw new BrokerError('unavailable', 'a drop came too late, or this node was fenced');
    }
    if ([...users].every((user) => stored.has(user))) {
      for (const old of this.#lease.former) await this.#release(old, room, pass);
    }
    if (!this.#lease.settled) return;
    let cursor = '0';
    do cursor = await this.#scripts.audit(room, cursor);
    while (cursor !== '0');
  }

  async #heldBy(incarnation: string, room: string): Promise<Set<string>> {
    const held = new Set<string>();
    const page = (cursor: string) => this.#scripts.heldUsers(incarnation, room, cursor);
    for await (const users of scanned(page)) for (const user of users) held.add(user);
    return held;
  }

  async #dropAll(
    incarnation: string,
    room: string,
    users: readonly string[],
    pass: Pass,
  ): Promise<WriteAnswer[]> {
    const answers: WriteAnswer[] = [];
    for (let from = 0; from < users.length; from += DROPS_AT_ONCE_MAX) {
      const chunk = users.slice(from, from + DROPS_AT_ONCE_MAX).filter((user) => !pass.held.has(user));
      const sent = chunk.map((user) => {
        const dropped = this.#writer.dropAs(incarnation, room, user, 'node_lost');
        pass.dropping.set(user, dropped.catch(ignored));
        return dropped;
      });
      const settled = await Promise.allSettled(sent);
      for (const user of chunk) pass.dropping.delete(user);
      for (const result of settled) {
        if (result.status === 'rejected') throw result.reason;
        answers.push(result.value);
      }
    }
    return answers;
  }

  /** Where its lease is over it is reaped; where it still runs (another partition lost it) it can still drop. */
  async #release(old: string, room: string, pass: Pass): Promise<void> {
    for (let release = 0; release < RELEASES_MAX; release += 1) {
      let { verdict } = await this.#scripts.reap(old, room);
      while (verdict === 'more') ({ verdict } = await this.#scripts.reap(old, room));
      if (verdict === 'done') return;
      const left = await this.#heldBy(old, room);
      const answers = await this.#dropAll(old, room, [...left], pass);
      if (!answers.some((answer) => answer.verdict === 'fenced')) return;
    }
  }
}

/** Who sent the drop hears of its failure; who waits for its end only needs the end. */
function ignored(): void {}
