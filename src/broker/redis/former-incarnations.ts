/**
 * The names under which this node wrote before it was fenced. For about a lease
 * they stay listed as holders of its users, so that nobody leaves while the node
 * writes everything again under its new name; then they are given to the reapers.
 * Without that end, one whose lease was deleted (not ended: neither live nor
 * dead) would keep its keys in Redis for ever.
 */
import type { Clock } from '../../core/clock.ts';
import { PARTITIONS } from './keys.ts';
import { inEveryPartition, type PresenceScripts } from './presence-scripts.ts';

export interface FormerIncarnationsOptions {
  readonly scripts: Pick<PresenceScripts, 'bury'>;
  readonly settings: { readonly leaseMs: number };
  readonly clock: Clock;
}

/** More fencings than this within one lease: the oldest goes to the reapers at once. */
export const FORMER_MAX = 16;

export class FormerIncarnations {
  readonly #options: FormerIncarnationsOptions;
  readonly #names = new Set<string>();
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(options: FormerIncarnationsOptions) {
    this.#options = options;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** A lease has gone by since the last fencing, and all of them are with the reapers. */
  get settled(): boolean {
    return this.#dueMs === Number.POSITIVE_INFINITY;
  }

  /** By a lease from now the node has written everything, and every living peer has beaten again. */
  add(name: string): void {
    this.#names.add(name);
    this.#dueMs = this.#options.clock.now() + this.#options.settings.leaseMs;
    const [oldest] = this.#names;
    if (this.#names.size > FORMER_MAX && oldest !== undefined) {
      this.#names.delete(oldest);
      void this.#bury(oldest);
    }
  }

  /** Gives them to the reapers where it is time. Tells whether it did. */
  async settle(): Promise<boolean> {
    if (this.#options.clock.now() < this.#dueMs) return false;
    this.#dueMs = Number.POSITIVE_INFINITY;
    await this.bury();
    return true;
  }

  /** Whether it is time or not. What fails is tried again a lease later. */
  async bury(): Promise<void> {
    for (const name of this.#names) {
      if (await this.#bury(name)) this.#names.delete(name);
      else this.#dueMs = this.#options.clock.now() + this.#options.settings.leaseMs;
    }
  }

  /** Never rejects. A name that is buried twice, or was reaped already, is forgotten by the next reaper. */
  async #bury(name: string): Promise<boolean> {
    const buried = await inEveryPartition((partition) => this.#options.scripts.bury(partition, name));
    return buried.length === PARTITIONS;
  }
}
