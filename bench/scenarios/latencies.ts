/** Latencies of one measurement, in microseconds inside and milliseconds outside. */
import { createHistogram } from 'node:perf_hooks';

const HIGHEST_US = 60_000_000;

export class Latencies {
  readonly #histogram = createHistogram({ lowest: 1, highest: HIGHEST_US, figures: 3 });

  /** Notes the time since `fromMs` (of performance.now()). */
  since(fromMs: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - fromMs) * 1000)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  /** `p50 0.31 ms  p95 0.52 ms  p99 0.90 ms  max 3.10 ms  (n 500)` */
  text(): string {
    const ms = (microseconds: number) => `${(microseconds / 1000).toFixed(2)} ms`;
    const at = (percentile: number) => `p${percentile} ${ms(this.#histogram.percentile(percentile))}`;
    return `${at(50)}  ${at(95)}  ${at(99)}  max ${ms(this.#histogram.max)}  (n ${this.count})`;
  }
}

/** Calls `act` `perSecond` times a second for `seconds`, whether or not earlier calls are done, and waits for all. */
export async function atRate(
  perSecond: number,
  seconds: number,
  act: (n: number) => Promise<void>,
): Promise<void> {
  const began = performance.now();
  const total = perSecond * seconds;
  const under: Promise<void>[] = [];
  for (let n = 0; n < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * perSecond) + 1);
    for (; n < due; n += 1) under.push(act(n));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
}
