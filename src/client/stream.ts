/**
 * Where a subscription stands, and what that says about a message or a receipt. Pure: no I/O, no time.
 *
 * A seq alone means nothing once Redis lost data, so everything is judged by epoch first. What this keeps
 * beside the position is bounded: where the epoch before ended, and the last keys it saw.
 */
import type { Position } from '../protocol/position.ts';

export interface Arrived {
  readonly seq: number;
  readonly ts: number;
  readonly from?: { readonly user: string };
  readonly key?: string;
}

/** `old`: had it already, perhaps as the first copy of a publish that Redis lost and the publisher repeated. `gap`: one before it is missing. */
export type Verdict = 'new' | 'old' | 'gap';

const KEYS_MAX = 256;
/** As long as servers remember a key: a later one that is equal is a new message. */
const REPEAT_MS = 120_000;

export class Stream {
  position: Position | undefined;
  /** The last position under the epoch before. */
  #before: Position | undefined;
  readonly #keys = new Map<string, { readonly epoch: string; readonly ts: number }>();

  /** A single message of the present epoch. Moves the position where it is the next one. */
  take(message: Arrived): Verdict {
    const { position } = this;
    if (!position || message.seq <= position.seq) return 'old';
    if (message.seq > position.seq + 1) return 'gap';
    this.position = { epoch: position.epoch, seq: message.seq };
    return this.#repeats(message, position.epoch) ? 'old' : 'new';
  }

  /**
   * The messages of a `joined` that went on from the position (`resumed`), or began anew; only those not
   * seen before are left. The position is then that of the frame, above the last message where it is.
   */
  join<M extends Arrived>(at: Position, messages: readonly M[], resumed: boolean | undefined): M[] {
    const from = (resumed && this.position?.seq) || -1;
    this.move(at.epoch, at.seq);
    return messages.filter((message) => message.seq > from && !this.#repeats(message, at.epoch));
  }

  /** `joined`, `reset` and `epoch`: the stream goes on from here; `epoch` renames it and leaves us where we are. */
  move(epoch: string, seq = this.position?.seq ?? 0): void {
    if (this.position?.epoch !== epoch) this.#before = this.position;
    this.position = { epoch, seq };
  }

  /**
   * `seen`: its message was delivered here. `void`: its epoch ended before it. `open`: it may still come.
   * A strange epoch is that of a stream that begins where this one has not arrived yet; `joined` says that
   * this one has arrived everywhere, and then it is one that ended between two connections.
   */
  judge(receipt: Position, joined?: boolean): 'seen' | 'void' | 'open' {
    const { epoch, seq } = receipt;
    if (epoch === this.position?.epoch) return seq <= this.position.seq ? 'seen' : 'open';
    if (epoch !== this.#before?.epoch) return joined ? 'void' : 'open';
    return seq <= this.#before.seq ? 'seen' : 'void';
  }

  /** Only across epochs: within one the server itself keeps a key from being stored twice. */
  #repeats({ key, from, ts }: Arrived, epoch: string): boolean {
    if (!key) return false;
    const name = `${from?.user ?? ''} ${key}`;
    const before = this.#keys.get(name);
    if (before && before.epoch !== epoch && Math.abs(ts - before.ts) < REPEAT_MS) return true;
    this.#keys.delete(name);
    this.#keys.set(name, { epoch, ts });
    if (this.#keys.size > KEYS_MAX) this.#keys.delete([...this.#keys.keys()][0] as string);
    return false;
  }
}
