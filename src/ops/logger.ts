/**
 * Log lines: JSON for machines, one coloured line for people. Every field passes through redact.ts on
 * its way, so that no caller has to remember what may be written. Writing never waits: a collector that
 * reads too slowly costs lines (counted, and said once it reads again), not latency or memory.
 */
import pino from 'pino';
import { prettyFactory } from 'pino-pretty';
import { safeFields, safeText } from './redact.ts';

interface LogSettings {
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly logFormat: 'auto' | 'json' | 'pretty';
  readonly nodeName: string;
}

export interface LogOutput {
  /** File descriptor; 1 (standard output) unless told. */
  readonly fd?: number;
  /** Whether people read along; decides `auto`. */
  readonly isTerminal: boolean;
}

export interface ServerLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * Resolves once everything logged so far has left the process, or after half a second where nobody
   * takes it. Await it before `process.exit`, which cuts off a write that is under way.
   */
  flush(): Promise<void>;
}

type Level = 'debug' | 'info' | 'warn' | 'error';

const QUEUED_MAX_BYTES = 8 * 1024 * 1024;
const MESSAGE_MAX = 1024;
const FLUSH_MAX_MS = 500;
/** Names that pino writes itself. A second one of the same name would make the JSON ambiguous. */
const TAKEN: ReadonlySet<string> = new Set(['level', 'time', 'msg']);

export function isPretty(settings: Pick<LogSettings, 'logFormat'>, output: LogOutput): boolean {
  return settings.logFormat === 'pretty' || (settings.logFormat === 'auto' && output.isTerminal);
}

export function createLogger(settings: LogSettings, output: LogOutput): ServerLogger {
  const queue = new LineQueue(output.fd ?? 1);
  const prettify = isPretty(settings, output) ? prettyLine() : undefined;
  const log = pino(
    {
      level: settings.logLevel,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => queue.write(prettify === undefined ? line : prettify(line)) },
  );
  const write = (level: Level, fields: object, message: string): void => {
    // Asked first: copying the fields of debug lines nobody wants would be paid per frame.
    if (!log.isLevelEnabled(level)) return;
    const lost = queue.takeDropped();
    if (lost > 0)
      log.warn(
        { node: settings.nodeName, dropped: lost },
        'log lines were dropped: nobody read them in time',
      );
    log[level](
      { node: settings.nodeName, ...freeOfTaken(safeFields(fields)) },
      safeText(message, MESSAGE_MAX),
    );
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    flush: () => queue.flush(),
  };
}

/** Lines on their way to a file descriptor. Knows when the last one has left, which its destination does not tell. */
class LineQueue {
  readonly #destination: ReturnType<typeof pino.destination>;
  readonly #waiting = new Set<() => void>();
  #isEmpty = true;
  #dropped = 0;

  constructor(fd: number) {
    this.#destination = pino.destination({ fd, sync: false, maxLength: QUEUED_MAX_BYTES });
    this.#destination.on('drop', () => this.#dropped++);
    // Also on an error (the reader is gone): there is nothing to wait for any more.
    for (const event of ['drain', 'error', 'close']) this.#destination.on(event, () => this.#emptied());
  }

  write(line: string): void {
    this.#isEmpty = false;
    this.#destination.write(line);
  }

  /** How many lines found the queue full since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    // Told only when there is room again, or the telling would be dropped too.
    if (dropped === 0 || !this.#isEmpty) return 0;
    this.#dropped = 0;
    return dropped;
  }

  async flush(): Promise<void> {
    if (this.#isEmpty) return;
    let giveUp: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#waiting.add(resolve);
      giveUp = setTimeout(resolve, FLUSH_MAX_MS);
    });
    clearTimeout(giveUp);
  }

  #emptied(): void {
    this.#isEmpty = true;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function freeOfTaken(fields: Record<string, unknown>): Record<string, unknown> {
  for (const name of Object.keys(fields)) {
    if (!TAKEN.has(name)) continue;
    fields[`${name}_`] = fields[name];
    delete fields[name];
  }
  return fields;
}

/** pino-pretty as a plain function instead of a stream of its own: one queue, one flush for both formats. */
function prettyLine(): (line: string) => string {
  return prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'node', singleLine: true });
}
