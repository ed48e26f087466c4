import { describe, expect, it } from 'vitest';
import { mergeTimes, newTimes, packTimes, percentileMs, record } from '../../bench/generator/histogram.ts';
import { TICK_MS, Ticks } from '../../bench/generator/nap.ts';
import { pace } from '../../bench/generator/pacer.ts';
import { Rows } from '../../bench/report/results.ts';
import { median, medians, ranges } from '../../bench/report/statistics.ts';
import { formatNumber, markdownTable, textTable } from '../../bench/report/table.ts';

describe('medians', () => {
  it('take the middle, or the mean of the two in the middle, and leave out what was not measured', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([Number.NaN, 5])).toBe(5);
    expect(median([])).toBeNaN();
  });

  it('stand beside the lowest and the highest run', () => {
    expect(ranges([{ a: 2, b: Number.NaN }, { a: 1 }, { a: 9 }])).toEqual({ a: [1, 9] });
  });

  it('are taken of each figure by itself', () => {
    expect(medians([{ a: 1, b: 9 }, { a: 2, b: 8 }, { a: 3 }])).toEqual({ a: 2, b: 8.5 });
  });
});

describe('histograms', () => {
  it('of several processes are one distribution, not an average of percentiles', () => {
    const fast = newTimes();
    const slow = newTimes();
    for (let n = 0; n < 99; n += 1) record(fast, 1000);
    record(slow, 500_000);
    const all = mergeTimes([packTimes(fast), packTimes(slow), packTimes(newTimes())]);
    expect(all.totalCount).toBe(100);
    expect(percentileMs(all, 50)).toBeCloseTo(1, 1);
    expect(percentileMs(all, 100)).toBeCloseTo(500, -1);
  });

  it('hold what is out of their range at its edge, and say NaN where there is nothing', () => {
    const times = newTimes();
    expect(percentileMs(times, 99)).toBeNaN();
    record(times, -5);
    record(times, 1e12);
    expect(times.totalCount).toBe(2);
  });
});

describe('pacing', () => {
  it('hands over every message once, in order, at the rate asked for, and says when it was due', async () => {
    const seen: [number, number][] = [];
    const { fromUs, toUs } = await pace(1000, 100, (n, atUs) => seen.push([n, atUs]));
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => [n, fromUs + n * 1000]));
    expect((toUs - fromUs) / 1000).toBeGreaterThanOrEqual(98);
  });

  it('counts the delay of a publisher that was held up instead of hiding it', async () => {
    let last = 0;
    const { fromUs, lagP99Us } = await pace(1000, 40, (n, atUs) => {
      last = atUs;
      const until = performance.now() + 50;
      if (n === 0) while (performance.now() < until);
    });
    expect(last).toBe(fromUs + 39_000);
    expect(lagP99Us).toBeGreaterThan(40_000);
  });
});

describe('a worker that only drains', () => {
  const clock = (now: number) => ({ at: now, slept: [] as number[] });
  const ticksOn = (state: ReturnType<typeof clock>) =>
    new Ticks({
      now: () => state.at,
      sleep: (ms) => {
        state.slept.push(ms);
        state.at += ms;
      },
    });

  it('sleeps from the end of its work to the next tick', () => {
    const state = clock(100);
    const ticks = ticksOn(state);
    ticks.rest();
    state.at += 15;
    ticks.rest();
    expect(state.slept).toEqual([TICK_MS, TICK_MS - 15]);
  });

  it('keeps no step with the slowest rate: sockets would be read at one moment of each fan-out, by chance', () => {
    expect((TICK_MS * 50) % 1000).not.toBe(0);
  });

  it('does not sleep while there is more work than fits between two ticks', () => {
    const state = clock(0);
    const ticks = ticksOn(state);
    for (let turn = 0; turn < 3; turn += 1) {
      state.at += TICK_MS + 2;
      ticks.rest();
    }
    expect(state.slept).toEqual([]);
  });
});

describe('rows', () => {
  const rows = new Rows();
  rows.add('b', { setting: { rate: 1 }, figures: { x: 1 } });
  rows.add('a', { setting: { rate: 1 }, figures: { x: 1000.5 }, note: 'once' });
  rows.add('a', { setting: { rate: 1 }, figures: { x: 3000.5 }, note: 'once' });
  rows.add('a', { setting: { rate: 2 }, figures: { x: Number.NaN } });
  const finished = rows.finish(['a', 'b']);

  it('gather the runs of one peer in one setting', () => {
    expect(finished.map(({ peer, setting, median: m }) => [peer, setting['rate'], m['x']])).toEqual([
      ['a', 1, 2000.5],
      ['a', 2, Number.NaN],
      ['b', 1, 1],
    ]);
    expect(finished[0]?.notes).toEqual(['once']);
  });

  const columns = [
    { key: 'rate', title: 'rate', digits: 0 },
    { key: 'x', title: 'x', digits: 1 },
  ];

  it('are shown side by side', () => {
    expect(textTable(finished, columns)).toBe(
      ['peer  rate        x', 'a        1  2,000.5', 'a        2        –', 'b        1      1.0'].join('\n'),
    );
    expect(markdownTable(finished, columns)).toContain('| a | 1 | 2,000.5 |');
  });

  it('show a number as one and a word as it is', () => {
    expect(formatNumber(1_234_567.89, 0)).toBe('1,234,568');
    expect(formatNumber('direct', 2)).toBe('direct');
    expect(formatNumber(undefined, 2)).toBe('–');
  });
});
