/** The clock under all tests: if it lies, every test above it means nothing. */
import { describe, expect, it } from 'vitest';
import { createFakeClock, createSeededRandom } from './fake-clock.ts';

describe('the fake clock', () => {
  it('runs due timers in the order of their times, each seeing its own', () => {
    const clock = createFakeClock({ nowMs: 0 });
    const ran: unknown[] = [];
    clock.after(30, () => ran.push(['c', clock.now()]));
    clock.after(10, () => ran.push(['a', clock.now()]));
    clock.after(10, () => ran.push(['b', clock.now()]));
    clock.after(41, () => ran.push('too late'));
    clock.advance(40);
    expect(ran).toEqual([
      ['a', 10],
      ['b', 10],
      ['c', 30],
    ]);
    expect(clock.now()).toBe(40);
  });

  it('runs timers that timers set, and intervals until they are cancelled', () => {
    const clock = createFakeClock({ nowMs: 0 });
    const ran: number[] = [];
    const interval = clock.every(10, () => ran.push(clock.now()));
    clock.after(5, () => void clock.after(12, () => interval.cancel()));
    clock.advance(100);
    expect(ran).toEqual([10]);
    expect(clock.pendingTimers()).toBe(0);
  });

  it('flushes afterTurn before the first timer and after each', () => {
    const clock = createFakeClock();
    const ran: string[] = [];
    clock.afterTurn(() => ran.push('turn'));
    clock.after(1, () => {
      ran.push('timer');
      clock.afterTurn(() => clock.afterTurn(() => ran.push('turn of a turn')));
    });
    clock.after(1, () => ran.push('second timer'));
    clock.advance(1);
    expect(ran).toEqual(['turn', 'timer', 'turn of a turn', 'second timer']);
  });

  it('lets promises settle between timers in advanceAsync', async () => {
    const clock = createFakeClock();
    const ran: string[] = [];
    clock.after(
      1,
      () => void Promise.resolve().then(() => clock.after(1, () => ran.push('set by a promise'))),
    );
    await clock.advanceAsync(5);
    expect(ran).toEqual(['set by a promise']);
  });

  it('moves the wall clock alone', () => {
    const clock = createFakeClock({ nowMs: 7, wallMs: 1_000_000 });
    clock.shiftWall(-500);
    clock.advance(3);
    expect([clock.now(), clock.wallMs()]).toEqual([10, 999_503]);
  });
});

describe('the seeded random', () => {
  it('repeats itself for one seed and not for another', () => {
    const draw = (seed: number): unknown[] => {
      const random = createSeededRandom(seed);
      return [random.fraction(), random.token(), random.id(), random.fraction()];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('gives fractions in [0, 1), hexadecimal tokens, and ids that sort by birth', () => {
    const random = createSeededRandom(1);
    const fractions = Array.from({ length: 10_000 }, () => random.fraction());
    expect(fractions.every((fraction) => fraction >= 0 && fraction < 1)).toBe(true);
    expect(fractions.reduce((sum, fraction) => sum + fraction, 0) / 10_000).toBeCloseTo(0.5, 1);
    expect(random.token()).toMatch(/^[0-9a-f]{20}$/);
    const ids = Array.from({ length: 300 }, () => random.id());
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
