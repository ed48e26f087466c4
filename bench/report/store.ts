/**
 * bench/results/<date>/: one JSON and its charts per scenario, the latest run of
 * a day standing for it. Quick runs are no measurements and go where builds go.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawChart } from './chart.ts';
import { REPORT_FORMAT, type ScenarioReport, toJson } from './results.ts';

const RESULTS = 'bench/results';
const QUICK_RESULTS = 'dist.quick';
const FORMATTER = 'node_modules/@biomejs/biome/bin/biome';

/** The folder a report is kept in, relative to the project. */
export function folderOf({ startedAt, quick }: ScenarioReport): string {
  return join(quick ? QUICK_RESULTS : RESULTS, startedAt.slice(0, 10));
}

/** The file names of a report without their ending. A run of some peers must not stand in for one of all. */
function stemOf({ scenario, only }: ScenarioReport): string {
  return only ? `${scenario}.${only.join('+')}` : scenario;
}

export function chartName(report: ScenarioReport, n: number): string {
  return `${stemOf(report)}-${n + 1}.svg`;
}

/** Returns the path of the JSON. */
export async function saveReport(report: ScenarioReport): Promise<string> {
  const folder = folderOf(report);
  mkdirSync(folder, { recursive: true });
  for (const [n, chart] of report.charts.entries()) {
    const svg = await drawChart(report.rows, chart);
    if (svg !== undefined) writeFileSync(join(folder, chartName(report, n)), svg);
  }
  const path = join(folder, `${stemOf(report)}.json`);
  writeFileSync(path, toJson(report));
  // Results are committed, so they follow the layout that the checks ask of every JSON file.
  if (existsSync(FORMATTER))
    spawnSync(process.execPath, [FORMATTER, 'format', '--write', path], { stdio: 'ignore' });
  return path;
}

/** The newest report of each scenario over all peers. */
export function loadReports(root = RESULTS): ScenarioReport[] {
  const newest = new Map<string, ScenarioReport>();
  if (!existsSync(root)) return [];
  for (const folder of readdirSync(root).sort()) {
    for (const name of readdirSync(join(root, folder))) {
      if (!name.endsWith('.json')) continue;
      const report = JSON.parse(readFileSync(join(root, folder, name), 'utf8')) as ScenarioReport;
      if (report.format === REPORT_FORMAT && !report.only) newest.set(report.scenario, report);
    }
  }
  return [...newest.values()];
}
