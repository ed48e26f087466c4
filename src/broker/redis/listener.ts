/**
 * Turns what arrives on the subscriber link into the node's events. What this
 * release cannot read (an envelope of a newer one) is counted and told as a gap,
 * so that the room is read instead; it is never dropped in silence.
 */
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { BrokerEvents, BrokerStatus, Signal } from '../broker.ts';
import { decodeEnvelope } from './envelope.ts';

export interface ListenerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly canary: (counter: number) => void;
}

/** A fleet that is half upgraded meets unknown envelopes thousands of times a second. */
const LOG_EVERY_MS = 60_000;

export class Listener {
  readonly #options: ListenerOptions;
  #events: BrokerEvents | undefined;
  #unknown = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Who is told from now on; `undefined`: nobody any more. */
  tell(events: BrokerEvents | undefined): void {
    this.#events = events;
  }

  heard(room: string, payload: Buffer): void {
    const envelope = decodeEnvelope(payload);
    switch (envelope?.kind) {
      case 'message': {
        const { epoch, seq, ts, body } = envelope;
        this.#events?.message(room, epoch, { seq, ts, body });
        break;
      }
      case 'presence':
        this.#events?.presence(room, envelope.change);
        break;
      case 'signal':
        this.#events?.signal(room, envelope.signal);
        break;
      case 'canary':
      case undefined:
        this.unreadable(room, 1);
        this.#events?.gap(room);
    }
  }

  canaryHeard(payload: Buffer): void {
    const envelope = decodeEnvelope(payload);
    if (envelope?.kind === 'canary') this.#options.canary(envelope.counter);
  }

  /** Counts what could not be read, and says so at most once a minute. */
  unreadable(room: string, count: number): void {
    this.#unknown += count;
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) return;
    this.#loggedMs = nowMs;
    this.#options.logger.warn(
      { room, sinceStart: this.#unknown },
      'envelopes of an unknown format: does a newer release run beside this one?',
    );
  }

  signal(room: string, signal: Signal): void {
    this.#events?.signal(room, signal);
  }

  subscribed(room: string, sameStore: boolean): void {
    this.#events?.subscribed(room, sameStore);
  }

  linkLost(): void {
    this.#events?.linkLost();
  }

  status(status: BrokerStatus): void {
    this.#events?.status(status);
  }
}
