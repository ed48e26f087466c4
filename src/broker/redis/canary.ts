/**
 * The canary: a counter that a script raises and announces every second on the
 * commands link and that must be heard on the subscriber link. It proves what no
 * PING proves: that what is published really arrives. Three faults show: nothing
 * is heard although it was announced (a half-open or misplaced subscriber), a
 * number is missing (so room messages may be missing too), and the two links end
 * at different servers. All nodes share the counter, so each hears everybody's.
 */
import type { Clock, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Commands } from './commands.ts';

export interface CanarySettings {
  readonly canaryMs: number;
  readonly canaryDeadMs: number;
}

export interface CanaryEvents {
  /** Announced, but not heard for `canaryDeadMs`. */
  silent(silentMs: number): void;
  /** A number was skipped on a connection that was not lost. */
  gap(): void;
  /** Called every `canaryMs`: a good moment to compare the two links. */
  tick(): void;
}

export interface CanaryOptions {
  readonly settings: CanarySettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly commands: Pick<Commands, 'usable' | 'run'>;
  /** Key of the counter, and its channel. */
  readonly key: string;
}

/** The counter outlives every outage that clients are told about. */
const COUNTER_TTL_S = 86_400;
/** Silence is judged this many times per `canaryMs`, so that it is found in time. */
const JUDGED_PER_TICK = 4;

export class Canary {
  readonly #options: CanaryOptions;
  readonly #events: CanaryEvents;
  #timers: readonly Timer[] = [];
  /** Of the present subscriber connection; undefined while it does not listen. */
  #heardMs: number | undefined;
  #lastHeard: number | undefined;
  /** Since when an announced number has not been heard. */
  #owedSinceMs: number | undefined;
  #latencyMs: number | undefined;

  constructor(options: CanaryOptions, events: CanaryEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Of the last announcement that was answered, ms. */
  get latencyMs(): number | undefined {
    return this.#latencyMs;
  }

  start(): void {
    const { clock, settings } = this.#options;
    this.#timers = [
      clock.every(settings.canaryMs, () => {
        void this.#announce();
        this.#events.tick();
      }),
      clock.every(settings.canaryMs / JUDGED_PER_TICK, () => this.#judge()),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.deaf();
  }

  /** The subscriber's channel was acknowledged: from now on each number must be heard. */
  listening(): void {
    this.#heardMs = this.#options.clock.now();
    this.#lastHeard = undefined;
    this.#owedSinceMs = undefined;
  }

  /** The subscriber is away: silence means nothing. */
  deaf(): void {
    this.#heardMs = undefined;
    this.#owedSinceMs = undefined;
  }

  heard(counter: number): void {
    if (this.#heardMs === undefined) return;
    this.#heardMs = this.#options.clock.now();
    this.#owedSinceMs = undefined;
    const skipped = this.#lastHeard !== undefined && counter !== this.#lastHeard + 1;
    this.#lastHeard = counter;
    if (skipped) this.#events.gap();
  }

  async #announce(): Promise<void> {
    const { clock, commands, key, logger } = this.#options;
    if (!commands.usable) return;
    const sentMs = clock.now();
    try {
      const reply = await commands.run('canary', [key], [key, 'PUBLISH', String(COUNTER_TTL_S)]);
      this.#latencyMs = clock.now() - sentMs;
      const counter = Array.isArray(reply) ? Number(reply[0]) : Number.NaN;
      if (this.#heardMs === undefined || counter <= (this.#lastHeard ?? -1)) return;
      this.#owedSinceMs ??= clock.now();
    } catch (error) {
      // A Redis that refuses the canary is the commands link's affair; silence of that kind proves nothing.
      logger.debug({ reason: String(error) }, 'the canary was not announced');
    }
  }

  #judge(): void {
    if (this.#heardMs === undefined || this.#owedSinceMs === undefined) return;
    const nowMs = this.#options.clock.now();
    const { canaryMs, canaryDeadMs } = this.#options.settings;
    const silentMs = nowMs - this.#heardMs;
    // The answer may overtake the announcement by a moment: the two come on different sockets.
    if (silentMs < canaryDeadMs || nowMs - this.#owedSinceMs < canaryMs / 2) return;
    this.#events.silent(Math.round(silentMs));
  }
}
