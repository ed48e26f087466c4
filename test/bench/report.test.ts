import { describe, expect, it } from 'vitest';
import { benchmarksPage } from '../../bench/report/benchmarks-page.ts';
import { drawChart, pointsOf } from '../../bench/report/chart.ts';
import { REPORT_FORMAT, type Row, Rows, type ScenarioReport, toJson } from '../../bench/report/results.ts';
import { isFresh } from '../../bench/report/store.ts';
import { judge } from '../../bench/report/targets.ts';
import { PEERS } from '../../bench/peers/registry.ts';
import { SCENARIOS } from '../../bench/scenarios/registry.ts';

function row(peer: string, setting: Row['setting'], figures: Record<string, number>): Row {
  const rows = new Rows();
  rows.add(peer, { setting, figures });
  return rows.finish([peer])[0] as Row;
}

const chart = {
  title: 'CPU',
  where: { members: 10 },
  x: { key: 'rate', title: 'rate', scale: 'log' },
  y: { key: 'cpu', title: 'µs', scale: 'log' },
} as const;

const rows = [
  row('roomcast', { rate: 1, members: 10 }, { cpu: 1 }),
  row('roomcast', { rate: 10, members: 10 }, { cpu: 0.5 }),
  row('nats', { rate: 1, members: 10 }, { cpu: Number.NaN }),
  row('nats', { rate: 1, members: 20 }, { cpu: 7 }),
];

const report: ScenarioReport = {
  format: REPORT_FORMAT,
  scenario: 'fanout',
  summary: 'one room',
  method: 'All of it.',
  startedAt: '2026-01-02T03:04:05.000Z',
  tookSeconds: 60,
  command: 'npm run bench -- fanout',
  commit: 'abc1234',
  runs: 3,
  quick: false,
  machine: {
    processor: 'P',
    cores: 2,
    memoryGb: 8,
    system: 'Linux',
    node: '20',
    redis: '7',
    pinning: 'apart',
    loadAverage: 0.1,
  },
  busyPercent: 1.2,
  ceiling: [{ framesPerWrite: 1, framesPerSecond: 1000, generatorPercent: 99 }],
  peers: [
    { name: 'roomcast', setup: 'as shipped', version: 'roomcast 1', failures: [] },
    { name: 'nats', setup: 'as shipped', skipped: 'no apt-get here', failures: [] },
    { name: 'nchan', setup: 'as shipped', version: 'nchan 1', failures: ['run 2: it\nfell over'] },
  ],
  columns: [{ key: 'rate', title: 'rate', digits: 0 }],
  charts: [chart],
  rows,
};

describe('a chart', () => {
  it('draws what was measured in its setting and nothing else', () => {
    expect(pointsOf(rows, chart)).toEqual([
      { peer: 'roomcast', x: 1, y: 1 },
      { peer: 'roomcast', x: 10, y: 0.5 },
    ]);
  });

  it('does not draw what was the limit of the generator', () => {
    const bound = row('nchan', { rate: 1, members: 10 }, { cpu: 3, generatorPercent: 96 });
    expect(pointsOf([...rows, bound], chart).map(({ peer }) => peer)).toEqual(['roomcast', 'roomcast']);
  });

  it.each([
    ['lines', chart],
    ['bars of one value', { ...chart, where: { members: 20 }, x: { ...chart.x, scale: 'ordinal' as const } }],
    ['grouped bars', { ...chart, x: { ...chart.x, scale: 'ordinal' as const } }],
  ])('of %s becomes an SVG', async (_kind, spec) => {
    expect(await drawChart(rows, spec)).toMatch(/^<svg .*CPU.*<\/svg>\n$/s);
  });

  it('of nothing is none', async () => {
    expect(await drawChart([], chart)).toBeUndefined();
  });
});

