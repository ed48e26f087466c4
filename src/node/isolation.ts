/**
 * What an operator may prefer when Redis stays away from this node: connections
 * are sent to look for another one. Off by default, because a node cannot tell
 * its own isolation from a Redis that is down for all, and then everybody would
 * run around for nothing. They go at moments of their own, in random order over
 * the spread of a drain, and whoever is still here when Redis is back stays.
 * Who comes meanwhile gets as long again.
 */
import type { BrokerStatus } from '../broker/broker.ts';
import type { Clock, Random, Timer } from '../core/clock.ts';
import type { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import type { Session } from '../core/session.ts';
import { CLOSE } from '../protocol/codes.ts';
import { type DrainSettings, slots } from './drain.ts';
import { closeWith } from './replies.ts';

export interface IsolationSettings extends DrainSettings {
  /** 0 = never. */
  readonly isolateCloseMs: number;
}

const REASON = 'this node has no Redis; come back at once, perhaps to another one';

export class Isolation {
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #settings: IsolationSettings;
  #patience: Timer | undefined;
  /** One for each connection that still waits for its moment. */
  readonly #closes = new Set<Timer>();

  constructor(hub: Hub, clock: Clock, random: Random, logger: Logger, settings: IsolationSettings) {
    this.#hub = hub;
    this.#clock = clock;
    this.#random = random;
    this.#logger = logger;
    this.#settings = settings;
  }

  change(status: BrokerStatus): void {
    if (status === 'up') this.stop();
    else if (this.#settings.isolateCloseMs > 0)
      this.#patience ??= this.#clock.every(this.#settings.isolateCloseMs, () => this.#closeAll());
  }

  stop(): void {
    this.#patience?.cancel();
    this.#patience = undefined;
    for (const timer of this.#closes) timer.cancel();
    this.#closes.clear();
  }

  #closeAll(): void {
    const all = slots(this.#hub, this.#random, this.#settings);
    if (all.length === 0) return;
    this.#logger.warn({ connections: all.length }, 'Redis stays away: closing connections');
    for (const { session, afterMs } of all) this.#closeAt(session, afterMs);
  }

  #closeAt(session: Session, afterMs: number): void {
    const timer = this.#clock.after(afterMs, () => {
      this.#closes.delete(timer);
      closeWith(session.connection, CLOSE.drain, REASON, 'now');
    });
    this.#closes.add(timer);
  }
}
