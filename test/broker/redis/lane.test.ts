import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BATCH_BYTES_MAX,
  BATCH_MAX,
  Lane,
  type Answer,
  type Settlement,
} from '../../../src/broker/redis/lane.ts';

interface Publish {
  readonly key: number;
  readonly bytes: number;
  readonly giveUpMs: number;
}

function publishOf(key: number, giveUpMs = 1_000, bytes = 10): Publish {
  return { key, giveUpMs, bytes };
}

function laneOf(...keys: number[]): Lane<Publish, number> {
  const lane = new Lane<Publish, number>();
  for (const key of keys) lane.add(publishOf(key));
  return lane;
}

const applied = (value: number): Answer<number> => ({ kind: 'applied', value });
const refused: Answer<number> = { kind: 'refused', message: 'OOM' };
const unknown: Answer<number> = { kind: 'unknown', message: 'lost' };
const expired: Answer<number> = { kind: 'expired' };
const again: Answer<number> = { kind: 'again' };

function keysOf(batch: readonly Publish[]): number[] {
  return batch.map(({ key }) => key);
}

function told(settlements: readonly Settlement<Publish, number>[]): unknown[] {
  return settlements.map(({ publish, ending }) => [publish.key, ending.kind]);
}

describe('a lane', () => {
  it('sends what queued up while a batch was out as the next batch, and never two at once', () => {
    const lane = laneOf(1, 2);
    expect(keysOf(lane.take())).toEqual([1, 2]);
    lane.add(publishOf(3));
    expect(lane.take()).toEqual([]);
    expect(told(lane.answered([applied(1), applied(2)]))).toEqual([
      [1, 'applied'],
      [2, 'applied'],
    ]);
    expect(keysOf(lane.take())).toEqual([3]);
  });

  it('sends a lost batch again whole, in the same order, before anything newer', () => {
    const lane = laneOf(1, 2);
    lane.take();
    lane.add(publishOf(3));
    expect(lane.answered([unknown, unknown])).toEqual([]);
    expect(keysOf(lane.take())).toEqual([1, 2, 3]);
  });

  it('refuses what queues behind a refused publish', () => {
    const lane = laneOf(1, 2);
    lane.take();
    lane.add(publishOf(3));
    expect(told(lane.answered([refused, refused]))).toEqual([
      [1, 'unavailable'],
      [2, 'unavailable'],
      [3, 'unavailable'],
    ]);
    expect(lane.size).toBe(0);
  });

  it('does not refuse what may have been applied by an earlier attempt', () => {
    const lane = laneOf(1);
    lane.take();
    lane.answered([unknown]);
    lane.add(publishOf(2));
    lane.take();
    expect(lane.answered([refused, again])).toEqual([]);
    expect(keysOf(lane.take())).toEqual([1, 2]);
  });

  it('knows after `expired` that no attempt was applied', () => {
    const lane = laneOf(1);
    lane.take();
    lane.answered([unknown]);
    lane.take();
    lane.answered([expired]);
    expect(told(lane.giveUp(1_000))).toEqual([[1, 'unavailable']]);
  });

  it('gives up with `unknown_outcome` what is out, and still waits for its answer before sending more', () => {
    const lane = laneOf(1);
    lane.take();
    lane.add(publishOf(2, 5_000));
    expect(told(lane.giveUp(1_000))).toEqual([[1, 'unknown_outcome']]);
    expect(lane.take()).toEqual([]);
    expect(lane.answered([applied(1)])).toEqual([]);
    expect(keysOf(lane.take())).toEqual([2]);
  });

  it('refuses at an outage only what was certainly not applied', () => {
    const lane = laneOf(1);
    lane.take();
    lane.answered([unknown]);
    lane.add(publishOf(2));
    expect(told(lane.refuseWaiting('away'))).toEqual([[2, 'unavailable']]);
    expect(lane.size).toBe(1);
  });

  it('bounds a batch in commands and in bytes, but lets one large publish through', () => {
    const many = new Lane<Publish, number>();
    for (let key = 0; key <= BATCH_MAX; key += 1) many.add(publishOf(key));
    expect(many.take()).toHaveLength(BATCH_MAX);

    const large = new Lane<Publish, number>();
    for (const key of [1, 2, 3]) large.add(publishOf(key, 1_000, BATCH_BYTES_MAX));
    expect(keysOf(large.take())).toEqual([1]);
  });
});

/** What happens to the batch that is out. `late`: the link breaks, and the batch lands on Redis some time afterwards. */
type Fate =
  | { readonly kind: 'run' | 'runLost' | 'dropped' | 'late' | 'noScript' | 'notSent' }
  | { readonly kind: 'refusedFrom'; readonly index: number };
type Step =
  | { readonly kind: 'publish' }
  | { readonly kind: 'send' }
  | { readonly kind: 'fate'; readonly fate: Fate }
  | { readonly kind: 'landLate' }
  | { readonly kind: 'outage' }
  | { readonly kind: 'wait'; readonly ms: number };

