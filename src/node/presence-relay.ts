/**
 * What members are told about who is here: a replica per room, fed by the
 * changes the room's channel carries, told in windows (merged diffs) so that a
 * storm of joins is a few frames and not one per join and member.
 *
 * After anything that could have hidden a change (a lost link, a version chain
 * that does not join on) members get one snapshot. docs/decisions/0009.
 */
import { BrokerError } from '../broker/broker.ts';
import type { PresenceStore } from '../broker/presence.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Hub } from '../core/hub.ts';
import { KeyedMutex } from '../core/keyed-mutex.ts';
import type { Logger } from '../core/logger.ts';
import type { PresenceChange, PresenceSnapshot } from '../core/member.ts';
import { PresenceReplica, type ReplicaLimits } from '../core/presence-replica.ts';
import type { Session, Subscription } from '../core/session.ts';
import { isInboxRoom } from '../protocol/names.ts';
import type { FanOut } from './fan-out.ts';
import { PresenceFrames } from './presence-frames.ts';

export interface PresenceRelaySettings extends ReplicaLimits {
  readonly presenceWindowMs: number;
  readonly heartbeatMs: number;
  /** How long who asks may wait for a copy that can be trusted. */
  readonly redisDeadlineMs: number;
}

interface Followed {
  readonly replica: PresenceReplica;
  window: Timer | undefined;
  /** Until a snapshot was read that can be used. */
  loading: Promise<void> | undefined;
  /** Grows with everything that may have hidden a change: a snapshot asked for before it may lack that change. */
  generation: number;
  /** After Redis was away: nobody is told a snapshot before this moment, see `mend`. */
  settledAtMs: number;
}

/** A snapshot as it was read, undefined where it could not be, and the generation it is of. */
interface Read {
  readonly generation: number;
  readonly snapshot: PresenceSnapshot | undefined;
}

/** Of no generation there is. */
const NOT_READ: Read = { generation: -1, snapshot: undefined };
/** Snapshots read for copies at a time. */
const READS_MAX = 16;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** How long nothing may come through the channel while a joiner waits for its own change, before the store is asked. */
const OWN_CHANGE_MS = 250;

export class PresenceRelay {
  readonly #frames: PresenceFrames;
  readonly #store: PresenceStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #settings: PresenceRelaySettings;
  /** A snapshot may hold changes that nobody heard of. */
  readonly #loaded: (room: string, snapshot: PresenceSnapshot) => void;
  readonly #rooms = new Map<string, Followed>();
  /** Called when a replica moved on: joins waiting for their own change look again. */
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #lanes = new KeyedMutex();
  #readsBegun = 0;

  constructor(
    hub: Hub,
    fanOut: FanOut,
    store: PresenceStore,
    clock: Clock,
    logger: Logger,
    settings: PresenceRelaySettings,
    loaded: (room: string, snapshot: PresenceSnapshot) => void,
  ) {
    this.#loaded = loaded;
    this.#frames = new PresenceFrames(hub, fanOut);
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = settings;
  }

  follow(room: string): void {
    // Nobody in an inbox is told who is online; who asks is answered from the store.
    if (isInboxRoom(room) || this.#rooms.has(room)) return;
    const replica = new PresenceReplica(this.#settings);
    this.#rooms.set(room, { replica, window: undefined, loading: undefined, generation: 0, settledAtMs: 0 });
  }

  unfollow(room: string): void {
    this.#rooms.get(room)?.window?.cancel();
    this.#rooms.delete(room);
  }

  /** A change was heard on the room's channel. */
  change(room: string, change: PresenceChange): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    const applied = followed.replica.apply(change);
    if (applied === 'gap') void this.#load(room, followed);
    if (applied !== 'applied') return;
    followed.window ??= this.#clock.after(this.#settings.presenceWindowMs, () =>
      this.#endWindow(room, followed),
    );
    this.#wake(room);
  }

