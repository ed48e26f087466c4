/**
 * Things in the order of their age, the oldest at hand: what the embedded
 * broker forgets first. A linked list, because a Map with its insertion order
 * is a trap here: taking from the front of a Map again and again walks over the
 * places of all that was taken before (measured: 15,000 keys a second at
 * 100,000 entries). Every step here costs the same however many there are.
 */

/** Where an item stands; kept by its owner, to renew or remove it. */
export interface Place<Item> {
  readonly item: Item;
  older: Place<Item> | null;
  younger: Place<Item> | null;
}

export class AgeOrder<Item> {
  #oldest: Place<Item> | null = null;
  #youngest: Place<Item> | null = null;

  get oldest(): Item | undefined {
    return this.#oldest?.item;
  }

  /** Puts the item in as the youngest. */
  add(item: Item): Place<Item> {
    const place: Place<Item> = { item, older: null, younger: null };
    this.#append(place);
    return place;
  }

  /** Makes it the youngest. The place must be in this order. */
  renew(place: Place<Item>): void {
    if (place === this.#youngest) return;
    this.remove(place);
    this.#append(place);
  }

  /** The place must be in this order, and is in none after it. */
  remove(place: Place<Item>): void {
    if (place.older) place.older.younger = place.younger;
    else this.#oldest = place.younger;
    if (place.younger) place.younger.older = place.older;
    else this.#youngest = place.older;
    place.older = null;
    place.younger = null;
  }

  #append(place: Place<Item>): void {
    place.older = this.#youngest;
    if (this.#youngest) this.#youngest.younger = place;
    else this.#oldest = place;
    this.#youngest = place;
  }
}
