/**
 * Writes "this node has the user" and "this node no longer has the user", and
 * gives each answer the meaning the port promises: `unavailable` is certainly not
 * applied, and `unknown_outcome` can no longer be applied by the time it is told.
 * The second is bought by waiting for the write's deadline, which the scripts
 * check: without it a write still in a dead socket could land after the one
 * that replaced it, and a user who is there would be gone.
 */
import type { Clock } from '../../core/clock.ts';
import { BrokerError } from '../broker.ts';
import type { LeftReason } from '../presence.ts';
import type { NodeLease } from './node-lease.ts';
import type { PresenceScripts, WriteAnswer } from './presence-scripts.ts';

export interface LeasedWriterSettings {
  /** What `Commands.deadline` adds to the time of Redis. */
  readonly redisDeadlineMs: number;
}

export interface LeasedWriterOptions {
  readonly scripts: PresenceScripts;
  readonly lease: Pick<NodeLease, 'writable' | 'soonWritable' | 'fenced' | 'incarnation'>;
  readonly settings: LeasedWriterSettings;
  readonly clock: Clock;
}

/** Deadlines are whole milliseconds, rounded down, and a script applies a write at its very deadline. */
const DEADLINE_MARGIN_MS = 2;

export class LeasedWriter {
  readonly #scripts: PresenceScripts;
  readonly #lease: LeasedWriterOptions['lease'];
  readonly #settings: LeasedWriterSettings;
  readonly #clock: Clock;

  constructor(options: LeasedWriterOptions) {
    this.#scripts = options.scripts;
    this.#lease = options.lease;
    this.#settings = options.settings;
    this.#clock = options.clock;
  }

  hold(room: string, user: string, state: string, stated: boolean): Promise<number> {
    return this.#applied((incarnation) => this.#scripts.hold(incarnation, room, user, state, stated));
  }

  drop(room: string, user: string, reason: LeftReason): Promise<number> {
    return this.#applied((incarnation) => this.#scripts.drop(incarnation, room, user, reason));
  }

  /** For a former incarnation: `fenced` is an answer like another. */
  dropAs(incarnation: string, room: string, user: string, reason: LeftReason): Promise<WriteAnswer> {
    return this.#outlasted(() => this.#scripts.drop(incarnation, room, user, reason));
  }

  async #applied(send: (incarnation: string) => Promise<WriteAnswer>): Promise<number> {
    const incarnation = this.#lease.writable() ?? (await this.#lease.soonWritable());
    if (incarnation === undefined) throw notApplied('this node has no presence lease at present');
    const answer = await this.#outlasted(() => send(incarnation));
    if (answer.verdict === 'expired') throw notApplied('the write came too late to Redis');
    if (answer.verdict === 'fenced') {
      this.#lease.fenced(incarnation);
      throw notApplied('this node was fenced, it writes again');
    }
    // For a holder that is about to be released it counts for nothing; the state that went with it stays.
    if (incarnation !== this.#lease.incarnation) {
      throw new BrokerError('unknown_outcome', 'this node was fenced meanwhile');
    }
    return answer.value;
  }

  async #outlasted<T>(send: () => Promise<T>): Promise<T> {
    const sending = send();
    // After the call: its deadline was made inside it.
    const landsUntilMs = this.#clock.now() + this.#settings.redisDeadlineMs + DEADLINE_MARGIN_MS;
    try {
      return await sending;
    } catch (error) {
      const leftMs = landsUntilMs - this.#clock.now();
      if (error instanceof BrokerError && error.code === 'unknown_outcome' && leftMs > 0) {
        await new Promise<void>((resolve) => void this.#clock.after(leftMs, resolve));
      }
      throw error;
    }
  }
}

function notApplied(message: string): BrokerError {
  return new BrokerError('unavailable', message);
}
