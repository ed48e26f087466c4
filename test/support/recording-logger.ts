/** A `Logger` that keeps what it is told, for tests about what an operator reads. */
import type { Logger } from '../../src/core/logger.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface RecordingLogger extends Logger {
  readonly lines: readonly LogLine[];
  /** Lines whose message contains `part`. */
  saying(part: string): LogLine[];
}

export function createRecordingLogger(): RecordingLogger {
  const lines: LogLine[] = [];
  const keep = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ level, message, fields: { ...fields } });
  };
  return {
    lines,
    saying: (part) => lines.filter(({ message }) => message.includes(part)),
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
  };
}
