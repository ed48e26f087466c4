import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { coresOf, pinned } from '../../bench/machine/pinning.ts';
import {
  bestSeconds,
  cpuSeconds,
  parseResidentKb,
  parseStat,
  parseTaskSeconds,
  residentKb,
  withDescendants,
} from '../../bench/machine/processes.ts';

describe('/proc', () => {
  it('is read behind the last bracket: a process may be called anything', () => {
    const text = '42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 9 9 20 0 1 0 1 1 1\n';
    expect(parseStat(text)).toEqual({ pid: 42, parent: 7, cpuSeconds: 2 });
  });

  it('gives the time of a thread to the nanosecond, where a step of the process is 10 ms', () => {
    expect(parseTaskSeconds('1500000250 7 9\n')).toBe(1.50000025);
    expect(bestSeconds(2.01, [1.2, 0.8191])).toBeCloseTo(2.0191, 9);
  });

  it('does not lose the time of a thread that ended, nor that of a kernel without nanoseconds', () => {
    expect(bestSeconds(3, [1.2, 0.8])).toBe(3);
    expect(bestSeconds(3, [Number.NaN])).toBe(3);
  });

  it.runIf(existsSync('/proc/self/schedstat'))('sees work of a few milliseconds', () => {
    const before = cpuSeconds([process.pid]);
    const own = process.cpuUsage();
    while (process.cpuUsage(own).user + process.cpuUsage(own).system < 4000);
    const used = cpuSeconds([process.pid]) - before;
    expect(used).toBeGreaterThan(0);
    expect(Math.abs(Math.round(used * 100) - used * 100)).toBeGreaterThan(0);
  });

  it('gives resident memory, or NaN for a process without any', () => {
    expect(parseResidentKb('Name:\tx\nVmRSS:\t   1234 kB\nVmSize:\t9 kB\n')).toBe(1234);
    expect(parseResidentKb('Name:\tkthread\n')).toBeNaN();
  });

  it('finds children of children, whatever the order', () => {
    const stat = (pid: number, parent: number) => ({ pid, parent, cpuSeconds: 1 });
    const family = withDescendants([2], [stat(4, 3), stat(3, 2), stat(2, 1), stat(5, 1)]);
    expect(new Set(family.map(({ pid }) => pid))).toEqual(new Set([2, 3, 4]));
  });

  it.runIf(process.platform === 'linux')('agrees with what this process knows of itself', () => {
    const own = process.cpuUsage();
    const known = (own.user + own.system) / 1e6;
    expect(cpuSeconds([process.pid])).toBeGreaterThan(known - 0.5);
    expect(residentKb([process.pid])).toBeGreaterThan(10_000);
  });
});

describe('cores', () => {
  it('keep the server apart from the generator, and Redis from both where there are enough', () => {
    expect(coresOf(1)).toEqual({ server: [], generator: [], redis: [] });
    expect(coresOf(2)).toEqual({ server: [0], generator: [1], redis: [1] });
    expect(coresOf(4)).toEqual({ server: [0], generator: [2, 3], redis: [1] });
  });

  it('are given to a command that keeps its pid', () => {
    const command = pinned([0], ['program', 'argument']);
    expect(command.slice(0, 2)).toEqual(['sh', '-c']);
    expect(command[2]).toContain('exec "$@"');
    expect(command.slice(-5)).toEqual(['taskset', '-c', '0', 'program', 'argument']);
    expect(pinned([], ['program']).slice(-2)).toEqual(['sh', 'program']);
  });
});