  /** Changes may have been missed; what is heard from now on is held until a snapshot was read. */
  suspect(room: string): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    this.#tellWindow(room, followed);
    followed.replica.invalidate();
    followed.generation += 1;
  }

  suspectAll(): void {
    for (const room of this.#rooms.keys()) this.suspect(room);
  }

  /**
   * The room is heard again. `newStore`: Redis restarted or another one took over,
   * and may be empty, so the other nodes are given two heartbeats to say whom they hold;
   * a snapshot read sooner would show a mass leave that never happened.
   */
  mend(room: string, newStore: boolean): void {
    const followed = this.#rooms.get(room);
    if (!followed) return;
    if (newStore) followed.settledAtMs = this.#clock.now() + 2 * this.#settings.heartbeatMs;
    // Somebody who asked may have had a copy made while nothing was heard.
    this.suspect(room);
    void this.#load(room, followed);
  }

  /** The version told by the store in passing (a head check): another one than ours is a gap nobody heard of. */
  check(room: string, version: number): void {
    const followed = this.#rooms.get(room);
    if (!followed || followed.replica.version === undefined || version <= followed.replica.version) return;
    this.suspect(room);
    void this.#load(room, followed);
  }

  /** Who is in a followed room, at a version not before `atLeast`. */
  async view(room: string, atLeast: number): Promise<PresenceSnapshot> {
    const followed = this.#rooms.get(room);
    if (!followed) return this.#snapshot(room);
    if (followed.replica.version === undefined) {
      // While the other nodes settle, a joiner is answered from the store and nobody else is told.
      if (followed.settledAtMs > this.#clock.now()) return this.#snapshot(room);
      await this.#loadInTime(room, followed);
    }
    if (!reached(followed.replica, atLeast)) await this.#awaitVersion(room, followed, atLeast);
    if (!reached(followed.replica, atLeast)) {
      // Where there is no copy to be trusted, one that is newer than the question is being read already; what was
      // heard meanwhile has to stay for it.
      if (followed.replica.version !== undefined) this.suspect(room);
      await this.#loadInTime(room, followed);
    }
    return followed.replica.view;
  }

  /** A member missed frames while its connection was full: one snapshot says it all. */
  tellAnew(subscription: Subscription): void {
    subscription.missedPresence = false;
    const replica = this.#rooms.get(subscription.room)?.replica;
    // Not to be trusted just now: a snapshot for all is on its way.
    if (replica?.version === undefined) return;
    if (subscription.presence === 'full') replica.seal();
    this.#frames.tellOne(subscription, replica.view);
  }

  /** In the turn in which somebody is answered: the present view. */
  latest(room: string, fallback: PresenceSnapshot): PresenceSnapshot {
    const replica = this.#rooms.get(room)?.replica;
    return replica?.version === undefined ? fallback : replica.view;
  }

  /** The same, and from here on diffs that join on to it. */
  sealed(room: string, fallback: PresenceSnapshot): PresenceSnapshot {
    this.#rooms.get(room)?.replica.seal();
    return this.latest(room, fallback);
  }

  #load(room: string, followed: Followed): Promise<void> {
    followed.loading ??= this.#readUntilLoaded(room, followed);
    return followed.loading;
  }

  /** As `#load`, but whoever asks is refused after the deadline: the store may be away for long. */
  #loadInTime(room: string, followed: Followed): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(this.#settings.redisDeadlineMs, () => {
        reject(new BrokerError('unavailable', `who is in room "${room}" cannot be told just now; ask again`));
      });
      void this.#load(room, followed).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #readUntilLoaded(room: string, followed: Followed): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (this.#rooms.get(room) === followed) {
      // Looked at each time: the store may have been replaced while this tried to read it.
      const settlesInMs = followed.settledAtMs - this.#clock.now();
      if (settlesInMs > 0) {
        await this.#pause(settlesInMs);
        continue;
      }
      const read = await this.#readInLane(room, followed);
      if (read.generation !== followed.generation) continue;
      if (read.snapshot && followed.replica.load(read.snapshot)) {
        followed.loading = undefined;
        // With the changes held meanwhile, which are newer.
        this.#loaded(room, followed.replica.view);
        this.#tellSnapshot(room, followed);
        return;
      }
      await this.#pause(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
  }

  /** A few at a time: after a lost link every room of the node reads, and the publishes behind them would wait for all. */
  #readInLane(room: string, followed: Followed): Promise<Read> {
    this.#readsBegun += 1;
    return this.#lanes.run(String(this.#readsBegun % READS_MAX), async () => {
      const { generation } = followed;
      // Left, or told to wait for the other nodes to settle, while this waited: looked at again from the start.
      if (this.#rooms.get(room) !== followed || followed.settledAtMs > this.#clock.now()) return NOT_READ;
      // What was heard before the snapshot is asked for is part of it. Kept, it would be too much to hold in a room
      // that changes fast: the snapshot would be refused, the next one asked for later, and refused again.
      followed.replica.invalidate();
      return { generation, snapshot: await this.#snapshotUnlessAway(room) };
    });
  }

  async #snapshotUnlessAway(room: string): Promise<PresenceSnapshot | undefined> {
    try {
      return await this.#snapshot(room);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.debug({ room, error: reason }, 'presence: snapshot put off');
      return undefined;
    }
  }

  #snapshot(room: string): Promise<PresenceSnapshot> {
    return this.#store.snapshot(room, this.#settings.limitPresenceMembers || Number.MAX_SAFE_INTEGER);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }

  #awaitVersion(room: string, followed: Followed, version: number): Promise<void> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(room) ?? new Set();
      this.#watchers.set(room, watchers);
      const look = () => {
        if (!reached(followed.replica, version)) return;
        done();
      };
      const done = () => {
        timer.cancel();
        watchers.delete(look);
        if (watchers.size === 0 && this.#watchers.get(room) === watchers) this.#watchers.delete(room);
        resolve();
      };
      const untilMs = this.#clock.now() + this.#settings.redisDeadlineMs;
      let timer = this.#clock.after(OWN_CHANGE_MS, () => this.#clock.afterTurn(timeOut));
      let seen = followed.replica.version;
      // What came while this process was busy is still in the socket; it counts.
      const timeOut = () => {
        // Its change came in the turn in which this was due.
        if (!watchers.has(look)) return;
        const present = followed.replica.version;
        // Late, but nothing is missing: a copy that moves on is good, and another one would be told to everybody.
        const isLate = present !== undefined && present !== seen && this.#clock.now() < untilMs;
        if (!isLate) return done();
        seen = present;
        timer = this.#clock.after(OWN_CHANGE_MS, () => this.#clock.afterTurn(timeOut));
      };
      watchers.add(look);
    });
  }

  #wake(room: string): void {
    for (const look of this.#watchers.get(room) ?? []) look();
  }

  #endWindow(room: string, followed: Followed): void {
    followed.window = undefined;
    this.#tellWindow(room, followed);
    if (followed.replica.canResume) {
      followed.replica.invalidate();
      void this.#load(room, followed);
    }
  }

  #tellWindow(room: string, followed: Followed): void {
    followed.window?.cancel();
    followed.window = undefined;
    this.#frames.tellWindow(room, followed.replica.takeWindow(), followed.replica.isCounting);
  }

  #tellSnapshot(room: string, followed: Followed): void {
    this.#wake(room);
    this.#frames.tellSnapshot(room, followed.replica.view);
  }
}

function reached(replica: PresenceReplica, version: number): boolean {
  return replica.version !== undefined && replica.version >= version;
}

/** A subscription that was told `version` gets no older frame. */
export function presenceTold(session: Session, room: string, version: number): void {
  const subscription = session.subscriptions.get(room);
  if (subscription) subscription.presenceFrom = version;
}