describe('the page', () => {
  const page = benchmarksPage({
    reports: [report],
    chart: () => 'bench/results/2026-01-02/fanout-1.svg',
    findings: () => 'It is the kernel.',
  });

  it('names machine, method, command, who was left out and why, and what failed', () => {
    for (const text of ['2 × P, 8 GB', 'All of it.', '`npm run bench -- fanout`', 'no apt-get here']) {
      expect(page).toContain(text);
    }
    expect(page).toContain('- nchan: run 2: it fell over');
    expect(page).toContain('![CPU](../bench/results/2026-01-02/fanout-1.svg)');
    expect(page).toContain('It is the kernel.');
  });

  it('marks what was the limit of the generator, and says how far runs were apart', () => {
    const several = new Rows();
    for (const cpu of [1, 5, 2]) several.add('nats', { setting: { rate: 9 }, figures: { cpu } });
    several.add('nchan', { setting: { rate: 9 }, figures: { cpu: 4, generatorPercent: 90 } });
    const columns = [{ key: 'cpu', title: 'CPU', digits: 1, hasRange: true }];
    const text = benchmarksPage({
      reports: [{ ...report, columns, rows: several.finish(['nats', 'nchan']) }],
      chart: () => undefined,
      findings: () => undefined,
    });
    expect(text).toContain('| nats | 2.0 (1.0–5.0) |');
    expect(text).toContain('| nchan † | 4.0 |');
    expect(text).toMatch(/^† generator-bound: /m);
  });

  it('says of each target how many runs of which commit it is of', () => {
    expect(page).toContain(`| ${report.runs}, ${report.commit} |`);
  });

  it('has every target, and none is missed for want of figures', () => {
    for (const { target } of judge([])) expect(page).toContain(target);
    expect(judge([]).every(({ isHit }) => isHit === undefined)).toBe(true);
  });
});

