/**
 * `roomcast serve`: one server from start to end. SIGTERM drains it, SIGINT closes it, a second signal ends
 * the process at once, and whatever nobody caught fails it with exit code 1: a process in an unknown state
 * must not go on answering, so its clients are sent away at once instead of being served over a drain.
 */
import { type Config, type ConfigInput, loadConfig } from '../config.ts';
import { redisTarget } from '../config-redis.ts';
import { isPretty, type ServerLogger } from '../ops/logger.ts';
import { type Declaring, helpEnd, settingOptions } from './command.ts';
import { EXIT, Failure, type Signal, type Terminal } from './terminal.ts';

/** What serve needs of src/server.ts; handed in, so that tests can serve nothing. */
interface Serving {
  listen(): Promise<{ host: string; port: number }>;
  drain(): Promise<void>;
  close(): Promise<void>;
  fail(): Promise<void>;
}

export interface ServeParts {
  createServer(options: { config: Config; logger: ServerLogger }): Promise<Serving>;
  createLogger(config: Config, output: { isTerminal: boolean }): ServerLogger;
}

/** Beyond what the settings let a drain take; what takes longer hangs. */
const HARD_EXIT_MS = 30_000;
/** After an uncaught error the server gets this long to tell its clients. */
const CRASH_CLOSE_MS = 5000;

export function addServe({ program, terminal, done }: Declaring, parts: ServeParts): void {
  const lines = [
    'serve',
    'serve --port 0',
    'serve --redis-url redis://localhost:6379',
    'serve --limit-payload-bytes 65536 --limit-frame-bytes 131072',
  ];
  const command = program
    .command('serve')
    .description(
      'Run a server. Every setting is a flag here and a variable in the environment; the flag wins.',
    )
    .addHelpText('after', helpEnd(terminal, lines))
    .action(async (flags: Record<string, string | undefined>) => done(await serve(flags, terminal, parts)));
  for (const option of settingOptions()) command.addOption(option);
}

async function serve(flags: ConfigInput['flags'], terminal: Terminal, parts: ServeParts): Promise<number> {
  const { config, warnings } = loadConfig({ env: terminal.env, flags, hostname: terminal.hostname });
  const logger = parts.createLogger(config, terminal);
  for (const warning of warnings) logger.warn({}, warning);
  const server = await parts.createServer({ config, logger });
  // Before listening: a signal during the start must find somebody.
  const stop = stopOf(server, config, logger, terminal);
  try {
    const address = await server.listen().catch((error: unknown) => {
      throw new Failure(listenAdvice(error, config));
    });
    announce(config, address.port, logger, terminal);
    return await stop.done;
  } finally {
    stop.forget();
    await logger.flush();
  }
}

interface Stop {
  /** Resolves with the exit code once the server has stopped. */
  readonly done: Promise<number>;
  forget(): void;
}

function stopOf(server: Serving, config: Config, logger: ServerLogger, terminal: Terminal): Stop {
  const drainMs = config.drainNoticeMs + config.drainSpreadMaxMs;
  let stopping = false;
  let failed = false;
  let finish = (_code: number): void => {};
  const done = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const exitNow = async (): Promise<void> => {
    await logger.flush();
    terminal.exit(EXIT.failed);
  };
  const end = (code: number, withinMs: number, stopServer: () => Promise<void>): void => {
    stopping = true;
    terminal.clock.after(withinMs, () => {
      logger.error({ withinMs }, 'the server did not stop in time');
      void exitNow();
    });
    stopServer().then(
      () => finish(failed ? EXIT.failed : code),
      (error: unknown) => {
        logger.error({ error }, 'stopping failed');
        finish(EXIT.failed);
      },
    );
  };
  const onSignal = (signal: Signal): void => {
    if (stopping) {
      logger.warn({ signal }, 'second signal: ending at once');
      return void exitNow();
    }
    logger.info({ signal }, 'stopping');
    if (signal === 'SIGTERM') end(EXIT.done, drainMs + HARD_EXIT_MS, () => server.drain());
    else end(EXIT.done, HARD_EXIT_MS, () => server.close());
  };
  const onUncaught = (error: unknown): void => {
    logger.error({ error }, 'nobody caught this: stopping');
    // Once is enough: the next one may come from the closing itself. A drain would go on for half a minute.
    if (failed) return;
    failed = true;
    end(EXIT.failed, CRASH_CLOSE_MS, () => server.fail());
  };
  const forgets = [terminal.onSignal(onSignal), terminal.onUncaught(onUncaught)];
  const forget = (): void => {
    for (const one of forgets) one();
  };
  return { done, forget };
}

function listenAdvice(error: unknown, config: Config): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const where = `${config.host} port ${config.port}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is in use: stop what listens there, or choose another with --port (0 picks a free one)`;
    case 'EACCES':
      return `${where} needs more rights: choose a port above 1023 with --port`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${config.host} is no address of this machine: use --host 0.0.0.0 for all or --host 127.0.0.1`;
    default:
      return `cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function announce(config: Config, port: number, logger: ServerLogger, terminal: Terminal): void {
  const any = config.host === '0.0.0.0' || config.host === '::';
  const host = any ? 'localhost' : config.host.includes(':') ? `[${config.host}]` : config.host;
  const url = `ws://${host}:${port}/ws`;
  const target = redisTarget(config);
  const broker = target.mode === 'on' ? target.label : 'embedded';
  const pretty = isPretty(config, terminal);
  if (!pretty) logger.info({ url, port, broker, version: terminal.version }, 'listening');
  // Who asked for JSON reads with a program. Who did not may sit before `npm start | tee log`, or before the log of a container.
  if (!pretty && config.logFormat === 'json') return;
  // Standard output is then of JSON lines alone.
  const tell = (line: string) => (pretty ? terminal.out(line) : terminal.err(line));
  // The default of the client commands is 127.0.0.1:8080; only another address has to be named.
  const elsewhere = port === 8080 && (any || config.host === '127.0.0.1') ? '' : ` --url ${url}`;
  for (const line of [
    `roomcast ${terminal.version}, node ${config.nodeName}`,
    `  listening  http://${host}:${port}  ${url}`,
    `  broker     ${target.mode === 'on' ? broker : 'embedded: one node, nothing kept over a restart; REDIS_URL for more'}`,
    `  try        ${terminal.command} tail lobby${elsewhere}`,
    `             ${terminal.command} publish lobby '"hello"'${elsewhere}`,
  ]) {
    tell(line);
  }
}
