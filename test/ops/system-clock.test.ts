import { describe, expect, test } from 'vitest';
import type { Clock, Random } from '../../src/core/clock.ts';
import { systemClock, systemRandom } from '../../src/ops/system-clock.ts';

// ops imports nothing of ours, so only this assignment shows that the shapes still fit.
const clock: Clock = systemClock;
const random: Random = systemRandom;

describe('the system clock', () => {
  test('calls once after the time has passed on its own measure', async () => {
    const startedMs = clock.now();
    await new Promise<void>((resolve) => {
      clock.after(5, resolve);
    });
    // Node rounds a timer down to whole milliseconds of its loop time.
    expect(clock.now() - startedMs).toBeGreaterThanOrEqual(4);
  });

  test('repeats until cancelled, also from within the call', async () => {
    let calls = 0;
    await new Promise<void>((resolve) => {
      const timer = clock.every(1, () => {
        calls += 1;
        if (calls < 3) return;
        timer.cancel();
        clock.after(10, resolve);
      });
    });
    expect(calls).toBe(3);
  });

  test('forgets a cancelled call', async () => {
    let called = false;
    clock
      .after(1, () => {
        called = true;
      })
      .cancel();
    await new Promise<void>((resolve) => {
      clock.after(10, resolve);
    });
    expect(called).toBe(false);
  });

  test('runs what waits for the end of the turn after all microtasks of the turn', async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      clock.afterTurn(() => {
        order.push('turn');
        resolve();
      });
      queueMicrotask(() => order.push('microtask'));
    });
    expect(order).toEqual(['microtask', 'turn']);
  });

  test('keeps no process alive', () => {
    // Node lists here only the timers that would hold the process open.
    const holding = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = holding();
    const timers = [clock.after(60_000, () => {}), clock.every(60_000, () => {})];
    expect(holding()).toBe(before);
    const control = setTimeout(() => {}, 60_000);
    expect(holding()).toBe(before + 1);
    clearTimeout(control);
    for (const timer of timers) timer.cancel();
  });
});

describe('the system randomness', () => {
  test('draws fractions from the whole of [0, 1)', () => {
    const drawn = Array.from({ length: 2000 }, () => random.fraction());
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    // With 2000 draws each of these fails once in 10^21 runs.
    expect(Math.min(...drawn)).toBeLessThan(0.025);
    expect(Math.max(...drawn)).toBeGreaterThan(0.975);
  });

  test('makes ids that sort by birth, also within a millisecond', () => {
    const ids = Array.from({ length: 500 }, () => random.id());
    expect(ids).toEqual([...ids].sort());
    // More than are drawn from the system at once, and none of it is given to two.
    expect(new Set(ids.map((id) => id.slice(-10))).size).toBe(ids.length);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('makes tokens of 20 hexadecimal characters that do not repeat', () => {
    const tokens = Array.from({ length: 500 }, () => random.token());
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{20}$/);
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});
