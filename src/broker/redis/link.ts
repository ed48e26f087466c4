/**
 * A link: one connection to Redis at a time, replaced by a new one when it is
 * lost. Each connection is an ioredis instance of its own that lives once, so
 * nothing of a lost connection (half a subscription, a queued command) can reach
 * the next one, and "which connection was this?" is a comparison of two objects.
 * It knows nothing of what the connection is used for.
 */
import { Redis } from 'ioredis';
import type { Clock, Random, Timer } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import { FirstContact } from './first-contact.ts';
import { connectionOptions, maskedAddress, type RedisTarget } from './redis-target.ts';

export interface LinkOptions {
  /** For logs. */
  readonly name: 'commands' | 'subscriber';
  readonly target: RedisTarget;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Shared by the links to one Redis, so that its absence at the start is said once; its own where there is none. */
  readonly contact?: FirstContact | undefined;
}

export interface LinkListener {
  /** TCP, TLS and the handshake of the protocol are done. Listeners attached now miss nothing. */
  opened(connection: Redis): void;
  /** What was opened is gone, and the next attempt is due. Once per `opened`, before the next one. */
  lost(): void;
}

/** First pause after a loss is in [0, 50) ms: a blip shorter than 250 ms shall not become an outage. */
const RETRY_FIRST_MS = 50;
export const RETRY_CAP_MS = 1_000;
/** From the attempt to the end of the handshake. A frozen Redis accepts connections and never answers. */
export const OPEN_TIMEOUT_MS = 2_000;
/** Error texts come from outside: cut for the log. */
const REASON_CHARS_MAX = 200;

export class Link {
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  readonly #address: string;
  readonly #contact: FirstContact;
  /** Did real work at least once since the start. */
  #hasWorked = false;
  #current: Redis | undefined;
  #opened = false;
  #started = false;
  /** Attempts in a row that proved nothing. */
  #failures = 0;
  /** One warning per outage, however many attempts it takes. */
  #warned = false;
  /** Either of the opening or of the pause before the next one. */
  #timer: Timer | undefined;

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.#address = maskedAddress(options.target);
    this.#contact = options.contact ?? new FirstContact(options);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#attempt();
  }

  /**
   * Destroys the socket now and opens a new connection: for links that are open
   * but wrong. Commands in flight are not waited for; `lost` is called before this returns.
   */
  replace(reason: string): void {
    if (this.#current !== undefined && this.#opened) this.#close(this.#current, reason);
  }

  /** The connection did real work: the outage is over, and the next retries begin quickly again. */
  proven(): void {
    const { logger, name } = this.#options;
    if (this.#warned) logger.info({ link: name, redis: this.#address }, 'Redis link works again');
    this.#failures = 0;
    this.#warned = false;
    this.#hasWorked = true;
  }

  /** Destroys the socket for good, without calling `lost`. */
  stop(): void {
    this.#timer?.cancel();
    this.#opened = false;
    const redis = this.#current;
    this.#current = undefined;
    if (redis !== undefined) destroy(redis);
  }

  #attempt(): void {
    const { clock, logger, name, target } = this.#options;
    const redis = new Redis(connectionOptions(target));
    let cause: string | undefined;
    const close = (): void => this.#close(redis, cause ?? 'closed by the peer');
    this.#current = redis;
    // Kept for as long as the object lives: an `error` without a listener is printed, stack and all.
    redis.on('error', (error) => {
      cause = cut(error.message);
      logger.debug({ link: name, redis: this.#address, reason: cause }, 'Redis connection error');
    });
    redis.on('ready', () => {
      if (redis === this.#current && redis.status === 'ready') this.#open(redis);
    });
    redis.on('close', close);
    redis.on('end', close);
    this.#timer = clock.after(OPEN_TIMEOUT_MS, () =>
      this.#close(redis, `not open after ${OPEN_TIMEOUT_MS} ms`),
    );
    redis.connect().catch((error: unknown) => {
      cause ??= error instanceof Error ? cut(error.message) : undefined;
      close();
    });
  }

  #open(redis: Redis): void {
    const { logger, name } = this.#options;
    this.#timer?.cancel();
    this.#opened = true;
    logger.debug({ link: name, redis: this.#address }, 'Redis connection open');
    this.#listener.opened(redis);
  }

  #close(redis: Redis, reason: string): void {
    if (redis !== this.#current) return;
    const { clock, name, random } = this.#options;
    const wasOpen = this.#opened;
    this.stop();
    if (this.#hasWorked) this.#tellLost(reason);
    else this.#contact.failed(name, reason);
    const capMs = Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#timer = clock.after(random.fraction() * capMs, () => this.#attempt());
    if (wasOpen) this.#listener.lost();
  }

  #tellLost(reason: string): void {
    const { logger, name } = this.#options;
    const fields = { link: name, redis: this.#address, reason };
    if (this.#warned) logger.debug(fields, 'Redis link still not usable');
    else logger.warn(fields, 'Redis link lost');
    this.#warned = true;
  }
}

/**
 * `disconnect` alone half-closes and waits for the peer, which a half-open link
 * never answers; the socket goes at once so that nothing written is still sent.
 */
function destroy(redis: Redis): void {
  // Typed as always there, but absent before the first attempt reached the socket.
  const stream: Redis['stream'] | undefined = redis.stream;
  // On a socket that is gone already, `disconnect` would leave a timer of 2 s that keeps the process alive.
  if (stream?.destroyed !== true) redis.disconnect();
  stream?.destroy();
}

function cut(reason: string): string {
  return reason.slice(0, REASON_CHARS_MAX);
}
