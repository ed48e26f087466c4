/**
 * Tells the presence store again how many connections each user has on this node,
 * after it may have forgotten, and every few minutes in any case. A node may have
 * tens of thousands of users, so a few are told at a time: all in one turn would
 * stand in front of every publish on the link.
 */
import type { PresenceStore } from '../broker/presence.ts';
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';

const COUNTS_MAX = 32;

export class Recount {
  readonly #hub: Hub;
  readonly #store: Pick<PresenceStore, 'countConnections'>;
  readonly #logger: Logger;
  /** A newer run tells everybody anew, so the one before it need not go on. */
  #runs = 0;

  constructor(hub: Hub, store: Pick<PresenceStore, 'countConnections'>, logger: Logger) {
    this.#hub = hub;
    this.#store = store;
    this.#logger = logger;
  }

  async run(): Promise<void> {
    this.#runs += 1;
    const own = this.#runs;
    const users = new Set<string>();
    for (const { named, user } of this.#hub.sessions()) if (named) users.add(user);
    const left = users.values();
    const one = async () => {
      for (const user of left) {
        if (own !== this.#runs) return;
        await this.#tell(user);
      }
    };
    await Promise.all(Array.from({ length: COUNTS_MAX }, one));
  }

  async #tell(user: string): Promise<void> {
    // Who left meanwhile was counted when they left.
    const count = this.#hub.connectionsOf(user);
    if (count === 0) return;
    try {
      await this.#store.countConnections(user, count);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.debug({ error: reason }, 'connections not counted again');
    }
  }
}
