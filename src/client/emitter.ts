/**
 * Listeners by name. A listener that throws breaks neither the others nor the SDK: what it threw is thrown
 * again in a microtask of its own, where it is reported like any uncaught error of the application.
 */
export class Emitter<Events> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /**
   * A function is a listener once, however often it is given, and hears nothing of an event it was added during, as
   * with DOM events.
   */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    return () => set.delete(listener);
  }

  /** Nobody hears of anything any more. */
  silence(): void {
    this.#listeners.clear();
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const set = this.#listeners.get(name) as Set<unknown>;
    for (const listener of new Set(set)) {
      try {
        if (set.has(listener)) (listener as (event: Events[Name]) => void)(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
