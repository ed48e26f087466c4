/**
 * Cleans up behind nodes that died. After each of its own beats a node ends the
 * leases that ran out and takes the users of the dead out of their rooms, page by
 * page. There is no leader: every node does it, each page is one atomic step that
 * takes its users from the dead incarnation, and the incarnation stays in `dead`
 * until nothing is left of it. So two at once announce each user once, and what
 * one that dies half-way left is found by the next beat of any other.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { NodeLease } from './node-lease.ts';
import { inEveryPartition, type PresenceScripts, scanned } from './presence-scripts.ts';

export interface ReaperSettings {
  readonly heartbeatMs: number;
}

export interface ReaperOptions {
  readonly scripts: PresenceScripts;
  readonly lease: Pick<NodeLease, 'fresh' | 'incarnation' | 'former'>;
  readonly settings: ReaperSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** One dead incarnation in one partition. */
interface Job {
  readonly partition: number;
  readonly incarnation: string;
}

interface Tally {
  rooms: number;
  users: number;
  /** Partitions in which this node was the one that finished. */
  ended: number;
}

/** Jobs under way at a time: a dead node has one per partition, and Redis serves others too. */
export const JOBS_AT_ONCE_MAX = 8;
/** Looks at a dead incarnation's rooms before it is left to the next beat: one that works, one that finds nothing. */
const LOOKS_MAX = 4;
/** A run begins within this part of a beat after it, so that nodes do not all judge at once. */
const JITTER = 0.25;

export class Reaper {
  readonly #scripts: PresenceScripts;
  readonly #lease: ReaperOptions['lease'];
  readonly #settings: ReaperSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: ReaperOptions) {
    this.#scripts = options.scripts;
    this.#lease = options.lease;
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger;
  }

  /** A run is due. While one is under way or planned, another would only look at the same. */
  afterBeat(): void {
    if (this.#stopped || this.#timer !== undefined || this.#running !== undefined) return;
    const waitMs = this.#random.fraction() * JITTER * this.#settings.heartbeatMs;
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#running = this.#run()
        .catch((error: unknown) => {
          // What is left stays in `dead`; the next run, of whichever node, takes it up.
          this.#logger.debug({ error: String(error) }, 'reaping was interrupted');
        })
        .then(() => {
          this.#running = undefined;
        });
    });
  }

  /** Lets the page under way finish and begins no other. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** Asked before every step: a process that stood still must not go on judging before it has beaten. */
  #mayGoOn(): boolean {
    return !this.#stopped && this.#lease.fresh;
  }

  async #run(): Promise<void> {
    if (!this.#mayGoOn()) return;
    const caller = this.#lease.incarnation;
    const answers = await inEveryPartition((partition) => this.#scripts.expire(partition, caller));
    const jobs = answers.flatMap(([partition, dead]) =>
      // Own former ones are released room by room while their users are written again.
      dead.filter((one) => !this.#lease.former.has(one)).map((incarnation) => ({ partition, incarnation })),
    );
    if (jobs.length > 0) await this.#reapAll(this.#shuffled(jobs));
  }

  /** In another order on each node: several that begin together share the work instead of racing for each page. */
  #shuffled(jobs: readonly Job[]): Job[] {
    return jobs
      .map((job) => ({ job, order: this.#random.fraction() }))
      .sort((a, b) => a.order - b.order)
      .map(({ job }) => job);
  }

  async #reapAll(jobs: readonly Job[]): Promise<void> {
    const tallies = new Map<string, Tally>();
    for (const { incarnation } of jobs) tallies.set(incarnation, { rooms: 0, users: 0, ended: 0 });
    let next = 0;
    const work = async (): Promise<void> => {
      for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) {
        const tally = tallies.get(job.incarnation);
        if (tally !== undefined && this.#mayGoOn()) await this.#reap(job, tally);
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: JOBS_AT_ONCE_MAX }, work));
    for (const [incarnation, { rooms, users, ended }] of tallies) {
      if (rooms > 0 || ended > 0) this.#logger.info({ incarnation, rooms, users }, 'reaped a dead node');
    }
    const broken = workers.find((worker) => worker.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
  }

  async #reap(job: Job, tally: Tally): Promise<void> {
    const { partition, incarnation } = job;
    for (let look = 0; look < LOOKS_MAX && this.#mayGoOn(); look += 1) {
      let found = false;
      const page = (cursor: string) => this.#scripts.heldRooms(partition, incarnation, cursor);
      for await (const rooms of scanned(page, () => this.#mayGoOn())) {
        found = true;
        for (const room of rooms) {
          if (!(await this.#reapRoom(incarnation, room, tally))) return;
        }
      }
      if (found || !this.#mayGoOn()) continue;
      if (await this.#scripts.forget(partition, incarnation)) tally.ended += 1;
      return;
    }
  }

  /** False where it must be left: refused (its lease runs after all), or not ours to go on. */
  async #reapRoom(incarnation: string, room: string, tally: Tally): Promise<boolean> {
    let taken = 0;
    while (this.#mayGoOn()) {
      const { verdict, users } = await this.#scripts.reap(incarnation, room);
      taken += users;
      tally.users += users;
      if (verdict === 'alive') return false;
      if (verdict === 'more') continue;
      // Each of several reapers hears "done"; only those that took somebody had the room to clean.
      if (taken > 0) tally.rooms += 1;
      return true;
    }
    return false;
  }
}
