/** What a model run did: its newest steps for whoever has to understand a violation, and how often each thing happened. */

/** How often each thing happened: a run that never met a case proves nothing about it. */
export type Tally = Record<string, number>;

const STEPS_KEPT = 25;

export class RunLog {
  readonly tally: Tally = {};
  readonly #steps: string[] = [];

  note(step: string): void {
    this.#steps.push(step);
    if (this.#steps.length > STEPS_KEPT) this.#steps.shift();
  }

  count(what: string, times = 1): void {
    this.tally[what] = (this.tally[what] ?? 0) + times;
  }

  /** The violation with where it happened and what led to it; other errors as they are. */
  explain(error: unknown, where: string): unknown {
    if (!(error instanceof ModelViolation)) return error;
    return new ModelViolation(`${where}: ${error.message}\n  ${this.#steps.join('\n  ')}`);
  }
}

/** A promise was broken: the scripts are wrong, or the model is. */
export class ModelViolation extends Error {}

export function fail(what: string): never {
  throw new ModelViolation(what);
}

export function addTally(into: Tally, from: Tally): void {
  for (const [what, times] of Object.entries(from)) into[what] = (into[what] ?? 0) + times;
}
