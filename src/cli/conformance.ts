/**
 * `roomcast conformance`: is what listens there a roomcast server, by its protocol alone? One line for each
 * check as it ends, and at the end the failures again. What is checked is in src/conformance/.
 */
import { Deviation } from '../conformance/outcome.ts';
import { Peer } from '../conformance/peer.ts';
import { checkNames, type Result, runChecks } from '../conformance/run.ts';
import { SUITE } from '../conformance/suite.ts';
import type { Hooks } from '../conformance/wire.ts';
import { clientUrl } from '../config.ts';
import { maskUrl, safeText } from '../ops/redact.ts';
import { countOption, urlOption } from './arguments.ts';
import { type Declaring, helpEnd } from './command.ts';
import { shellHook } from './shell-hook.ts';
import { Taken } from './taken.ts';
import { EXIT, Failure, type Terminal, UsageError } from './terminal.ts';
import { openWire } from './wire-socket.ts';

interface Flags {
  readonly url?: string[];
  readonly filter?: string;
  readonly timeout?: string;
  readonly parallel?: string;
  readonly list?: boolean;
  readonly json?: boolean;
  readonly drain?: string;
  readonly nodeStop?: string;
  readonly nodeKill?: string;
  readonly nodeStart?: string;
  readonly redisStop?: string;
  readonly redisStart?: string;
  readonly redisEmpty?: string;
  readonly redisPause?: string;
  readonly redisResume?: string;
}

const TIMEOUT_MS = 5000;
const TIMEOUT_MIN_MS = 100;
const PARALLEL = 4;
const PARALLEL_MAX = 32;
const SHOWN_MAX = 1024;

const LINES = [
  'conformance --url ws://127.0.0.1:8080/ws',
  'conformance --url ws://node-1:8080/ws --url ws://node-2:8080/ws --filter promises',
  `conformance --drain 'kill -TERM 4711'`,
  `conformance --redis-stop 'systemctl stop redis' --redis-start 'systemctl start redis'`,
];

export function addConformance(declaring: Declaring): void {
  const { program, terminal } = declaring;
  const collect = (value: string, before: string[] = []): string[] => [...before, value];
  program
    .command('conformance')
    .description(
      'Check a server, or a proxy in front of it, against the protocol. Uses rooms and users of its own.',
    )
    .option(
      '--url <url>',
      `Server to check. Several times: nodes of one deployment. [ROOMCAST_URL, ${clientUrl({})}]`,
      collect,
    )
    .option('--filter <text>', 'Only checks whose name holds this text.')
    .option('--list', 'Print the names of the checks and run none.')
    .option('--timeout <ms>', `Longest wait for a frame. [${TIMEOUT_MS}]`)
    .option('--parallel <n>', `Checks under way at the same time. [${PARALLEL}]`)
    .option('--json', 'One JSON object per line: each check, then the sums.')
    .option('--drain <command>', 'Shell command that drains a node, as SIGTERM does. It runs last of all.')
    .option('--node-stop <command>', 'Shell command that stops a node at once, as SIGINT does.')
    .option('--node-kill <command>', 'Shell command that ends a node without a word, as SIGKILL does.')
    .option('--node-start <command>', 'Shell command that starts that node again, in the background.')
    .option('--redis-stop <command>', 'Shell command that stops Redis.')
    .option('--redis-start <command>', 'Shell command that starts it again, with the data it has.')
    .option('--redis-empty <command>', 'Shell command that removes the data of the stopped Redis.')
    .option('--redis-pause <command>', 'Shell command after which Redis answers nothing (SIGSTOP).')
    .option('--redis-resume <command>', 'Shell command after which it answers again (SIGCONT).')
    .addHelpText('after', `\n${COMMANDS}\n${helpEnd(terminal, LINES)}`)
    .action(async (flags: Flags) => declaring.done(await conformance(flags, terminal)));
}

const COMMANDS = `Checks that need a command that was not given are skipped, and say so. The commands take a
node or Redis away from everybody: do not give them where other people are connected.`;

