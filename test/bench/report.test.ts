import { describe, expect, it } from 'vitest';
import { benchmarksPage } from '../../bench/report/benchmarks-page.ts';
import { drawChart, pointsOf } from '../../bench/report/chart.ts';
import { type Row, type ScenarioReport, toJson } from '../../bench/report/results.ts';
import { judge } from '../../bench/report/targets.ts';
import { PEERS } from '../../bench/peers/registry.ts';
import { SCENARIOS } from '../../bench/scenarios/registry.ts';

function row(peer: string, setting: Row['setting'], figures: Record<string, number>): Row {
  return { peer, setting, runs: [figures], median: figures, notes: [] };
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
  format: 1,
  scenario: 'fanout',
  summary: 'one room',
  method: 'All of it.',
  startedAt: '2026-01-02T03:04:05.000Z',
  tookSeconds: 60,
  command: 'npm run bench -- fanout',
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

  it('are about peers, scenarios and columns that exist', () => {
    const names = new Set(SCENARIOS.map(({ name }) => name));
    for (const { scenario } of judge([])) expect(names).toContain(scenario);
    expect(new Set(PEERS.map(({ name }) => name)).size).toBe(PEERS.length);
  });
});

describe('a result file', () => {
  it('leaves out what was not measured', () => {
    const parsed = JSON.parse(toJson(report)) as ScenarioReport;
    expect(parsed.rows[2]?.median).toEqual({});
    expect(parsed.rows[0]?.median).toEqual({ cpu: 1 });
  });
});
