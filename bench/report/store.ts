/**
 * bench/results/<date>/: one JSON, its table and its charts per scenario, the latest
 * run of a day standing for it. Quick runs are no measurements and go where builds go.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isGeneratorBound } from '../scenarios/generator-bound.ts';
import { drawChart } from './chart.ts';
import { DIRTY } from '../machine/machine.ts';
import { together } from './statistics.ts';
import { markdownTable, runsText } from './table.ts';
import { REPORT_FORMAT, type ScenarioReport, toJson } from './results.ts';

const RESULTS = 'bench/results';
const QUICK_RESULTS = 'dist.quick';
const OURS = 'roomcast';
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

/** The table by itself, for who looks into the folder. */
function tableFile({ scenario, startedAt, command, runs, quick, rows, columns }: ScenarioReport): string {
  const kind = quick ? 'a quick run, no measurement' : runsText(runs);
  return `# ${scenario}\n\n${startedAt.slice(0, 10)}, \`${command}\`, ${kind}\n\n${markdownTable(rows, columns)}\n`;
}

/** Returns the path of the JSON. */
export async function saveReport(report: ScenarioReport): Promise<string> {
  const folder = folderOf(report);
  mkdirSync(folder, { recursive: true });
  for (const [n, chart] of report.charts.entries()) {
    const svg = await drawChart(report.rows, chart);
    if (svg !== undefined) writeFileSync(join(folder, chartName(report, n)), svg);
  }
  writeFileSync(join(folder, `${stemOf(report)}.md`), tableFile(report));
  const path = join(folder, `${stemOf(report)}.json`);
  writeFileSync(path, toJson(report));
  // Results are committed, so they follow the layout that the checks ask of every JSON file.
  if (existsSync(FORMATTER))
    spawnSync(process.execPath, [FORMATTER, 'format', '--write', path], { stdio: 'ignore' });
  return path;
}

/** By today's rules of how runs are put together and which rows say something about the generator, not by those of its day. */
function judgedAnew(report: ScenarioReport): ScenarioReport {
  const rows = report.rows.map((row) => {
    const median = together(row.runs);
    return { ...row, median, isGeneratorBound: isGeneratorBound(median) };
  });
  return { ...report, rows };
}

/** The newest report of each scenario over all peers. */
export function loadReports(root = RESULTS): ScenarioReport[] {
  const newest = new Map<string, ScenarioReport>();
  if (!existsSync(root)) return [];
  for (const folder of readdirSync(root).sort()) {
    for (const name of readdirSync(join(root, folder))) {
      if (!name.endsWith('.json')) continue;
      const report = JSON.parse(readFileSync(join(root, folder, name), 'utf8')) as ScenarioReport;
      if (report.format === REPORT_FORMAT && !report.only) newest.set(report.scenario, judgedAnew(report));
    }
  }
  return [...newest.values()];
}

/** Old enough that somebody who asks for everything wants it measured again. */
const FRESH_MS = 24 * 3600 * 1000;

/**
 * Whether what was measured still stands, so that `all` may go on where it was interrupted: of all peers, as
 * many runs, of this commit, of the last day, and nothing of ours failed (a peer that always fails would be
 * measured for ever).
 */
export function isFresh(
  report: ScenarioReport,
  wanted: { commit: string; runs: number; now: Date },
): boolean {
  return (
    report.only === undefined &&
    report.runs >= wanted.runs &&
    report.commit === wanted.commit &&
    !report.commit.endsWith(DIRTY) &&
    wanted.now.getTime() - new Date(report.startedAt).getTime() < FRESH_MS &&
    report.peers.every(({ name, failures }) => name !== OURS || failures.length === 0)
  );
}
