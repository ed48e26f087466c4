/**
 * Rows as an SVG: lines over a numeric axis, bars over an ordinal one, the same
 * colour for a peer everywhere. Drawn by Vega without a screen; text widths are
 * estimated there, which is good enough for labels this short.
 */
import type { TopLevelSpec } from 'vega-lite';
import { PEERS } from '../peers/registry.ts';
import type { ChartSpec } from '../scenarios/scenario.ts';
import type { Row } from './results.ts';

const WIDTH = 560;
const HEIGHT = 300;
const BAR = 22;
const COLOURS = [
  '#d62728',
  '#ff9896',
  '#1f77b4',
  '#aec7e8',
  '#7f7f7f',
  '#2ca02c',
  '#9467bd',
  '#8c564b',
  '#000000',
];

interface Point {
  readonly peer: string;
  readonly x: number | string;
  readonly y: number;
}

/** Rows that say something about the generator are not drawn: a line would claim they are the server's. */
export function pointsOf(rows: readonly Row[], { where = {}, x, y }: ChartSpec): Point[] {
  return rows.flatMap(({ peer, setting, median, isGeneratorBound }) => {
    if (isGeneratorBound) return [];
    const fits = Object.entries(where).every(([key, value]) => setting[key] === value);
    const at = setting[x.key];
    const value = median[y.key];
    return fits && at !== undefined && value !== undefined && Number.isFinite(value)
      ? [{ peer, x: at, y: value }]
      : [];
  });
}

/** Undefined where there is nothing to draw. */
export function specOf(rows: readonly Row[], chart: ChartSpec): TopLevelSpec | undefined {
  const values = pointsOf(rows, chart);
  if (values.length === 0) return undefined;
  const names = PEERS.map((peer) => peer.name);
  const peers = names.filter((name) => values.some((point) => point.peer === name));
  const scale = {
    domain: peers,
    range: peers.map((name) => COLOURS[names.indexOf(name) % COLOURS.length] ?? '#000'),
  };
  const base = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: chart.title,
    data: { values },
    config: { background: 'white' },
  };
  const value = { field: 'y', type: 'quantitative' as const, title: chart.y.title };
  const isSingle = new Set(values.map((point) => point.x)).size === 1;
  if (chart.x.scale === 'ordinal' && isSingle) {
    return {
      ...base,
      width: WIDTH,
      height: { step: BAR },
      mark: 'bar',
      encoding: {
        y: { field: 'peer', type: 'nominal', sort: peers, title: null },
        x: { ...value, scale: { type: chart.y.scale } },
        color: { field: 'peer', type: 'nominal', scale, legend: null },
      },
    };
  }
  const color = { field: 'peer', type: 'nominal' as const, scale, title: null };
  const y = { ...value, scale: { type: chart.y.scale } };
  if (chart.x.scale === 'ordinal') {
    return {
      ...base,
      width: WIDTH,
      height: HEIGHT,
      mark: 'bar',
      encoding: {
        x: { field: 'x', type: 'ordinal', sort: null, title: chart.x.title, axis: { labelAngle: 0 } },
        xOffset: { field: 'peer', sort: peers },
        y,
        color,
      },
    };
  }
  return {
    ...base,
    width: WIDTH,
    height: HEIGHT,
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: chart.x.title, scale: { type: chart.x.scale } },
      y,
      color,
    },
  };
}

export async function drawChart(rows: readonly Row[], chart: ChartSpec): Promise<string | undefined> {
  const spec = specOf(rows, chart);
  if (!spec) return undefined;
  // Loaded only here: a run that draws nothing should not wait for it.
  const [vega, lite] = await Promise.all([import('vega'), import('vega-lite')]);
  const view = new vega.View(vega.parse(lite.compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg}\n`;
}
