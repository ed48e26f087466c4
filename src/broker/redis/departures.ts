/**
 * Channels that are being left on the present connection: UNSUBSCRIBE, wait for
 * the answer, try again after a refusal. Whoever left a room waits here until
 * Redis really no longer sends it, or the connection is gone, which is as good.
 * After a refusal nobody waits: what still comes is not listened to, and who joins
 * the room again must not wait behind an UNSUBSCRIBE that is never allowed.
 */
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Outcome } from './outcome.ts';

/** SUBSCRIBE or UNSUBSCRIBE on one connection; never rejects, and settles within its deadline. */
export type SendChannels = (
  command: 'subscribe' | 'unsubscribe',
  channels: readonly string[],
) => Promise<Outcome>;

/** Channels of one command: Redis is never busy for long, and a refusal concerns no more than that. */
export const CHUNK_CHANNELS = 512;
const RETRY_MS = 500;

export interface DeparturesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Wanted again meanwhile: an UNSUBSCRIBE now would make the room deaf. */
  readonly isWanted: (channel: string) => boolean;
  /** Redis acknowledged. */
  readonly left: (channel: string) => void;
  /** Something is to be sent: `flush` shall be called. */
  readonly due: () => void;
}

interface Departure {
  readonly channel: string;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

export class Departures {
  readonly #options: DeparturesOptions;
  readonly #leaving = new Map<string, Departure>();
  #unsent = new Set<Departure>();
  #send: SendChannels | undefined;

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  /** Resolves at once where the channel is not being left. */
  of(channel: string): Promise<void> {
    return this.#leaving.get(channel)?.done ?? Promise.resolve();
  }

  leave(channel: string): Promise<void> {
    let resolve: () => void = () => undefined;
    const done = new Promise<void>((settle) => {
      resolve = settle;
    });
    const departure = { channel, done, resolve };
    this.#leaving.set(channel, departure);
    this.#unsent.add(departure);
    this.#options.due();
    return done;
  }

  flush(send: SendChannels): void {
    this.#send = send;
    const departures = [...this.#unsent];
    this.#unsent.clear();
    for (const chunk of chunksOf(departures)) this.#sendChunk(send, chunk);
  }

  /** The connection is gone: everything has been left. */
  closed(): void {
    this.#send = undefined;
    this.#unsent = new Set();
    for (const departure of this.#leaving.values()) departure.resolve();
    this.#leaving.clear();
  }

  #sendChunk(send: SendChannels, chunk: readonly Departure[]): void {
    const channels = chunk.map(({ channel }) => channel);
    void send('unsubscribe', channels).then((outcome) => {
      if (send !== this.#send) return;
      if (outcome.kind !== 'error') {
        for (const departure of chunk) this.#left(departure);
        return;
      }
      this.#options.logger.error(
        { channels: channels.length, reason: outcome.message },
        'UNSUBSCRIBE refused',
      );
      for (const departure of chunk) departure.resolve();
      this.#options.clock.after(RETRY_MS, () => this.#retry(send, chunk));
    });
  }

  #retry(send: SendChannels, chunk: readonly Departure[]): void {
    if (send !== this.#send) return;
    for (const departure of chunk) {
      if (this.#options.isWanted(departure.channel)) this.#end(departure);
      else this.#unsent.add(departure);
    }
    this.#options.due();
  }

  #left(departure: Departure): void {
    this.#options.left(departure.channel);
    this.#end(departure);
  }

  #end(departure: Departure): void {
    if (this.#leaving.get(departure.channel) === departure) this.#leaving.delete(departure.channel);
    departure.resolve();
  }
}

export function* chunksOf<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += CHUNK_CHANNELS) {
    yield items.slice(start, start + CHUNK_CHANNELS);
  }
}
