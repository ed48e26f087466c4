/**
 * Presence in Redis: the port's promises put together from their parts. The lease
 * says under which name this node writes and when everything must be written
 * again, the writer writes, the reconciler repairs a room, the reaper cleans up
 * behind the dead. What is left for this file is reading.
 *
 * It remembers nobody: who is here is known to the node, who is anywhere to Redis.
 */
import type { Clock, Random } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { BrokerError } from '../broker.ts';
import type { LeftReason, PresenceEvents, PresenceSnapshot, PresenceStore } from '../presence.ts';
import type { Commands } from './commands.ts';
import type { Keys } from './keys.ts';
import { NodeLease, type LeaseSettings } from './node-lease.ts';
import { PresenceScripts, type PresenceScriptSettings } from './presence-scripts.ts';
import { LeasedWriter, type LeasedWriterSettings } from './leased-writer.ts';
import { Reaper } from './reaper.ts';
import { RoomReconciler } from './room-reconciler.ts';

export interface RedisPresenceOptions {
  readonly commands: Commands;
  readonly keys: Keys;
  readonly settings: LeaseSettings & PresenceScriptSettings & LeasedWriterSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** `[A-Za-z0-9_-]{1,64}`. */
  readonly nodeName: string;
}

/** The first and one more: a connection that is being admitted waits for it. */
const COUNT_TRIES_MAX = 2;

export function createRedisPresence(options: RedisPresenceOptions): PresenceStore {
  return new RedisPresence(options);
}

class RedisPresence implements PresenceStore {
  readonly #scripts: PresenceScripts;
  readonly #lease: NodeLease;
  readonly #writer: LeasedWriter;
  readonly #reconciler: RoomReconciler;
  readonly #reaper: Reaper;
  readonly #logger: Logger;

  constructor(options: RedisPresenceOptions) {
    const scripts = new PresenceScripts(options);
    const lease = new NodeLease({ ...options, scripts });
    const writer = new LeasedWriter({ ...options, scripts, lease });
    this.#scripts = scripts;
    this.#lease = lease;
    this.#writer = writer;
    this.#reconciler = new RoomReconciler({ scripts, writer, lease });
    this.#reaper = new Reaper({ ...options, scripts, lease });
    this.#logger = options.logger;
  }

  start(events: PresenceEvents): void {
    this.#lease.start({
      rebuild: () => void this.#rebuild(events),
      beaten: () => this.#reaper.afterBeat(),
    });
  }

  async #rebuild(events: PresenceEvents): Promise<void> {
    try {
      await this.#reconciler.rebuild(() => events.rebuild());
    } catch (error) {
      // The next sweep does it; until then a user who left may be listed.
      this.#logger.warn({ error: String(error) }, 'presence was not written again to the end');
    }
  }

  async stop(): Promise<void> {
    await this.#reaper.stop();
    await this.#lease.stop();
  }

  hold(room: string, user: string, state: string, stated: boolean): Promise<number> {
    const dropped = this.#reconciler.beforeHold(room, user);
    // In the turn of the call wherever that can be: writes leave in the order they were asked for.
    if (dropped === undefined) return this.#writer.hold(room, user, state, stated);
    return dropped.then(() => this.#writer.hold(room, user, state, stated));
  }

  drop(room: string, user: string, reason: LeftReason): Promise<number> {
    return this.#writer.drop(room, user, reason);
  }

  async snapshot(room: string, limit: number): Promise<PresenceSnapshot> {
    try {
      return await this.#scripts.snapshot(room, limit);
    } catch (error) {
      // Whatever became of a question, it changed nothing.
      throw error instanceof BrokerError ? new BrokerError('unavailable', error.message) : error;
    }
  }

  async countConnections(user: string, count: number): Promise<number> {
    for (let tries = 0; tries < COUNT_TRIES_MAX; tries += 1) {
      const incarnation = this.#lease.writable();
      if (incarnation === undefined) return count;
      try {
        const answer = await this.#scripts.countConnections(incarnation, user, count);
        if (answer.verdict === 'ok') return answer.value;
        if (answer.verdict === 'fenced') this.#lease.fenced(incarnation);
      } catch (error) {
        this.#logger.debug({ error: String(error) }, 'connections were not counted');
      }
    }
    return count;
  }

  reconcile(room: string, users: ReadonlySet<string>): Promise<void> {
    return this.#reconciler.reconcile(room, users);
  }
}
