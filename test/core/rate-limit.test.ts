import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyedBuckets, PerMinute, SecondsInRow, TokenBucket } from '../../src/core/rate-limit.ts';

describe('a token bucket', () => {
  it('lets the burst through at once and then says exactly when the next is due', () => {
    const bucket = new TokenBucket(10, 3, 0);
    expect([bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([0, 0, 0]);
    expect(bucket.take(0)).toBe(100);
    expect(bucket.take(40)).toBe(60);
    expect(bucket.take(99)).toBe(1);
    expect(bucket.take(100)).toBe(0);
    expect(bucket.take(100)).toBe(100);
  });

  it('does not fill above its burst, however long it rests', () => {
    const bucket = new TokenBucket(1000, 2, 0);
    const taken = [0, 0, 0].map(() => bucket.take(3_600_000));
    expect(taken).toEqual([0, 0, 1]);
  });

  it('of rate 0 is off', () => {
    const bucket = new TokenBucket(0, 0, 0);
    for (let i = 0; i < 10_000; i += 1) expect(bucket.take(0)).toBe(0);
    expect(bucket.isFull(0)).toBe(true);
  });

  it('with a burst of 0 still lets one through at a time', () => {
    const bucket = new TokenBucket(2, 0, 0);
    expect([bucket.take(0), bucket.take(0), bucket.take(500)]).toEqual([0, 500, 0]);
  });

  it('neither loses nor gains by a clock that seems to go back', () => {
    const bucket = new TokenBucket(1, 2, 10_000);
    expect([bucket.take(10_000), bucket.take(10_000)]).toEqual([0, 0]);
    expect(bucket.take(4_000)).toBeGreaterThan(0);
    // Without care, the way back from 4 s to 10 s would be paid out a second time.
    expect(bucket.take(10_000)).toBe(1000);
  });

  const rate = fc.integer({ min: 1, max: 5000 });
  const burst = fc.integer({ min: 1, max: 50 });
  const steps = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 200 });

  it('never lets more than burst + rate * t through in any window', () => {
    fc.assert(
      fc.property(rate, burst, steps, (perSecond, most, waits) => {
        const bucket = new TokenBucket(perSecond, most, 0);
        const passed: number[] = [];
        let now = 0;
        for (const wait of waits) {
          now += wait;
          while (passed.length < 2000 && bucket.take(now) === 0) passed.push(now);
        }
        for (let from = 0; from < passed.length; from += 1) {
          const start = passed[from] ?? 0;
          for (let to = from; to < passed.length; to += 7) {
            const allowed = most + (((passed[to] ?? 0) - start) * perSecond) / 1000;
            expect(to - from + 1).toBeLessThanOrEqual(Math.floor(allowed + 1e-6));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('is honest about the wait: refused one ms before it, let through at it', () => {
    fc.assert(
      fc.property(rate, burst, steps, (perSecond, most, waits) => {
        const asked = new TokenBucket(perSecond, most, 0);
        let now = 0;
        for (const wait of waits) {
          now += wait;
          const retryAfterMs = asked.take(now);
          if (retryAfterMs === 0) continue;
          expect(Number.isInteger(retryAfterMs)).toBe(true);
          // Asking early and often must not put the moment off.
          if (retryAfterMs > 1) expect(asked.take(now + retryAfterMs - 1)).toBe(1);
          now += retryAfterMs;
          expect(asked.take(now)).toBe(0);
        }
      }),
    );
  });

  it('says it is full only where a new bucket would be no different', () => {
    const bucket = new TokenBucket(10, 5, 0);
    expect(bucket.isFull(0)).toBe(true);
    bucket.take(0);
    expect(bucket.isFull(99)).toBe(false);
    expect(bucket.isFull(100)).toBe(true);
  });
});

describe('keyed buckets', () => {
  it('keep names apart', () => {
    const buckets = new KeyedBuckets(1, 1);
    expect([buckets.take('a', 0), buckets.take('b', 0), buckets.take('a', 0)]).toEqual([0, 0, 1000]);
  });

  it('forget a name once its bucket is full again, and only then', () => {
    const buckets = new KeyedBuckets(10, 2);
    buckets.take('a', 0);
    buckets.take('b', 0);
    buckets.take('b', 0);
    expect(buckets.size).toBe(2);
    buckets.sweep(99);
    expect(buckets.size).toBe(2);
    buckets.sweep(100);
    expect(buckets.size).toBe(1);
    // What was kept still remembers what was spent.
    expect([buckets.take('b', 100), buckets.take('b', 100)]).toEqual([0, 100]);
    buckets.sweep(1_000);
    expect(buckets.size).toBe(0);
  });

  it('of rate 0 are off and remember nobody', () => {
    const buckets = new KeyedBuckets(0, 0);
    for (let i = 0; i < 100; i += 1) expect(buckets.take(`user ${i}`, 0)).toBe(0);
    expect(buckets.size).toBe(0);
  });
});

describe('seconds in a row', () => {
  it('counts a second once, however often it is noted', () => {
    const row = new SecondsInRow();
    expect([0, 10, 999].map((now) => row.note(now))).toEqual([1, 1, 1]);
    expect([1000, 1500, 2999].map((now) => row.note(now))).toEqual([2, 2, 3]);
  });

  it('begins anew after a second without an event', () => {
    const row = new SecondsInRow();
    row.note(0);
    row.note(1000);
    expect(row.note(3000)).toBe(1);
    expect(row.note(4000)).toBe(2);
  });

  it('counts from 1, also in the very first second of the clock', () => {
    expect(new SecondsInRow().note(0)).toBe(1);
    expect(new SecondsInRow().note(1_760_000_000_000)).toBe(1);
  });
});

describe('per minute', () => {
  it('is exceeded by the event after the last allowed one', () => {
    const minute = new PerMinute(3);
    expect([0, 1, 2, 3].map((now) => minute.exceeds(now))).toEqual([false, false, false, true]);
  });

  it('forgets an event exactly a minute after it', () => {
    const minute = new PerMinute(1);
    expect(minute.exceeds(0)).toBe(false);
    expect(minute.exceeds(59_999)).toBe(true);
    expect(new PerMinute(1).exceeds(60_000)).toBe(false);
    const other = new PerMinute(1);
    other.exceeds(0);
    expect(other.exceeds(60_000)).toBe(false);
  });

  it('of 0 is off', () => {
    const off = new PerMinute(0);
    for (let i = 0; i < 1000; i += 1) expect(off.exceeds(0)).toBe(false);
  });

  it('agrees with counting every event of the last minute', () => {
    const max = fc.integer({ min: 1, max: 6 });
    const waits = fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 100 });
    fc.assert(
      fc.property(max, waits, (most, pauses) => {
        const minute = new PerMinute(most);
        const events: number[] = [];
        let now = 0;
        for (const pause of pauses) {
          now += pause;
          events.push(now);
          const recent = events.filter((moment) => moment > now - 60_000).length;
          expect(minute.exceeds(now)).toBe(recent > most);
        }
      }),
    );
  });
});
