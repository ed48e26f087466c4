/**
 * Callers that ask the same question at the same time share one answer. This is
 * what keeps a storm of rejoining clients at one Redis read per room instead of
 * one per client.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  run(key: string, ask: () => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key);
    if (flight) return flight;
    const started = ask().finally(() => this.#flights.delete(key));
    this.#flights.set(key, started);
    return started;
  }
}
