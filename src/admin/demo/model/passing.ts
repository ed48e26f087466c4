/**
 * Things about people that pass by themselves: who types, where a cursor is. Signals may be shed and their
 * senders may vanish, so each entry ends on its own, and only so many are held at once.
 */
export class Passing<Value> {
  readonly #entries = new Map<string, { readonly value: Value; readonly untilMs: number }>();
  readonly #lastMs: number;
  readonly #peopleMax: number;

  constructor({ lastMs, peopleMax }: { readonly lastMs: number; readonly peopleMax: number }) {
    this.#lastMs = lastMs;
    this.#peopleMax = peopleMax;
  }

  get entries(): ReadonlyMap<string, { readonly value: Value }> {
    return this.#entries;
  }

  /** False where nobody may be added any more; those that are known go on. */
  set(user: string, value: Value, nowMs: number): boolean {
    if (!this.#entries.has(user) && this.#entries.size >= this.#peopleMax) return false;
    this.#entries.set(user, { value, untilMs: nowMs + this.#lastMs });
    return true;
  }

  /** Whether there was something to forget. */
  forget(user: string): boolean {
    return this.#entries.delete(user);
  }

  /** Ends what is over; whether something was. */
  prune(nowMs: number): boolean {
    let ended = false;
    for (const [user, { untilMs }] of this.#entries) {
      if (untilMs <= nowMs) ended = this.#entries.delete(user) || ended;
    }
    return ended;
  }

  clear(): void {
    this.#entries.clear();
  }
}
