/**
 * When a node beats: every `heartbeatMs`, a little earlier or later so that nodes
 * do not keep time together; at once when Redis becomes usable or somebody asks;
 * never two at a time, and not at all while Redis is away, so that nothing piles
 * up behind a slow one. What a beat is, it does not know.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Commands } from './commands.ts';

export interface BeatLoopSettings {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

export interface BeatLoopOptions {
  readonly commands: Pick<Commands, 'usable' | 'onUsable'>;
  readonly settings: BeatLoopSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** `sentMs`: when it began, on the monotonic clock. */
export type Beat = (sentMs: number) => Promise<void>;

/** The part of a period by which it may be shorter or longer. */
const JITTER = 0.1;

/** A period that differs from node to node and from time to time. */
export function jittered(ms: number, random: Random): number {
  return ms * (1 - JITTER + 2 * JITTER * random.fraction());
}

export class BeatLoop {
  readonly #options: BeatLoopOptions;
  #beat: Beat = async () => {};
  #beating: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #timer: Timer | undefined;

  constructor(options: BeatLoopOptions) {
    this.#options = options;
  }

  /** Once. */
  start(beat: Beat): void {
    this.#beat = beat;
    this.#options.commands.onUsable((usable) => (usable ? this.soon() : this.#timer?.cancel()));
    this.soon();
  }

  /** Resolves when the last beat is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#beating;
  }

  /** The beat under way; resolves when it is over. Never rejects. */
  get beating(): Promise<void> | undefined {
    return this.#beating;
  }

  /** Beats now, in this turn; where a beat is under way, right after it. */
  soon(): void {
    if (this.#beating !== undefined) {
      this.#again = true;
      return;
    }
    const { clock, commands, logger, random, settings } = this.#options;
    if (this.#stopped || !commands.usable) return;
    this.#timer?.cancel();
    this.#again = false;
    const sentMs = clock.now();
    this.#beating = this.#beat(sentMs)
      .catch((error: unknown) => logger.error({ error: String(error) }, 'a presence beat broke'))
      .then(() => {
        this.#beating = undefined;
        if (this.#again) this.soon();
        else this.#schedule(sentMs + jittered(settings.heartbeatMs, random));
      });
  }

  #schedule(dueMs: number): void {
    if (this.#stopped) return;
    const { clock, logger, settings } = this.#options;
    this.#timer = clock.after(Math.max(0, dueMs - clock.now()), () => {
      const lateMs = Math.round(clock.now() - dueMs);
      if (lateMs > settings.leaseMs / 2) {
        logger.warn({ lateMs }, 'this process stood still: presence beats before it does anything else');
      }
      this.soon();
    });
  }
}