const fates: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'run' } as const) },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom('runLost', 'dropped', 'late', 'noScript', 'notSent')
      .map((kind) => ({ kind }) as const),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refusedFrom' as const), index: fc.nat(4) }) },
);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'publish' } as const) },
  { weight: 4, arbitrary: fc.constant({ kind: 'send' } as const) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('fate' as const), fate: fates }) },
  { weight: 1, arbitrary: fc.constantFrom('landLate', 'outage').map((kind) => ({ kind }) as const) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 700 }) }),
  },
);

const BUDGET_MS = 1_000;
const DEADLINE_MS = 400;

interface Attempt {
  readonly batch: readonly Publish[];
  readonly deadlineMs: number;
}

/** A Redis with one room, as publish.lua keeps it, at the far end of a link that loses, delays and refuses. */
class Store {
  /** Keys in the order of their application; the index is the seq. */
  readonly log: number[] = [];

  run(
    { batch, deadlineMs }: Attempt,
    nowMs: number,
    refusedFrom = Number.POSITIVE_INFINITY,
  ): Answer<number>[] {
    return batch.map(({ key }, index) => {
      if (index >= refusedFrom) return refused;
      const seq = this.log.indexOf(key);
      if (seq >= 0) return applied(seq);
      if (nowMs > deadlineMs) return expired;
      return applied(this.log.push(key) - 1);
    });
  }
}

function play(script: readonly Step[]): {
  store: Store;
  endings: Map<number, string[]>;
  lane: Lane<Publish, number>;
} {
  const lane = new Lane<Publish, number>();
  const store = new Store();
  const endings = new Map<number, string[]>();
  const late: Attempt[] = [];
  let out: Attempt | undefined;
  let nowMs = 0;
  let published = 0;

  function settle(settlements: readonly Settlement<Publish, number>[]): void {
    for (const { publish, ending } of settlements) {
      endings.get(publish.key)?.push(ending.kind);
      if (ending.kind === 'applied') expect(store.log[ending.value]).toBe(publish.key);
    }
  }
  function answer(answers: readonly Answer<number>[]): void {
    out = undefined;
    settle(lane.answered(answers));
  }
  function meet(fate: Fate, attempt: Attempt): void {
    const all = (one: Answer<number>) => attempt.batch.map(() => one);
    if (fate.kind === 'run') return answer(store.run(attempt, nowMs));
    if (fate.kind === 'refusedFrom') return answer(store.run(attempt, nowMs, fate.index));
    if (fate.kind === 'noScript' || fate.kind === 'notSent') return answer(all(again));
    if (fate.kind === 'runLost') store.run(attempt, nowMs);
    if (fate.kind === 'late') late.push(attempt);
    answer(all(unknown));
  }
  function take(step: Step): void {
    switch (step.kind) {
      case 'publish':
        published += 1;
        endings.set(published, []);
        return lane.add(publishOf(published, nowMs + BUDGET_MS));
      case 'send': {
        const batch = lane.take();
        const [first] = batch;
        // The rule of publisher.ts: one deadline for the batch, before the first caller is told the worst.
        if (first) out = { batch, deadlineMs: Math.min(nowMs + DEADLINE_MS, first.giveUpMs - 1) };
        return;
      }
      case 'fate':
        return out && meet(step.fate, out);
      case 'landLate':
        for (const attempt of late.splice(0)) store.run(attempt, nowMs);
        return;
      case 'outage':
        return settle(lane.refuseWaiting('away'));
      case 'wait':
        nowMs += step.ms;
        return settle(lane.giveUp(nowMs));
    }
  }

  for (const step of script) take(step);
  // The end: the link works again, what was stuck arrives, and everything comes to its end.
  for (let round = 0; round < 3; round += 1) {
    take({ kind: 'send' });
    take({ kind: 'fate', fate: { kind: 'run' } });
  }
  take({ kind: 'landLate' });
  take({ kind: 'wait', ms: 10 * BUDGET_MS });
  return { store, endings, lane };
}

describe('a lane over a link that loses, delays and refuses', () => {
  const scripts = fc.array(steps, { minLength: 1, maxLength: 60 });

  it('applies each key at most once, in the order of the calls, and ends each publish exactly once', () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const { store, endings, lane } = play(script);
        expect(new Set(store.log).size).toBe(store.log.length);
        expect(store.log).toEqual([...store.log].sort((a, b) => a - b));
        for (const [key, ends] of endings) expect([key, ends.length]).toEqual([key, 1]);
        expect(lane.size).toBe(0);
      }),
      { numRuns: 5_000 },
    );
  });

  it('says `unavailable` only of what was never applied, and is never applied later', () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const { store, endings } = play(script);
        for (const [key, [ending]] of endings) {
          if (ending === 'unavailable') expect(store.log).not.toContain(key);
          if (ending === 'applied') expect(store.log).toContain(key);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
