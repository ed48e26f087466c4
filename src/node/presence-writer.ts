/**
 * Makes the presence store say what the ledger says. Level-triggered: one write
 * at a time per (room, user), the last value wins, and a write that failed or
 * whose outcome is unknown stays dirty and is written again. So presence is
 * right again after any outage without anybody remembering what was missed. The
 * one thing that is given up is a change of state whose sender was told that it
 * is certainly not applied: written later, it would surprise everybody.
 */
import { BrokerError } from '../broker/broker.ts';
import type { PresenceStore } from '../broker/presence.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { Fifo } from '../core/fifo.ts';
import type { Logger } from '../core/logger.ts';
import type { LeftReason } from '../core/member.ts';
import { type FormerState, type Holding, PresenceLedger } from '../core/presence-ledger.ts';

export interface PresenceWriterSettings {
  readonly presenceHoldMs: number;
}

/** Writes under way at once; a rebuild of 100,000 members must not queue them all in Redis. */
const WRITES_MAX = 256;
/** Of these, for a rebuild. */
const REBUILDS_MAX = 64;
/** What Redis refuses, all of it is refused again: less often with each round in which nothing was written. */
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 3200;

/** Holds ended before others have their turn: with what writing them costs some milliseconds. */
const HOLDS_AT_ONCE = 256;
const HOLDS_PAUSE_MS = 1;

interface Hold {
  readonly holding: Holding;
  readonly untilMs: number;
}

interface Waiter {
  resolve(version: number): void;
  reject(error: Error): void;
}

export class PresenceWriter {
  readonly ledger = new PresenceLedger();
  readonly #store: PresenceStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: PresenceWriterSettings;
  /** Writes under way, each with those who asked before it began. */
  readonly #writing = new Map<Holding, readonly Waiter[]>();
  /** Dirty and not being written, in the order they became so. */
  readonly #waiting = new Fifo<Holding>();
  /** The same, to be found in. Taking from the front of a Set again and again walks over all that was taken before. */
  readonly #queued = new Set<Holding>();
  /** Writes that failed: they wait for the retry timer, or for Redis to be back. */
  readonly #putOff = new Set<Holding>();
  readonly #waiters = new Map<Holding, Waiter[]>();
  readonly #holds = new Fifo<Hold>();
  #holdTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #retryMs = RETRY_MIN_MS;
  #rebuilds = 0;
  #stopped = false;

