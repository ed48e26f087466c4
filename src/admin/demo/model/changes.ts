/**
 * Who wants to know that something changed. Parts of the page are told that their model is different and
 * read it anew; no values travel, so a listener that comes late has missed nothing.
 */
export class Changes<Topic extends string> {
  readonly #listeners = new Map<Topic, Set<() => void>>();

  /** Returns the function that ends the subscription. */
  on(topic: Topic, listener: () => void): () => void {
    const set = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, set);
    set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  tell(...topics: Topic[]): void {
    for (const topic of topics) {
      for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener();
    }
  }
}
