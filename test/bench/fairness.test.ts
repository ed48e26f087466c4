/** What keeps a comparison fair: a quiet machine, peers in turn, a generator that is not the limit. */
import { describe, expect, it } from 'vitest';
import { BusyError, busyPercent, parseCpuTimes, waitUntilQuiet } from '../../bench/machine/quiet.ts';
import { estimateSeconds, estimateText } from '../../bench/report/estimate.ts';
import { inTurn } from '../../bench/run-scenario.ts';
import { generatorPercent, isGeneratorBound } from '../../bench/scenarios/generator-bound.ts';
import { endOfRamp } from '../../bench/scenarios/rate.ts';

/** A machine that is busy as told, one look after the other; each takes ten seconds. */
function machine(...percents: number[]) {
  let looks = 0;
  const said: string[] = [];
  const watch = {
    now: () => looks * 10_000,
    busyPercent: async () => {
      const percent = percents[Math.min(looks, percents.length - 1)] ?? Number.NaN;
      looks += 1;
      return percent;
    },
  };
  const wait = (force: boolean) => waitUntilQuiet({ force, say: (text) => said.push(text) }, watch);
  return { wait, said, looks: () => looks };
}

describe('a measurement', () => {
  it('begins at once on a quiet machine, and where nobody can tell', async () => {
    expect(await machine(2).wait(false)).toBe(2);
    expect(await machine(Number.NaN).wait(false)).toBeNaN();
  });

  it('waits until the machine is quiet, and says what it waits for', async () => {
    const busy = machine(80, 80, 40, 3);
    expect(await busy.wait(false)).toBe(3);
    expect(busy.said).toEqual([expect.stringContaining('something else uses 80 % of the machine')]);
  });

  it('is refused where the machine stays busy', async () => {
    const busy = machine(80);
    await expect(busy.wait(false)).rejects.toThrow(BusyError);
    expect(busy.looks()).toBeLessThan(70);
    expect(busy.said.length).toBeGreaterThan(5);
  });

  it('goes on all the same where told to, and the result says how busy it was', async () => {
    const busy = machine(80);
    expect(await busy.wait(true)).toBe(80);
    expect(busy.looks()).toBe(1);
  });

  it('takes waiting for a disk as idle', () => {
    const before = parseCpuTimes('cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n');
    const after = parseCpuTimes('cpu  110 0 110 870 10 0 0 0 50 0\n');
    expect(busyPercent(before, after)).toBe(20);
  });
});

describe('the peers', () => {
  it('take turns within a run, and every run begins with another', () => {
    const runs = [0, 1, 2, 3].map((run) => inTurn(['a', 'b', 'c'], run).join(''));
    expect(runs).toEqual(['abc', 'bca', 'cab', 'abc']);
  });
});

describe('the generator', () => {
  it('is as busy as its cores with what else runs on them, or as its busiest process', () => {
    expect(generatorPercent([1, 2, 3], 2, 10, 1)).toBe(80);
    expect(generatorPercent([1, 2, 9], 0, 10, 4)).toBe(90);
  });

  it('is the limit from 90 % on, and not where it was not measured', () => {
    expect(isGeneratorBound({ generatorPercent: 89.9 })).toBe(false);
    expect(isGeneratorBound({ generatorPercent: 90 })).toBe(true);
    expect(isGeneratorBound({})).toBe(false);
  });

  it('is the limit where it published late, too: that is in every latency', () => {
    expect(isGeneratorBound({ generatorPercent: 40, generatorLagMs: 5 })).toBe(false);
    expect(isGeneratorBound({ generatorPercent: 40, generatorLagMs: 25 })).toBe(true);
  });

  it('is named where a ramp ends because of it', () => {
    expect(endOfRamp({ inTimePercent: 100, refused: 0, generatorPercent: 95 })).toBeUndefined();
    expect(endOfRamp({ inTimePercent: 60, refused: 0, generatorPercent: 50 })).toEqual({});
    expect(endOfRamp({ inTimePercent: 60, refused: 0, generatorPercent: 95 })?.note).toContain(
      'generator-bound',
    );
  });
});

describe('the estimate', () => {
  it('grows with peers and runs', () => {
    const one = estimateSeconds(60, 1, 1);
    expect(estimateSeconds(60, 9, 3)).toBeGreaterThan(20 * (one - 30));
  });

  it('says how long and until when', () => {
    const noon = new Date(2026, 0, 2, 12, 0);
    expect(estimateText(90, noon)).toBe('about 2 min, until 12:01');
    expect(estimateText(3 * 3600, noon)).toBe('about 3.0 h, until 15:00');
  });
});
