/** Latencies of one measurement, in microseconds inside and milliseconds outside. */
import { createHistogram } from 'node:perf_hooks';
import type { Figures } from './scenario.ts';

const HIGHEST_US = 60_000_000;

export class Latencies {
  readonly #histogram = createHistogram({ lowest: 1, highest: HIGHEST_US, figures: 3 });

  /** Notes the time since `fromMs` (of performance.now()). */
  since(fromMs: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - fromMs) * 1000)));
  }

  figures(): Figures {
    const at = (percentile: number) => this.#histogram.percentile(percentile) / 1000;
    return { p50Ms: at(50), p95Ms: at(95), p99Ms: at(99), maxMs: this.#histogram.max / 1000 };
  }
}

/** Calls `act` `perSecond` times a second for `seconds`, whether or not earlier calls are done, and waits for all. Rejects with the first failure. */
export async function atRate(
  perSecond: number,
  seconds: number,
  act: (n: number) => Promise<void>,
): Promise<void> {
  const began = performance.now();
  const total = perSecond * seconds;
  const under: Promise<void>[] = [];
  let failure: unknown;
  // Kept at once: a rejection that nobody waits for yet would end the process.
  const kept = (error: unknown): void => {
    failure ??= error;
  };
  for (let n = 0; n < total && failure === undefined; ) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * perSecond) + 1);
    for (; n < due; n += 1) under.push(act(n).catch(kept));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  if (failure !== undefined) throw failure;
}
