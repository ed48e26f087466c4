/**
 * Runs one scenario over all peers as often as asked, the peers in turn within
 * each run so that a slow hour of the machine meets all of them, and writes what
 * came out. A peer that cannot run here is left out with its reason; one that
 * fails is reported and the others go on.
 */
import { homedir } from 'node:os';
import { measureCeiling } from './generator/ceiling.ts';
import { ceilingText } from './generator/ceiling-text.ts';
import { describeMachine } from './machine/machine.ts';
import type { Peer } from './peers/peer.ts';
import type { Progress } from './report/progress.ts';
import { type PeerReport, REPORT_FORMAT, Rows, type ScenarioReport } from './report/results.ts';
import type { Scenario } from './scenarios/scenario.ts';

/** A load average above this before anything was started makes every figure doubtful. */
const BUSY = 0.5;

export interface RunOptions {
  readonly runs: number;
  readonly quick: boolean;
  readonly command: string;
  /** Names the peers where they were chosen. */
  readonly only?: readonly string[];
}

export async function runScenario(
  scenario: Scenario,
  candidates: readonly Peer[],
  { runs, quick, command, only }: RunOptions,
  progress: Progress,
): Promise<ScenarioReport> {
  const missing = scenario.prepare?.();
  if (missing !== undefined) throw new Error(`${scenario.name} cannot run here: ${missing}`);
  const startedAt = new Date();
  const machine = describeMachine();
  if (machine.loadAverage > BUSY) {
    progress.say(
      `the machine is busy with something else (load average ${machine.loadAverage.toFixed(1)}): stop it first`,
    );
  }
  const reports: (PeerReport & { failures: string[]; skipped?: string })[] = [];
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

  progress.say('measuring the generator itself');
  const ceiling = await measureCeiling(quick ? 1 : 3);
  for (const one of ceiling) progress.say(`generator ceiling, ${ceilingText(one)}`);

  const rows = new Rows();
  for (let run = 0; run < runs; run += 1) {
    for (let turn = 0; turn < peers.length; turn += 1) {
      const peer = peers[(turn + run) % peers.length] as Peer;
      const step = progress.step(`run ${run + 1}/${runs}  ${peer.name}`);
      try {
        for await (const measured of scenario.measure(peer, { quick, say: step }))
          rows.add(peer.name, measured);
      } catch (error) {
        const message = withoutPaths(error instanceof Error ? error.message : String(error));
        progress.say(`${peer.name}: failed, ${message}`);
        reports.find((report) => report.name === peer.name)?.failures.push(`run ${run + 1}: ${message}`);
      }
    }
  }
  return {
    format: REPORT_FORMAT,
    scenario: scenario.name,
    summary: scenario.summary,
    method: scenario.method,
    startedAt: startedAt.toISOString(),
    tookSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    command,
    runs,
    quick,
    ...(only ? { only } : {}),
    machine,
    ceiling,
    peers: reports,
    columns: scenario.columns,
    charts: scenario.charts,
    rows: rows.finish(peers.map((peer) => peer.name)),
  };
}

/** Results are published: where things lie on this machine is nobody's business. */
function withoutPaths(text: string): string {
  return text.replaceAll(process.cwd(), '.').replaceAll(homedir(), '~');
}