async function conformance(flags: Flags, terminal: Terminal): Promise<number> {
  const urls = (flags.url ?? [clientUrl(terminal.env)]).map(urlOption);
  const timeoutMs = countOption('--timeout', flags.timeout, TIMEOUT_MIN_MS) ?? TIMEOUT_MS;
  const parallel = Math.min(countOption('--parallel', flags.parallel, 1) ?? PARALLEL, PARALLEL_MAX);
  const taken = new Taken();
  const hooks = hooksOf(flags, taken);
  const json = flags.json === true;
  const names = wantedNames(flags.filter);
  if (flags.list === true) {
    for (const name of names) terminal.out(name);
    return EXIT.done;
  }
  if (!json) terminal.err(`roomcast: checking ${urls.map((url) => safeText(maskUrl(url))).join(', ')}`);
  const { clock, random } = terminal;
  const results: Result[] = [];
  await reachable(urls, terminal);
  let isEnding = false;
  const ignore = terminal.onSignal(() => {
    // Once more: a command that gives back may hang.
    if (isEnding) terminal.exit(EXIT.failed);
    isEnding = true;
    void interrupted(taken, terminal);
  });
  const checked = runChecks({
    topics: SUITE,
    urls,
    open: openWire,
    clock,
    token: () => random.token(),
    timeoutMs,
    hooks,
    parallel,
    filter: flags.filter,
    onResult: (result) => {
      results.push(result);
      if (json) terminal.out(JSON.stringify(result));
      else for (const line of lines(result)) terminal.out(line);
    },
  });
  await checked.finally(ignore);
  return summary(results, json, terminal);
}

async function interrupted(taken: Taken, terminal: Terminal): Promise<void> {
  try {
    await taken.giveBack();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    terminal.err(`roomcast: what was taken away could not be given back: ${safeText(why, SHOWN_MAX)}`);
  }
  terminal.exit(EXIT.failed);
}

function hooksOf(flags: Flags, taken: Taken): Hooks {
  // Half of a pair would take something away and leave it away.
  if (flags.redisStop !== undefined && flags.redisStart === undefined)
    throw new UsageError('--redis-stop needs --redis-start');
  if (flags.redisPause !== undefined && flags.redisResume === undefined)
    throw new UsageError('--redis-pause needs --redis-resume');
  if ((flags.nodeStop ?? flags.nodeKill) !== undefined && flags.nodeStart === undefined)
    throw new UsageError('--node-stop and --node-kill need --node-start');
  const nodeStart = shellHook(flags.nodeStart);
  const redisStart = shellHook(flags.redisStart);
  const redisResume = shellHook(flags.redisResume);
  return {
    drain: shellHook(flags.drain),
    nodeStop: taken.taking(shellHook(flags.nodeStop), nodeStart),
    nodeKill: taken.taking(shellHook(flags.nodeKill), nodeStart),
    nodeStart: taken.giving(nodeStart),
    redisStop: taken.taking(shellHook(flags.redisStop), redisStart),
    redisStart: taken.giving(redisStart),
    redisEmpty: shellHook(flags.redisEmpty),
    redisPause: taken.taking(shellHook(flags.redisPause), redisResume),
    redisResume: taken.giving(redisResume),
  };
}

/** The names of the filter. A filter that fits nothing must not look like a server that passed. */
function wantedNames(filter: string | undefined): readonly string[] {
  const names = checkNames(SUITE, filter);
  if (names.length > 0) return names;
  throw new UsageError(`no check has "${safeText(filter ?? '', 64)}" in its name; --list prints them all`);
}

/** Without this an address where nothing listens would be told once for each check. */
async function reachable(urls: readonly string[], { clock }: Terminal): Promise<void> {
  for (const url of urls) {
    const peer = new Peer({ url, open: openWire, clock, timeoutMs: TIMEOUT_MS });
    try {
      await peer.opened();
    } catch (error) {
      const why = error instanceof Deviation ? error.came : String(error);
      throw new Failure(`cannot connect to ${safeText(maskUrl(url))}: ${safeText(why)}`);
    }
    await peer.close();
  }
}

/** `ok`, `failed` with what was expected and what came, or `skipped` with the reason. */
function lines(result: Result): string[] {
  const time = result.ms >= 1000 ? ` (${(result.ms / 1000).toFixed(1)} s)` : '';
  const head = `${result.outcome.padEnd(7)} ${result.check}`;
  switch (result.outcome) {
    case 'ok':
      return [`${head}${time}`];
    case 'skipped':
      return [`${head}: ${safeText(result.reason, SHOWN_MAX)}`];
    case 'failed':
      return [
        `${head}${time}`,
        `          expected ${safeText(result.expected, SHOWN_MAX)}`,
        `          came     ${safeText(result.came, SHOWN_MAX)}`,
      ];
  }
}

function summary(results: readonly Result[], json: boolean, terminal: Terminal): number {
  const count = (outcome: Result['outcome']): number =>
    results.filter((one) => one.outcome === outcome).length;
  const sums = { ok: count('ok'), failed: count('failed'), skipped: count('skipped') };
  if (json) {
    terminal.out(JSON.stringify(sums));
  } else {
    const failed = results.filter((one) => one.outcome === 'failed');
    if (failed.length > 0 && results.length > failed.length) {
      terminal.out('');
      for (const line of failed.flatMap(lines)) terminal.out(line);
    }
    terminal.out('');
    terminal.out(`${sums.ok} ok, ${sums.failed} failed, ${sums.skipped} skipped`);
  }
  return sums.failed === 0 ? EXIT.done : EXIT.failed;
}
