/** `npm run bench -- <scenario>`: reads the command line, runs, shows a table, keeps the results. */
import { parseArgs } from 'node:util';
import { measureCeiling } from './generator/ceiling.ts';
import { ceilingText } from './generator/ceiling-text.ts';
import { HELP } from './help.ts';
import { coresOf, pinThisProcess } from './machine/pinning.ts';
import { BusyError } from './machine/quiet.ts';
import { PEERS, peerNamed } from './peers/registry.ts';
import { Progress } from './report/progress.ts';
import { saveReport } from './report/store.ts';
import { textTable } from './report/table.ts';
import { writePage } from './report/write-page.ts';
import { runAll } from './run-all.ts';
import { runScenario } from './run-scenario.ts';
import { SCENARIOS } from './scenarios/registry.ts';

class UsageError extends Error {}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv);
  const [name, ...rest] = positionals;
  if (values.help === true || name === 'help') {
    console.log(HELP);
    return 0;
  }
  if (name === undefined) throw new UsageError('name a scenario');
  if (rest.length > 0) throw new UsageError(`one scenario at a time; "${rest.join(' ')}" is left over`);
  const progress = new Progress();
  if (name === 'ceiling') {
    for (const one of await measureCeiling(values.quick === true ? 1 : 3)) console.log(ceilingText(one));
    return 0;
  }
  if (name === 'report') {
    progress.say(`written to ${await writePage()}`);
    return 0;
  }
  const { runs, quick, force } = readOptions(values);
  const command = `npm run bench -- ${argv.join(' ')}`;
  if (name === 'all') {
    if (values.peer !== undefined) throw new UsageError('all is for all peers: its results are the report');
    const again = values.again === true;
    return (await runAll({ runs, quick, force, command, again }, progress)) ? 0 : 1;
  }
  const scenario = SCENARIOS.find((candidate) => candidate.name === name);
  if (!scenario) throw new UsageError(`there is no scenario called ${name}`);
  const peers = values.peer === undefined ? PEERS : values.peer.split(',').map(namedPeer);
  const only = values.peer === undefined ? {} : { only: peers.map((peer) => peer.name) };
  const report = await runScenario(scenario, peers, { runs, quick, force, command, ...only }, progress);
  console.log(textTable(report.rows, report.columns));
  progress.say(`written to ${await saveReport(report)}`);
  return report.peers.some((peer) => peer.failures.length > 0) || report.rows.length === 0 ? 1 : 0;
}

function readOptions(values: ReturnType<typeof readArguments>['values']) {
  const quick = values.quick === true;
  const runs = values.runs === undefined ? (quick ? 1 : 3) : Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1 || runs > 100)
    throw new UsageError('--runs takes a number from 1 to 100');
  return { quick, runs, force: values.force === true };
}

function readArguments(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        peer: { type: 'string' },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        force: { type: 'boolean' },
        again: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function namedPeer(name: string) {
  try {
    return peerNamed(name);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
pinThisProcess(coresOf());
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`bench: ${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  } else {
    console.error(error instanceof BusyError ? `bench: ${error.message}` : error);
    process.exitCode = 1;
  }
}
