/**
 * The lease by which this node's presence counts as real. It is held by an
 * incarnation, `<node name>.<random token>`, in every partition from the start
 * on, and renewed by a beat every `heartbeatMs`. A lease that is gone is never
 * taken back: peers may have cleaned up behind it already, so the node goes on
 * under a new incarnation and writes everything it has once more (fencing).
 *
 * It does not know who is in a room, and it removes nobody: what a former
 * incarnation left is released room by room (room-reconciler.ts) and, for good,
 * by the reapers.
 */
import type { Clock, Random } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { BeatLoop, jittered } from './beat-loop.ts';
import type { Commands } from './commands.ts';
import { FormerIncarnations } from './former-incarnations.ts';
import { PARTITIONS } from './keys.ts';
import { type BeatAnswer, inEveryPartition, type PresenceScripts } from './presence-scripts.ts';

export interface LeaseSettings {
  /** How long a beat counts. */
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** After a clean stop: how long peers leave alone what this node still held. */
  readonly presenceHoldMs: number;
}

export interface NodeLeaseOptions {
  readonly commands: Commands;
  readonly scripts: PresenceScripts;
  readonly settings: LeaseSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** As `NODE_NAME`: `[A-Za-z0-9_-]{1,64}`. Need not be unique: the incarnation is. */
  readonly nodeName: string;
}

/**
 * `registered`: writes were refused before the first lease. `fenced`: under a new
 * incarnation. `term`: another life of Redis, whose data may end earlier.
 * `sweep`: nothing is known to be wrong.
 */
export type RebuildCause = 'registered' | 'fenced' | 'term' | 'sweep';

export interface LeaseEvents {
  /** Everything this node has must be written again, under the present incarnation. */
  rebuild(cause: RebuildCause): void;
  /** A beat reached every partition. */
  beaten(): void;
}

/** Beats a write waits for: the one that found the lease gone, and the one that registers. */
const REGISTRATIONS_MAX = 2;
/** Rebuilds while nothing is known to be wrong. */
export const SWEEP_MS = 300_000;

export class NodeLease {
  readonly #commands: Commands;
  readonly #scripts: PresenceScripts;
  readonly #settings: LeaseSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #nodeName: string;
  readonly #loop: BeatLoop;
  readonly #former: FormerIncarnations;
  /** By partition; in a Cluster each shard has its own. */
  readonly #terms = new Map<number, string>();
  #events: LeaseEvents | undefined;
  #stopped = false;
  #incarnation: string;
  /** Registered under `#incarnation` in every partition. */
  #registered = false;
  #refusedWrites = false;
  /** When the last complete beat was sent. */
  #beatenMs = Number.NEGATIVE_INFINITY;
  #failing = false;
  #sweepMs = Number.POSITIVE_INFINITY;
  /** Kept until it can be told: a rebuild that nobody hears of would leave users absent. */
  #due: RebuildCause | undefined;

  constructor(options: NodeLeaseOptions) {
    this.#commands = options.commands;
    this.#scripts = options.scripts;
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#nodeName = options.nodeName;
    this.#loop = new BeatLoop(options);
    this.#former = new FormerIncarnations(options);
    this.#incarnation = this.#newIncarnation();
  }

  /** Once. The first beat leaves as soon as Redis can be used. */
  start(events: LeaseEvents): void {
    this.#events = events;
    this.#loop.start((sentMs) => this.#beat(sentMs));
  }

  /** Leaves what is held to the peers, `presenceHoldMs` from now. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    // A beat still under way would renew what is about to be given up.
    await this.#loop.stop();
    if (this.#registered && this.#commands.usable) await this.#giveUp();
    this.#registered = false;
  }

  /** The one that writes now, or will as soon as it is registered. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** Own incarnations that were fenced within about a lease and may still be listed as holders. */
  get former(): ReadonlySet<string> {
    return this.#former.names;
  }

  /** The last complete beat is younger than half a lease: only then may this node judge others. */
  get fresh(): boolean {
    return this.#registered && this.#clock.now() - this.#beatenMs <= this.#settings.leaseMs / 2;
  }

  /**
   * False for a lease after a fencing. Where leases were deleted, the peers learn it
   * from their next beat; who audited earlier would throw out all their users.
   */
  get settled(): boolean {
    return this.#registered && this.#former.settled;
  }