  constructor(store: PresenceStore, clock: Clock, logger: Logger, settings: PresenceWriterSettings) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
  }

  /** One more connection of the user in the room. Resolves to a version of the room that contains the user. */
  enter(room: string, user: string, state: string | undefined): Promise<number> {
    const holding = this.ledger.enter(room, user, state);
    return this.#settled(holding);
  }

  /** Replaces the user's state. Resolves once the store has it; rejected with `unavailable` it is given up. */
  state(room: string, user: string, state: string): Promise<number> {
    const holding = this.ledger.get(room, user);
    if (!holding) return Promise.resolve(0);
    this.ledger.state(holding, state);
    return this.#settled(holding);
  }

  /** Takes a state back, for a join that failed after it was set, unless somebody changed it since. */
  takeBack(room: string, user: string, state: string, before: string): void {
    const holding = this.ledger.get(room, user);
    if (!holding || holding.leaving || holding.state !== state || state === before) return;
    this.ledger.state(holding, before);
    this.#enqueue(holding);
  }

  leave(room: string, user: string, reason: LeftReason): void {
    const holding = this.ledger.leave(room, user, reason);
    if (holding?.dirty) this.#enqueue(holding);
  }

  /** The socket is gone; the user stays present for `presenceHoldMs`, in case it was a reload. */
  close(room: string, user: string): void {
    const untilMs = this.#clock.now() + this.#settings.presenceHoldMs;
    const holding = this.ledger.close(room, user, untilMs);
    if (holding?.heldUntilMs !== untilMs) return;
    this.#holds.push({ holding, untilMs });
    this.#awaitHold();
  }

  /** Those who were closed together are over together, and may be a hundred thousand: the rest goes on a moment later. */
  #endHolds(): void {
    this.#holdTimer = undefined;
    const nowMs = this.#clock.now();
    for (let left = HOLDS_AT_ONCE; left > 0; left -= 1) {
      const hold = this.#holds.peek();
      if (!hold || hold.untilMs > nowMs) break;
      this.#holds.shift();
      this.#endHold(hold);
    }
    this.#awaitHold();
  }

  #endHold({ holding, untilMs }: Hold): void {
    // A rejoin or a later close moved the moment; then this is not the one that ends it.
    if (holding.heldUntilMs !== untilMs) return;
    this.ledger.expire(holding);
    if (holding.dirty) this.#enqueue(holding);
  }

  /** One timer for all: each hold is as long as the others, so the first to begin is the first to end. */
  #awaitHold(): void {
    const first = this.#holds.peek();
    if (!first || this.#holdTimer || this.#stopped) return;
    const waitMs = Math.max(HOLDS_PAUSE_MS, first.untilMs - this.#clock.now());
    this.#holdTimer = this.#clock.after(waitMs, () => this.#endHolds());
  }

  /** The store may have forgotten this node: writes everything again, then drops what the store holds beyond it. */
  async rebuild(): Promise<void> {
    this.#rebuilds += 1;
    const own = this.#rebuilds;
    // A newer one writes everything anew: two beside each other would take twice the places of those who join.
    const isOver = () => this.#stopped || own !== this.#rebuilds;
    const all = this.ledger.markAllDirty();
    if (all.length > 0) this.#logger.info({ held: all.length }, 'presence: holding everything again');
    await this.#settleAll(all, isOver);
    for (const room of [...this.ledger.rooms()]) {
      if (isOver()) return;
      try {
        await this.#store.reconcile(room, this.ledger.present(room));
      } catch (error) {
        // The next rebuild or the five-minute sweep does it; until then a ghost may be listed.
        this.#logger.debug({ room, error: messageOf(error) }, 'presence: reconcile put off');
      }
    }
  }

  /** Redis is back: what waits for a retry is written now. */
  retryNow(): void {
    this.#retryMs = RETRY_MIN_MS;
    this.#retryTimer?.cancel();
    this.#retry();
  }

  #retry(): void {
    this.#retryTimer = undefined;
    for (const holding of this.#putOff) this.#wait(holding);
    this.#putOff.clear();
    this.#pump();
  }

  /** From now on the store is left as it is: peers reap it after the hold (node/drain.ts). */
  stop(): void {
    this.#stopped = true;
    this.#holdTimer?.cancel();
    this.#holds.clear();
    this.#waiting.clear();
    this.#queued.clear();
    this.#putOff.clear();
    for (const holding of [...this.#writing.keys(), ...this.#waiters.keys()]) {
      const code = this.#writing.has(holding) ? 'unknown_outcome' : 'unavailable';
      for (const waiter of this.#takeWaiters(holding))
        waiter.reject(new BrokerError(code, 'the node is stopping'));
    }
  }

  /** A few at a time: who joins meanwhile waits for those, and not for everybody the node holds. */
  async #settleAll(holdings: readonly Holding[], isOver: () => boolean): Promise<void> {
    const left = holdings[Symbol.iterator]();
    const settleInTurn = async () => {
      for (const holding of left) {
        if (isOver()) return;
        // What failed is tried again by itself, and one that left meanwhile is written as such.
        await this.#settled(holding).catch(() => undefined);
      }
    };
    await Promise.all(Array.from({ length: REBUILDS_MAX }, settleInTurn));
  }

  #settled(holding: Holding): Promise<number> {
    if (!holding.dirty && !this.#writing.has(holding)) return Promise.resolve(holding.version);
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(holding) ?? [];
      waiters.push({ resolve, reject });
      this.#waiters.set(holding, waiters);
      if (holding.dirty) this.#enqueue(holding);
    });
  }

  #enqueue(holding: Holding): void {
    if (this.#stopped || this.#writing.has(holding)) return;
    this.#putOff.delete(holding);
    this.#wait(holding);
    this.#pump();
  }

  #wait(holding: Holding): void {
    if (this.#queued.has(holding)) return;
    this.#queued.add(holding);
    this.#waiting.push(holding);
  }

  #pump(): void {
    while (this.#writing.size < WRITES_MAX) {
      const holding = this.#waiting.shift();
      if (!holding) return;
      this.#queued.delete(holding);
      void this.#write(holding);
    }
  }

  async #write(holding: Holding): Promise<void> {
    this.#writing.set(holding, this.#takeWaiters(holding));
    const former = this.ledger.takeUp(holding);
    const { room, user, state, stated, leaving } = holding;
    try {
      const version = leaving
        ? await this.#store.drop(room, user, leaving)
        : await this.#store.hold(room, user, state, stated);
      this.ledger.applied(holding, state, stated);
      this.#written(holding, version);
    } catch (error) {
      holding.dirty = true;
      this.#failed(holding, former, error);
    } finally {
      this.#pump();
    }
  }

  /** Those who asked since the last write began, and those who wait for it where one is under way. */
  #takeWaiters(holding: Holding): readonly Waiter[] {
    const waiters = [...(this.#writing.get(holding) ?? []), ...(this.#waiters.get(holding) ?? [])];
    if (this.#writing.has(holding)) this.#writing.set(holding, []);
    this.#waiters.delete(holding);
    return waiters;
  }

  #written(holding: Holding, version: number): void {
    holding.version = version;
    this.#retryMs = RETRY_MIN_MS;
    for (const waiter of this.#writing.get(holding) ?? []) waiter.resolve(version);
    this.#writing.delete(holding);
    if (holding.dirty) {
      // It changed meanwhile: those who asked since wait for the newest value.
      this.#enqueue(holding);
      return;
    }
    if (holding.leaving) this.ledger.forget(holding);
    for (const waiter of this.#takeWaiters(holding)) waiter.resolve(version);
  }

  #failed(holding: Holding, former: FormerState | undefined, error: unknown): void {
    const waiters = this.#takeWaiters(holding);
    this.#writing.delete(holding);
    this.#logger.debug({ room: holding.room, error: messageOf(error) }, 'presence: write put off');
    const failure = error instanceof Error ? error : new Error(String(error));
    const certainlyNotApplied = error instanceof BrokerError && error.code === 'unavailable';
    if (certainlyNotApplied) this.ledger.restore(holding, former);
    else holding.former = undefined;
    for (const waiter of waiters) waiter.reject(failure);
    if (this.#stopped) return;
    this.#putOff.add(holding);
    if (this.#retryTimer) return;
    this.#retryTimer = this.#clock.after(this.#retryMs, () => this.#retry());
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
