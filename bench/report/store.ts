/** bench/results/<date>/: one JSON and its charts per scenario, the latest run of a day standing for it. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ScenarioReport, toJson } from './results.ts';

const RESULTS = 'bench/results';

/** Returns the path written. */
export function saveReport(report: ScenarioReport, root = RESULTS): string {
  const folder = join(root, report.startedAt.slice(0, 10));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.scenario}${report.quick ? '.quick' : ''}.json`);
  writeFileSync(path, toJson(report));
  return path;
}

/** The newest report of each scenario that is a measurement. */
export function loadReports(root = RESULTS): ScenarioReport[] {
  const newest = new Map<string, ScenarioReport>();
  for (const folder of readdirSync(root).sort()) {
    for (const name of readdirSync(join(root, folder))) {
      if (!name.endsWith('.json') || name.endsWith('.quick.json')) continue;
      const report = JSON.parse(readFileSync(join(root, folder, name), 'utf8')) as ScenarioReport;
      newest.set(report.scenario, report);
    }
  }
  return [...newest.values()];
}
