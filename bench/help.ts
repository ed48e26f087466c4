/** The help text, made from what there is. */
import { PEERS } from './peers/registry.ts';
import { PLAIN, SCENARIOS } from './scenarios/registry.ts';

const width = Math.max(
  ...[...SCENARIOS, ...PEERS].map(({ name }) => name.length),
  ...Object.keys(PLAIN).map((name) => name.length),
);
const list = (entries: readonly (readonly [string, string])[]) =>
  entries.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n');

export const HELP = `usage: npm run bench -- <scenario> [--peer a,b] [--runs n] [--quick]
       npm run bench -- report

Scenarios:
${list(SCENARIOS.map(({ name, summary }) => [name, summary]))}
${list(Object.keys(PLAIN).map((name) => [name, 'this project alone, printed only']))}
  ${'ceiling'.padEnd(width)}  what the load generator itself can take
  ${'report'.padEnd(width)}  writes docs/BENCHMARKS.md and charts from the newest results

Peers (all that run here, unless --peer names some):
${list(PEERS.map(({ name, setup }) => [name, setup]))}

Options:
  --peer a,b   only these peers; kept in a file of their own and no part of the report
  --runs n     runs of each peer, the figures are medians (3; with --quick 1)
  --quick      small and short: shows that everything works, measures nothing

Examples:
  npm run bench -- fanout
  npm run bench -- fanout --peer roomcast,socketio --runs 1
  npm run bench -- memory --quick

Results go to bench/results/<date>/<scenario>.json, those of --quick to dist.quick/. Exit: 0 done, 1 a measurement failed, 2 wrong usage.`;
