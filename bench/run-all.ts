/**
 * `npm run bench -- all`: every scenario over all peers, then the page. It takes
 * hours, so it says how many, and goes on where it was interrupted: a scenario
 * whose result still stands is not measured again.
 */
import { measuredCommit } from './machine/machine.ts';
import { BusyError } from './machine/quiet.ts';
import { PEERS } from './peers/registry.ts';
import { estimateSeconds, estimateText } from './report/estimate.ts';
import type { Progress } from './report/progress.ts';
import { isFresh, loadReports, saveReport } from './report/store.ts';
import { textTable } from './report/table.ts';
import { writePage } from './report/write-page.ts';
import { type RunOptions, runScenario } from './run-scenario.ts';
import { SCENARIOS } from './scenarios/registry.ts';
import type { Scenario } from './scenarios/scenario.ts';

export interface AllOptions extends RunOptions {
  /** Measures also what was measured already. */
  readonly again: boolean;
}

/** Resolves to whether everything was measured. */
export async function runAll(options: AllOptions, progress: Progress): Promise<boolean> {
  const { again, quick, runs } = options;
  const wanted = { commit: measuredCommit(), runs, now: new Date() };
  const fresh = again || quick ? [] : loadReports().filter((report) => isFresh(report, wanted));
  const left = SCENARIOS.filter(({ name }) => !fresh.some(({ scenario }) => scenario === name));
  for (const { scenario, startedAt } of fresh) progress.say(`${scenario}: measured at ${startedAt}, kept`);
  let whole = true;
  for (const [n, scenario] of left.entries()) {
    const seconds = left.slice(n).reduce((sum, one) => sum + secondsOf(one, runs), 0);
    const time = quick ? '' : `; all that is left: ${estimateText(seconds, new Date())}`;
    progress.say(`scenario ${n + 1}/${left.length}: ${scenario.name}${time}`);
    whole = (await one(scenario, options, progress)) && whole;
  }
  if (!quick) progress.say(`written to ${await writePage()}`);
  return whole;
}

function secondsOf(scenario: Scenario, runs: number): number {
  const peers = PEERS.filter((peer) => scenario.suits(peer)).length;
  return estimateSeconds(scenario.secondsPerPeer, peers, runs);
}

/** One scenario that fails as a whole does not take the others with it. */
async function one(scenario: Scenario, options: RunOptions, progress: Progress): Promise<boolean> {
  try {
    const report = await runScenario(scenario, PEERS, options, progress);
    console.log(`${scenario.name}\n${textTable(report.rows, report.columns)}\n`);
    progress.say(`written to ${await saveReport(report)}`);
    return report.rows.length > 0 && report.peers.every(({ failures }) => failures.length === 0);
  } catch (error) {
    if (error instanceof BusyError) throw error;
    progress.say(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
