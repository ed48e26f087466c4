/** The help text, made from what there is. */
import { PEERS } from './peers/registry.ts';
import { SCENARIOS } from './scenarios/registry.ts';

const width = Math.max(...[...SCENARIOS, ...PEERS].map(({ name }) => name.length));
const list = (entries: readonly (readonly [string, string])[]) =>
  entries.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n');

export const HELP = `usage: npm run bench -- <scenario> [--peer a,b] [--runs n] [--quick] [--force]
       npm run bench -- all [--runs n] [--again]
       npm run bench -- report

Scenarios:
${list(SCENARIOS.map(({ name, summary }) => [name, summary]))}
  ${'all'.padEnd(width)}  everything above and the report; what is measured already is not measured again
  ${'ceiling'.padEnd(width)}  what the load generator itself can take
  ${'report'.padEnd(width)}  writes docs/BENCHMARKS.md and charts from the newest results

Peers (all that run here, unless --peer names some):
${list(PEERS.map(({ name, setup }) => [name, setup]))}

Options:
  --peer a,b   only these peers; kept in a file of their own and no part of the report
  --runs n     runs of each peer, the figures are medians (3; with --quick 1)
  --quick      small and short: shows that everything works, measures nothing
  --force      although something else keeps the machine busy; the results say how busy
  --again      with all: also what was measured of this commit within a day

Examples:
  npm run bench -- all
  npm run bench -- fanout
  npm run bench -- fanout --peer roomcast,socketio --runs 1
  npm run bench -- memory --quick

Results go to bench/results/<date>/ (JSON, table, charts), those of --quick to dist.quick/. Exit: 0 done, 1 a measurement failed, 2 wrong usage.`;
