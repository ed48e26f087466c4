/** The pure parts of scenarios: whose presence is expected after guests came and went, how slow readers end, the proxy's settings. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { proxyConfiguration } from '../../bench/machine/haproxy.ts';
import { atRate } from '../../bench/scenarios/latencies.ts';
import { howTheyEnded } from '../../bench/scenarios/slow.ts';
import { expectedRosters, wrongRooms } from '../../bench/scenarios/rosters.ts';
import { watchStalls } from '../../bench/scenarios/stalls.ts';

describe('presence after guests came and went', () => {
  const expected = expectedRosters(2, 2, [{ user: 'guest-1', room: 1 }]);

  it('is that of the members and of the guests that stayed', () => {
    expect(expected).toEqual([
      ['user-0-0', 'user-0-1'],
      ['guest-1', 'user-1-0', 'user-1-1'],
    ]);
    expect(wrongRooms(expected, [expected, expected])).toBe(0);
  });

  it('is wrong in a room where one node still names who left, or does not name who came', () => {
    const stale = [[...(expected[0] ?? []), 'guest-0'].sort(), expected[1] ?? []];
    const late = [expected[0] ?? [], ['user-1-0', 'user-1-1']];
    expect(wrongRooms(expected, [expected, stale])).toBe(1);
    expect(wrongRooms(expected, [late, stale])).toBe(2);
    expect(wrongRooms(expected, [[]])).toBe(2);
  });
});

describe('the stalls of a measurement', () => {
  it('are the worst that was ever told while it ran, also where the node has forgotten it since', async () => {
    // Asked at the end alone, a stall at the beginning of 15 s was never heard of.
    vi.useFakeTimers();
    try {
      const told = [3, 60, 60, 4];
      const watch = watchStalls({ worstStallMs: () => Promise.resolve(told.shift() ?? 2) });
      await vi.advanceTimersByTimeAsync(6000);
      expect(await watch.end()).toBe(60);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('are unknown where the server does not tell, and a failure where it is gone', async () => {
    expect(await watchStalls({}).end()).toBeNaN();
    const gone = watchStalls({ worstStallMs: () => Promise.reject(new Error('ECONNREFUSED')) });
    await expect(gone.end()).rejects.toThrow('ECONNREFUSED');
  });
});

describe('calls at a rate', () => {
  it('that fail end it with the reason of the first, and not the process', async () => {
    let calls = 0;
    const act = async (): Promise<void> => {
      calls += 1;
      if (calls > 2) throw new Error(`call ${calls}`);
    };
    await expect(atRate(1000, 5, act)).rejects.toThrow('call 3');
    expect(calls).toBeLessThan(1000);
  });
});

describe('a slow reader', () => {
  const end = { open: true, closeCode: 0, told: false, missing: 0, duplicates: 0, behind: 0 };

  it('that is only still behind has not lost anything in silence', () => {
    expect(
      howTheyEnded([
        end,
        { ...end, missing: 3, told: true },
        { ...end, missing: 3 },
        { ...end, behind: 7 },
        { ...end, behind: 7, missing: 3 },
        { ...end, open: false, closeCode: 4009 },
      ]),
    ).toEqual({ complete: 1, reset: 1, closed: 1, behind: 2, silentLoss: 2, twice: 0 });
  });

  it('that got something twice is not complete', () => {
    expect(howTheyEnded([{ ...end, duplicates: 2 }])).toMatchObject({ complete: 0, twice: 1 });
  });
});

describe('the proxy of the bench', () => {
  const project = readFileSync('haproxy.cfg', 'utf8');

  it('is set up as the project deploys it', () => {
    expect(proxyConfiguration(project, true)).toBe(project);
  });

  it('leaves out the health checks, and nothing else, for servers that do not answer them', () => {
    const text = proxyConfiguration(project, false);
    const left = new Set(text.split('\n'));
    const gone = project.split('\n').filter((line) => !left.has(line));
    expect(gone.every((line) => /check|httpchk/.test(line))).toBe(true);
    expect(gone.length).toBeGreaterThan(0);
    expect(text).toContain('balance leastconn');
    expect(text).toMatch(/timeout tunnel +90s/);
    expect(text).not.toMatch(/^[^#]*\bcheck\b/m);
  });
});
