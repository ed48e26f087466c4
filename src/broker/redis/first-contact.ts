/**
 * What an operator reads while Redis has never worked since the start: a wrong
 * address, a password that is not accepted, a server that comes up later. Both
 * links fail then, ten times a second or more; one line says so at once, and again
 * every half a minute, because nothing else in the log will. A link that worked
 * before is another matter, told by link.ts.
 */
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { maskedAddress, type RedisTarget } from './redis-target.ts';

export interface FirstContactOptions {
  readonly target: RedisTarget;
  readonly clock: Clock;
  readonly logger: Logger;
}

export const SAID_EVERY_MS = 30_000;

export class FirstContact {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #address: string;
  readonly #beganMs: number;
  readonly #attempts = new Map<string, number>();
  #saidMs: number | undefined;

  constructor({ target, clock, logger }: FirstContactOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#address = maskedAddress(target);
    this.#beganMs = clock.now();
  }

  /** A link that has not worked since the start failed, and will try again. */
  failed(link: string, reason: string): void {
    const attempts = (this.#attempts.get(link) ?? 0) + 1;
    this.#attempts.set(link, attempts);
    const nowMs = this.#clock.now();
    const isDue = this.#saidMs === undefined || nowMs - this.#saidMs >= SAID_EVERY_MS;
    if (isDue) this.#saidMs = nowMs;
    this.#logger[isDue ? 'warn' : 'debug'](
      { link, redis: this.#address, reason, attempts, forMs: Math.round(nowMs - this.#beganMs) },
      'Redis cannot be reached yet, trying again',
    );
  }
}
