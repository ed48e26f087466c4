/**
 * What the conformance suite took away by an operator's command and has not given back: Redis stopped, a node
 * killed. Whoever interrupts the suite must not be left without it.
 */
type Hook = () => Promise<void>;

export class Taken {
  /** What gives back, of each that was taken. */
  readonly #open = new Set<Hook>();

  /** `take`, remembered until `back` was done. Undefined where there is no such command. */
  taking(take: Hook | undefined, back: Hook | undefined): Hook | undefined {
    return (
      take &&
      (async () => {
        // Before it is done: interrupted half-way, it may have been.
        if (back) this.#open.add(back);
        await take();
      })
    );
  }

  giving(back: Hook | undefined): Hook | undefined {
    return (
      back &&
      (async () => {
        await back();
        this.#open.delete(back);
      })
    );
  }

  /** Gives all of it back, as far as the commands do; rejects with the first failure. */
  async giveBack(): Promise<void> {
    const results = await Promise.allSettled([...this.#open].map((back) => back()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