  /**
   * The incarnation to write under, or undefined while there is no lease. Where the
   * last beat is old (this process stood still), a beat leaves ahead of the write.
   */
  writable(): string | undefined {
    if (this.#stopped || !this.#registered) return undefined;
    if (!this.fresh && this.#loop.beating === undefined) this.#loop.soon();
    return this.#incarnation;
  }

  /** As `writable`, but waits for a registration under way. Undefined: refuse the write, a rebuild follows. */
  async soonWritable(): Promise<string | undefined> {
    for (let waits = 0; waits < REGISTRATIONS_MAX && !this.#registered; waits += 1) {
      await this.#loop.beating;
    }
    this.#refusedWrites ||= !this.#registered;
    return this.writable();
  }

  /** A write under this incarnation was answered `fenced`. Any number of such answers fence once. */
  fenced(incarnation: string): void {
    if (incarnation !== this.#incarnation || !this.#registered || this.#stopped) return;
    this.#fence('a write was refused');
  }

  #newIncarnation(): string {
    return `${this.#nodeName}.${this.#random.token()}`;
  }

  async #beat(sentMs: number): Promise<void> {
    const mine = this.#incarnation;
    const registering = !this.#registered;
    const answers = await inEveryPartition((partition) =>
      this.#scripts.beat(partition, mine, registering, 0),
    );
    if (this.#noteTerms(answers)) this.#due ??= 'term';
    // Fenced by the answer to a write meanwhile: these answers are about somebody else.
    if (mine !== this.#incarnation) return;
    if (answers.some(([, answer]) => !answer.alive)) {
      this.#fence('a beat found the lease gone');
      return;
    }
    const failed = PARTITIONS - answers.length;
    this.#noteFailures(failed);
    if (failed === 0) {
      this.#beatenMs = sentMs;
      if (registering) this.#begin();
      // A lease after a fencing everything is looked at once more: what was too early then is certain now.
      if ((await this.#former.settle()) || this.#clock.now() >= this.#sweepMs) this.#due ??= 'sweep';
    }
    this.#tellRebuild();
    if (failed === 0) this.#events?.beaten();
  }

  /** Whether a partition is answered by another life of Redis than before. */
  #noteTerms(answers: readonly (readonly [number, BeatAnswer])[]): boolean {
    let changed = false;
    for (const [partition, { term }] of answers) {
      const before = this.#terms.get(partition);
      changed ||= before !== undefined && before !== term;
      this.#terms.set(partition, term);
    }
    return changed;
  }

  #noteFailures(failed: number): void {
    const fields = { incarnation: this.#incarnation, partitions: failed };
    if (failed > 0 && !this.#failing) this.#logger.warn(fields, 'presence beats fail');
    if (failed === 0 && this.#failing) this.#logger.info(fields, 'presence beats reach Redis again');
    this.#failing = failed > 0;
  }

  #begin(): void {
    this.#registered = true;
    this.#sweepMs = this.#clock.now() + jittered(SWEEP_MS, this.#random);
    // Nobody knows which writes these were, so the node writes everything.
    if (this.#refusedWrites) this.#due ??= 'registered';
    this.#refusedWrites = false;
    this.#logger.info({ incarnation: this.#incarnation, partitions: PARTITIONS }, 'presence lease taken');
  }

  #tellRebuild(): void {
    if (this.#due === undefined || !this.#registered || this.#stopped) return;
    const cause = this.#due;
    this.#due = undefined;
    this.#sweepMs = this.#clock.now() + jittered(SWEEP_MS, this.#random);
    this.#logger.info({ incarnation: this.#incarnation, cause }, 'presence is written again');
    this.#events?.rebuild(cause);
  }

  /** From here on nothing is written under the old name, whatever is still answered to it. */
  #fence(cause: string): void {
    const old = this.#incarnation;
    this.#incarnation = this.#newIncarnation();
    // While it registers it holds nobody: nothing to release, and the next beat is soon enough.
    if (!this.#registered) return;
    this.#registered = false;
    this.#former.add(old);
    this.#due = 'fenced';
    const fields = { former: old, incarnation: this.#incarnation, cause };
    this.#logger.warn(fields, 'fenced: presence goes on under a new incarnation');
    this.#loop.soon();
  }

  /** A last beat that looks old: it runs out `presenceHoldMs` from now instead of a whole lease. */
  async #giveUp(): Promise<void> {
    const { leaseMs, presenceHoldMs } = this.#settings;
    const mine = this.#incarnation;
    const backDateMs = Math.max(0, leaseMs - presenceHoldMs);
    await this.#former.bury();
    const told = await inEveryPartition((partition) =>
      this.#scripts.beat(partition, mine, false, backDateMs),
    );
    const fields = { incarnation: mine, partitions: told.length };
    if (told.length === PARTITIONS) this.#logger.info(fields, 'presence lease given up');
    else this.#logger.warn(fields, 'presence lease not given up everywhere: the rest runs out');
  }
}
