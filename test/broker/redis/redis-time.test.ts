import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedisTime, parseTime } from '../../../src/broker/redis/redis-time.ts';

describe('the clock of Redis, seen from here', () => {
  it('is unknown before the first sample and after a reset', () => {
    const time = createRedisTime();
    expect(time.at(5)).toBeUndefined();
    time.sample(0, 100, 2);
    expect(time.at(5)).toBe(103);
    time.reset();
    expect(time.at(5)).toBeUndefined();
  });

  it('never shows more than Redis does, whatever the round trips were', () => {
    const trips = fc.array(fc.record({ gapMs: fc.nat(3_000), thereMs: fc.nat(800), backMs: fc.nat(800) }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.integer({ min: -1e6, max: 1e12 }), trips, fc.nat(2_000), (offsetMs, samples, askMs) => {
        const time = createRedisTime();
        let nowMs = 0;
        for (const { gapMs, thereMs, backMs } of samples) {
          const sentMs = nowMs + gapMs;
          const redisMs = sentMs + thereMs + offsetMs;
          nowMs = sentMs + thereMs + backMs;
          time.sample(sentMs, redisMs, nowMs);
        }
        expect(time.at(nowMs + askMs)).toBeLessThanOrEqual(nowMs + askMs + offsetMs);
      }),
    );
  });

  it('keeps the best sample while it is fresh, and takes another one when it is old', () => {
    const time = createRedisTime();
    time.sample(0, 1_000, 1);
    time.sample(1_000, 2_400, 1_800);
    expect(time.at(1_800)).toBe(2_799);
    time.sample(10_500, 11_900, 11_300);
    expect(time.at(11_300)).toBe(11_900);
  });

  it('follows at once a clock that an operator set, forward or back', () => {
    const time = createRedisTime();
    time.sample(0, 1_000, 1);
    time.sample(1_000, 3_602_000, 1_001);
    expect(time.at(1_001)).toBe(3_602_000);
    time.sample(2_000, 3_000, 2_001);
    expect(time.at(2_001)).toBe(3_000);
  });

  it('reads the reply of TIME and nothing else', () => {
    expect(parseTime(['1795173346', '367938'])).toBe(1_795_173_346_367);
    expect(parseTime(null)).toBeUndefined();
    expect(parseTime(['x', 'y'])).toBeUndefined();
  });
});
