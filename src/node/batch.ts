/**
 * What one room has to tell its members at one time: some frames in their order,
 * and for each member those of them that are meant for it, as one buffer. Members
 * who get the same share one Buffer object, whatever their number.
 *
 * Items are numbered over all rooms of the node, so that a member needs one number
 * to say from where on it takes part, also where its room was forgotten meanwhile.
 */
import type { Subscription } from '../core/session.ts';
import type { Position } from '../protocol/position.ts';

/** Whether a member gets a frame; without one, every member does. */
export type Audience = (subscription: Subscription) => boolean;

/** An item of the fan-out. Objects of one shape, made for each message. */
export interface Item {
  readonly number: number;
  readonly frame: Buffer;
  readonly audience: Audience | undefined;
  /** For what must not be missed: where members are before they get it. Other frames are shed for slow consumers. */
  readonly before: Position | undefined;
  /** A presence frame: who missed it is told a snapshot later. */
  readonly presence: boolean;
}

/** The places are kept for the next round, up to so many: an array that fills and empties feeds the collector. */
const PLACES_KEPT = 64;

export class Batch {
  #items: (Item | undefined)[] = [];
  #count = 0;
  #bytes = 0;
  /** Whether not everybody gets everything. */
  #isSelective = false;
  #whole: Buffer | undefined;
  /** By the places of the items chosen. */
  #selections: Map<string, Buffer> | undefined;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The number behind the last item. */
  get end(): number {
    return (this.#items[this.#count - 1]?.number ?? -1) + 1;
  }

  add(item: Item): void {
    this.#items[this.#count] = item;
    this.#count += 1;
    this.#bytes += item.frame.length;
    if (item.audience) this.#isSelective = true;
    this.#whole = undefined;
  }

  /** Whether the member gets all of it, without a look at each item. */
  isWholeFor(member: Subscription): boolean {
    return !this.#isSelective && member.nextItem <= (this.#items[0]?.number ?? 0);
  }

  /** All of it as one buffer. */
  get whole(): Buffer {
    this.#whole ??= joined(this.#items as Item[], this.#count);
    return this.#whole;
  }

  /** The items meant for this member, in their order. */
  chosenFor(member: Subscription): Item[] {
    const chosen: Item[] = [];
    for (let place = 0; place < this.#count; place += 1) {
      const item = this.#items[place];
      if (item && isMeant(item, member)) chosen.push(item);
    }
    return chosen;
  }

  /** Those items as one buffer. */
  joined(chosen: readonly Item[]): Buffer {
    if (chosen.length === this.#count) return this.whole;
    const [only] = chosen;
    if (only && chosen.length === 1) return only.frame;
    let key = '';
    for (const { number } of chosen) key += `${number},`;
    this.#selections ??= new Map();
    let frames = this.#selections.get(key);
    if (!frames) {
      frames = joined(chosen, chosen.length);
      this.#selections.set(key, frames);
    }
    return frames;
  }

  clear(): void {
    if (this.#items.length > PLACES_KEPT) this.#items = [];
    else for (let place = 0; place < this.#count; place += 1) this.#items[place] = undefined;
    this.#count = 0;
    this.#bytes = 0;
    this.#isSelective = false;
    this.#whole = undefined;
    this.#selections = undefined;
  }
}

function isMeant(item: Item, member: Subscription): boolean {
  if (item.number < member.nextItem) return false;
  // A diff behind one that was shed would join on to nothing the member holds.
  if (item.presence && member.missedPresence) return false;
  return !item.audience || item.audience(member);
}

function joined(items: readonly Item[], count: number): Buffer {
  const [only] = items;
  if (count === 1 && only) return only.frame;
  return Buffer.concat(items.slice(0, count).map((item) => item.frame));
}
