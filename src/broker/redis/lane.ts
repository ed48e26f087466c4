/**
 * A lane: the publishes of one connection into one room, in the order of the
 * calls. This is the pure part: which publishes go out next, and what an answer
 * means for each of them and for what queues behind. One batch is out at a time,
 * so a resend can never overtake what it resends. It knows no link, no clock and
 * no script; publisher.ts feeds it.
 *
 * A publish is `perhaps` applied from the moment an attempt was lost until an
 * answer settles it. Only what was never perhaps applied may be refused.
 */

/** What the caller of an unanswered publish does: PROTOCOL asks a message to say what would be right. */
const PERHAPS_STORED = 'repeat it with the same key';

/** What an attempt came to. */
export type Answer<Applied> =
  | { readonly kind: 'applied'; readonly value: Applied }
  /** The deadline was over before it ran: neither this attempt nor one before it can be applied any more. */
  | { readonly kind: 'expired' }
  /** Refused before it ran. Says nothing about earlier attempts. */
  | { readonly kind: 'refused'; readonly message: string }
  /** This attempt certainly did nothing and is simply made again: not sent, or the script was missing. */
  | { readonly kind: 'again' }
  /** No answer, or an error from inside the script. */
  | { readonly kind: 'unknown'; readonly message: string };

export type Ending<Applied> =
  | { readonly kind: 'applied'; readonly value: Applied }
  | { readonly kind: 'unavailable' | 'unknown_outcome'; readonly message: string };

/** The end of one publish. Each is settled exactly once. */
export interface Settlement<Publish, Applied> {
  readonly publish: Publish;
  readonly ending: Ending<Applied>;
}

export interface Pending {
  /** When its caller is told the worst, on the clock of whoever calls `giveUp`. */
  readonly giveUpMs: number;
  readonly bytes: number;
}

interface Place<Publish> {
  readonly publish: Publish;
  perhaps: boolean;
  /** Its caller knows the end already; the place is only kept until the batch it is in is answered. */
  settled: boolean;
}

/** Commands of one MULTI: Redis does nothing else meanwhile, 256 scripts are a few milliseconds. */
export const BATCH_MAX = 256;
/** Payload of one MULTI; a single publish may be larger. */
export const BATCH_BYTES_MAX = 1024 * 1024;

export class Lane<Publish extends Pending, Applied> {
  /** The first `#out` places are the batch that is out. */
  #places: Place<Publish>[] = [];
  #out = 0;

  get size(): number {
    return this.#places.length;
  }

  get busy(): boolean {
    return this.#out > 0;
  }

  add(publish: Publish): void {
    this.#places.push({ publish, perhaps: false, settled: false });
  }

  /** The next batch, empty while one is out or nothing waits. What was out before comes first, in the same order. */
  take(): readonly Publish[] {
    if (this.#out > 0) return [];
    let bytes = 0;
    for (const { publish } of this.#places) {
      bytes += publish.bytes;
      if (this.#out > 0 && (this.#out >= BATCH_MAX || bytes > BATCH_BYTES_MAX)) break;
      this.#out += 1;
    }
    return this.#places.slice(0, this.#out).map(({ publish }) => publish);
  }

  /** The answers to the batch that is out, one for each of its publishes. What stays is sent again by the next `take`. */
  answered(answers: readonly Answer<Applied>[]): Settlement<Publish, Applied>[] {
    const [place] = this.#places;
    const [answer] = answers;
    // Nearly always one was out, was applied, and nothing waits behind it.
    if (this.#places.length === 1 && place?.settled === false && answer?.kind === 'applied') {
      this.#places.length = 0;
      this.#out = 0;
      return [{ publish: place.publish, ending: answer }];
    }
    const batch = this.#places.slice(0, this.#out);
    const behind = this.#places.slice(this.#out);
    this.#out = 0;
    const settlements: Settlement<Publish, Applied>[] = [];
    let refusal: string | undefined;
    const stays = (place: Place<Publish>, answer: Answer<Applied> | undefined): boolean => {
      if (place.settled) return false;
      if (answer?.kind === 'applied') {
        settlements.push({ publish: place.publish, ending: answer });
        return false;
      }
      if (answer?.kind === 'expired') place.perhaps = false;
      if (answer?.kind === 'unknown') place.perhaps = true;
      if (answer?.kind === 'refused' && !place.perhaps) refusal ??= answer.message;
      // Behind a refused publish nothing goes on by itself: the caller expected it to follow.
      if (refusal === undefined || place.perhaps) return true;
      settlements.push({ publish: place.publish, ending: { kind: 'unavailable', message: refusal } });
      return false;
    };
    this.#places = [
      ...batch.filter((place, index) => stays(place, answers[index])),
      ...behind.filter((place) => stays(place, undefined)),
    ];
    return settlements;
  }

  /** Redis is away: what was certainly not applied is refused now instead of waiting for its time. */
  refuseWaiting(message: string): Settlement<Publish, Applied>[] {
    return this.#settle((place, isOut) => !isOut && !place.perhaps, message);
  }

  /** Ends what has waited for long enough: `unknown_outcome` where it is out or perhaps applied, else `unavailable`. */
  giveUp(nowMs: number): Settlement<Publish, Applied>[] {
    return this.#settle((place) => place.publish.giveUpMs <= nowMs, 'no answer from Redis in time');
  }

  #settle(
    ends: (place: Place<Publish>, isOut: boolean) => boolean,
    message: string,
  ): Settlement<Publish, Applied>[] {
    const settlements: Settlement<Publish, Applied>[] = [];
    this.#places = this.#places.filter((place, index) => {
      const isOut = index < this.#out;
      if (place.settled || !ends(place, isOut)) return true;
      const kind = isOut || place.perhaps ? 'unknown_outcome' : 'unavailable';
      const told = kind === 'unknown_outcome' ? `${message}; ${PERHAPS_STORED}` : message;
      settlements.push({ publish: place.publish, ending: { kind, message: told } });
      // Kept while its batch is out: its answer is still due, and must meet its own place.
      place.settled = true;
      return isOut;
    });
    return settlements;
  }
}
