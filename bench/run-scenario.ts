/**
 * Runs one scenario over all peers as often as asked, the peers in turn within
 * each run so that a slow hour of the machine meets all of them, each run
 * beginning with another so that none is always the first after a pause. A peer
 * that cannot run here is left out with its reason; one that fails is reported
 * and the others go on.
 */
import { homedir } from 'node:os';
import { measureCeiling } from './generator/ceiling.ts';
import { ceilingText } from './generator/ceiling-text.ts';
import { describeMachine, measuredCommit } from './machine/machine.ts';
import { coresOf, pinThisProcess } from './machine/pinning.ts';
import { BusyError, waitUntilQuiet } from './machine/quiet.ts';
import type { Peer } from './peers/peer.ts';
import { estimateSeconds, estimateText } from './report/estimate.ts';
import type { Progress } from './report/progress.ts';
import { type PeerReport, REPORT_FORMAT, Rows, type ScenarioReport } from './report/results.ts';
import type { Scenario } from './scenarios/scenario.ts';

export interface RunOptions {
  readonly runs: number;
  readonly quick: boolean;
  /** Measures although the machine is busy with something else. */
  readonly force: boolean;
  readonly command: string;
  /** Names the peers where they were chosen. */
  readonly only?: readonly string[];
}

type OpenReport = PeerReport & { failures: string[]; skipped?: string };

/** `all` in the order of run `run` (from 0): each begins one further. */
export function inTurn<T>(all: readonly T[], run: number): T[] {
  return all.map((_, turn) => all[(turn + run) % all.length] as T);
}

export async function runScenario(
  scenario: Scenario,
  candidates: readonly Peer[],
  options: RunOptions,
  progress: Progress,
): Promise<ScenarioReport> {
  const { runs, quick, command, only } = options;
  const missing = scenario.prepare?.();
  if (missing !== undefined) throw new Error(`${scenario.name} cannot run here: ${missing}`);
  const startedAt = new Date();
  // Now and not when it is written down: what is edited meanwhile was not measured.
  const commit = measuredCommit();
  const { cores = coresOf() } = scenario;
  pinThisProcess(cores);
  const machine = describeMachine(cores);
  const { peers, reports } = await preparePeers(scenario, candidates, progress);
  if (!quick) {
    const seconds = estimateSeconds(scenario.secondsPerPeer, peers.length, runs);
    progress.say(
      `${scenario.name}, ${peers.length} × ${runs} measurements: ${estimateText(seconds, new Date())}`,
    );
    // Before anything else: a machine that stays busy is found out now and not between two peers.
    await waitUntilQuiet({ force: options.force, say: (text) => progress.say(text) });
  }
  progress.say('measuring the generator itself');
  const ceiling = await measureCeiling(quick ? 1 : 3);
  for (const one of ceiling) progress.say(`generator ceiling, ${ceilingText(one)}`);
  const { rows, busyPercent } = await measureAll(scenario, peers, reports, options, progress);
  return {
    format: REPORT_FORMAT,
    scenario: scenario.name,
    summary: scenario.summary,
    method: scenario.method,
    startedAt: startedAt.toISOString(),
    tookSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    command,
    commit,
    runs,
    quick,
    ...(only ? { only } : {}),
    machine,
    busyPercent,
    ceiling,
    peers: reports,
    columns: scenario.columns,
    charts: scenario.charts,
    rows: rows.finish(peers.map((peer) => peer.name)),
  };
}

async function preparePeers(
  scenario: Scenario,
  candidates: readonly Peer[],
  progress: Progress,
): Promise<{ peers: Peer[]; reports: OpenReport[] }> {
  const reports: OpenReport[] = [];
  const peers: Peer[] = [];
  for (const peer of candidates) {
    const reason = scenario.suits(peer) ? await peer.prepare() : 'does not fit this scenario';
    const skipped = reason === undefined ? undefined : withoutPaths(reason);
    const { name, setup } = peer;
    reports.push({
      name,
      setup,
      failures: [],
      ...(skipped === undefined ? { version: peer.version() } : { skipped }),
    });
    if (skipped === undefined) peers.push(peer);
    else progress.say(`${name}: skipped, ${skipped}`);
  }
  return { peers, reports };
}

async function measureAll(
  scenario: Scenario,
  peers: readonly Peer[],
  reports: readonly OpenReport[],
  { runs, quick, force }: RunOptions,
  progress: Progress,
): Promise<{ rows: Rows; busyPercent: number }> {
  const rows = new Rows();
  let busyPercent = 0;
  for (let run = 0; run < runs; run += 1) {
    for (const peer of inTurn(peers, run)) {
      const step = progress.step(`run ${run + 1}/${runs}  ${peer.name}`);
      try {
        if (!quick) {
          const busy = await waitUntilQuiet({ force, say: step });
          busyPercent = Math.max(busyPercent, Number.isNaN(busy) ? 0 : busy);
        }
        for await (const measured of scenario.measure(peer, { quick, say: step }))
          rows.add(peer.name, measured);
      } catch (error) {
        // It has waited long enough; the others would each wait as long again.
        if (error instanceof BusyError) throw error;
        const message = withoutPaths(error instanceof Error ? error.message : String(error));
        progress.say(`${peer.name}: failed, ${message}`);
        reports.find((report) => report.name === peer.name)?.failures.push(`run ${run + 1}: ${message}`);
      }
    }
  }
  return { rows, busyPercent };
}

/** Results are published: where things lie on this machine is nobody's business. */
function withoutPaths(text: string): string {
  return text.replaceAll(process.cwd(), '.').replaceAll(homedir(), '~');
}
