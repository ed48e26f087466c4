/** `npm run bench -- report`: redraws the charts of the newest results and writes docs/BENCHMARKS.md. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCENARIOS } from '../scenarios/registry.ts';
import { benchmarksPage } from './benchmarks-page.ts';
import { drawChart } from './chart.ts';
import type { ScenarioReport } from './results.ts';
import { chartName, folderOf, loadReports } from './store.ts';

const PAGE = 'docs/BENCHMARKS.md';
const FINDINGS = 'bench/findings';

/** Returns the path written. Throws where there is nothing to write about. */
export async function writePage(): Promise<string> {
  const order = SCENARIOS.map(({ name }) => name);
  const reports = loadReports().sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario));
  if (reports.length === 0) throw new Error('bench/results/ holds nothing yet: run a scenario first');
  for (const report of reports) {
    for (const [n, chart] of report.charts.entries()) {
      const svg = await drawChart(report.rows, chart);
      if (svg !== undefined) writeFileSync(chartPath(report, n), svg);
    }
  }
  const page = benchmarksPage({
    reports,
    chart: (report, n) => (existsSync(chartPath(report, n)) ? chartPath(report, n) : undefined),
    findings: (scenario) => {
      const path = join(FINDINGS, `${scenario}.md`);
      return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    },
  });
  writeFileSync(PAGE, page);
  return PAGE;
}

function chartPath(report: ScenarioReport, n: number): string {
  return join(folderOf(report), chartName(report, n));
}
