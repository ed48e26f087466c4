/**
 * Callers that ask the same question at the same time share one answer. This is
 * what keeps a storm of rejoining clients at one Redis read per room instead of
 * one per client.
 */
export type Question = readonly (string | number)[];

export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  /** What is asked, in its parts: some come from clients, and joined by a character that a name may contain two questions would share an answer. */
  run(question: Question, ask: () => Promise<T>): Promise<T> {
    const key = JSON.stringify(question);
    const flight = this.#flights.get(key);
    if (flight) return flight;
    const started = ask().finally(() => this.#flights.delete(key));
    this.#flights.set(key, started);
    return started;
  }
}