describe('targets', () => {
  const judged = (scenario: string, given: Row[]) =>
    judge([{ ...report, scenario, rows: given }]).filter((verdict) => verdict.scenario === scenario);

  it('of the loudest rate count only what came whole and in time', () => {
    const loud = (perSecond: number, inTimePercent: number, p99Ms: number) =>
      row('roomcast', { perSecond }, { deliveredPerSecond: perSecond * 1000, inTimePercent, p99Ms });
    expect(judged('fanout', [loud(4000, 100, 40)])[0]).toMatchObject({ isHit: true });
    expect(judged('fanout', [loud(1000, 100, 40), loud(4000, 98, 40)])[0]).toMatchObject({
      isHit: false,
      measured: '1,000,000 deliveries/s',
    });
    expect(judged('fanout', [loud(4000, 100, 140)])[0]).toMatchObject({ isHit: false });
  });

  it('against a peer need the figures of both', () => {
    const at = (peer: string, cpuUsPerDelivery: number) => row(peer, { perSecond: 50 }, { cpuUsPerDelivery });
    const floor = (given: Row[]) =>
      judged('fanout', given).find(({ target }) => target.includes('epoll-writer'));
    expect(floor([at('roomcast', 5), at('epoll-writer', 4)])).toMatchObject({
      isHit: true,
      measured: expect.stringContaining('1.25'),
    });
    expect(floor([at('roomcast', 5.1), at('epoll-writer', 4)])).toMatchObject({ isHit: false });
    expect(floor([at('roomcast', 5)])).toMatchObject({ isHit: undefined });
  });

  it('are open where the generator was the limit, for ours and for peers', () => {
    const at = (peer: string, cpuUsPerDelivery: number, generatorPercent: number) =>
      row(peer, { perSecond: 50 }, { cpuUsPerDelivery, generatorPercent });
    const against = (given: Row[]) =>
      judged('fanout', given).find(({ target }) => target.includes("socketio's"));
    expect(against([at('roomcast', 9, 50), at('socketio', 8, 50)])).toMatchObject({ isHit: false });
    expect(against([at('roomcast', 9, 95), at('socketio', 8, 50)])).toMatchObject({ isHit: undefined });
    expect(against([at('roomcast', 7, 50), at('socketio', 8, 95)])).toMatchObject({
      isHit: undefined,
      measured: expect.stringContaining('generator-bound'),
    });
  });

  const keptUp = { inTimePercent: 100, refused: 0 };

  it('of stalls look at the worst run, not at the median', () => {
    const several = new Rows();
    for (const stallMs of [10, 60, 12])
      several.add('roomcast', { setting: { perSecond: 1 }, figures: { stallMs, ...keptUp } });
    const stall = judged('fanout', several.finish(['roomcast'])).find(({ target }) =>
      target.includes('stall'),
    );
    expect(stall).toMatchObject({ isHit: false, measured: '60 ms in the worst run' });
  });

  it('of stalls look also at rows in which the generator was the limit: it has other cores', () => {
    const several = new Rows();
    const at = (perSecond: number, stallMs: number, generatorPercent: number) =>
      several.add('roomcast', { setting: { perSecond }, figures: { stallMs, generatorPercent, ...keptUp } });
    at(1000, 10, 50);
    at(8000, 70, 95);
    // More than it can do is another matter.
    const figures = { stallMs: 200, inTimePercent: 80, refused: 0 };
    several.add('roomcast', { setting: { perSecond: 16_000 }, figures });
    const stall = judged('fanout', several.finish(['roomcast'])).find(({ target }) =>
      target.includes('stall'),
    );
    expect(stall).toMatchObject({ isHit: false, measured: '70 ms in the worst run' });
  });

  it('of what must not happen at all look at the worst run', () => {
    const several = new Rows();
    for (const missing of [0, 3, 0]) several.add('nats', { setting: { rate: 9 }, figures: { missing } });
    expect(several.finish(['nats'])[0]?.median).toEqual({ missing: 3 });
  });

  it('of slow readers hold memory against the bound of the configuration, for both pauses', () => {
    const slow = (pausedSeconds: number, memoryGrowthMb: number) =>
      row(
        'roomcast',
        { slow: 50, pausedSeconds },
        { p99ChangePercent: 5, memoryGrowthMb, complete: 20, reset: 30, othersMissing: 0 },
      );
    expect(judged('slow', [slow(3, 64), slow(9, 101)])).toEqual([
      expect.objectContaining({ isHit: true, target: expect.stringContaining('100 MB') }),
      expect.objectContaining({ isHit: false, measured: 'p99 5 %, 101 MB, 20 complete, 30 reset' }),
    ]);
  });

  it('are about peers, scenarios and columns that exist', () => {
    const names = new Set(SCENARIOS.map(({ name }) => name));
    for (const { scenario } of judge([])) expect(names).toContain(scenario);
    expect(new Set(PEERS.map(({ name }) => name)).size).toBe(PEERS.length);
  });
});

describe('a result that is there already', () => {
  const wanted = { commit: 'abc1234', runs: 3, now: new Date('2026-01-02T20:00:00.000Z') };

  it('is kept by who runs everything, where it is of this commit, of the last day, of all peers and of as many runs', () => {
    expect(isFresh(report, wanted)).toBe(true);
    expect(isFresh({ ...report, commit: 'other' }, wanted)).toBe(false);
    expect(isFresh({ ...report, runs: 1 }, wanted)).toBe(false);
    expect(isFresh({ ...report, only: ['roomcast'] }, wanted)).toBe(false);
    expect(isFresh(report, { ...wanted, now: new Date('2026-01-03T20:00:00.000Z') })).toBe(false);
  });

  it('is measured again where this project failed in it', () => {
    const failed = report.peers.map((peer) =>
      peer.name === 'roomcast' ? { ...peer, failures: ['run 1: it fell over'] } : peer,
    );
    expect(isFresh({ ...report, peers: failed }, wanted)).toBe(false);
  });
});

describe('a result file', () => {
  it('leaves out what was not measured', () => {
    const parsed = JSON.parse(toJson(report)) as ScenarioReport;
    expect(parsed.rows[2]?.median).toEqual({});
    expect(parsed.rows[0]?.median).toEqual({ cpu: 1 });
  });
});
