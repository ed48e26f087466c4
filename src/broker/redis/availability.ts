/**
 * When the two links together count as up or down. A blip (a link lost and found
 * within a quarter of a second) is neither told nor answered with refusals; a
 * subscriber that is away longer is survivable for a few seconds, because reads
 * and publishes still work and what was missed is repaired. Each change is one log line.
 */
import type { Clock, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { BrokerStatus } from '../broker.ts';

export interface AvailabilityOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** For the log: host and port, no credentials. */
  readonly address: string;
  readonly changed: (status: BrokerStatus) => void;
}

export type Side = 'commands' | 'subscriber';

/** Without a usable commands link for this long, nothing can be promised any more. */
export const COMMANDS_PATIENCE_MS = 250;
/** Without every room subscribed again for this long. */
export const SUBSCRIBER_PATIENCE_MS = 3_000;

const PATIENCE_MS = { commands: COMMANDS_PATIENCE_MS, subscriber: SUBSCRIBER_PATIENCE_MS } as const;

export class Availability {
  readonly #options: AvailabilityOptions;
  readonly #working: Record<Side, boolean> = { commands: false, subscriber: false };
  readonly #patience: Record<Side, Timer | undefined> = { commands: undefined, subscriber: undefined };
  /** Down until both links were there once; nobody is told of that beginning. */
  #status: BrokerStatus = 'down';
  #downSinceMs: number;

  constructor(options: AvailabilityOptions) {
    this.#options = options;
    this.#downSinceMs = options.clock.now();
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  set(side: Side, works: boolean): void {
    if (this.#working[side] === works) return;
    this.#working[side] = works;
    this.#patience[side]?.cancel();
    if (!works) {
      this.#patience[side] = this.#options.clock.after(PATIENCE_MS[side], () => this.#become('down', side));
    } else if (this.#working.commands && this.#working.subscriber) this.#become('up', side);
  }

  /** No more changes are told. */
  stop(): void {
    for (const timer of Object.values(this.#patience)) timer?.cancel();
    this.#status = 'down';
  }

  #become(status: BrokerStatus, side: Side): void {
    if (this.#status === status) return;
    const { clock, logger, address, changed } = this.#options;
    this.#status = status;
    if (status === 'up') {
      logger.info({ redis: address, afterMs: Math.round(clock.now() - this.#downSinceMs) }, 'Redis is up');
    } else {
      this.#downSinceMs = clock.now();
      logger.warn({ redis: address, link: side }, 'Redis is down: publishes, reads and joins are refused');
    }
    changed(status);
  }
}
