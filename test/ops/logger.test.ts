/** Log lines, read back from the file they were written to. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger, isPretty } from '../../src/ops/logger.ts';

let folder: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'roomcast-log-'));
  fd = openSync(join(folder, 'log'), 'w');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const settings = { logLevel: 'debug', logFormat: 'json', nodeName: 'n1' } as const;

async function written(log: { flush(): Promise<void> }): Promise<string> {
  await log.flush();
  return readFileSync(join(folder, 'log'), 'utf8');
}

/** Of coreutils, so on every machine that has a shell. */
const MKFIFO = 'mkfifo';
const turn = () => new Promise((resolve) => setTimeout(resolve, 10));

const HOSTILE = {
  crlf: 'a\r\n{"level":"error","msg":"forged"}',
  ansi: '\u001b[2J\u001b]0;title\u0007\u009b31m',
  long: 'x'.repeat(10_240),
  password: 'hunter2',
  url: 'redis://u:hunter2@h',
  nested: { authorization: 'Bearer hunter2', list: ['redis://:hunter2@h', 'b\u2028c'] },
  '\u001b[31mname': 1,
  error: new Error('failed\nredis://u:hunter2@h\u001b[0m'),
};

describe('JSON', () => {
  it('writes one object a line with level, time, node, fields and message', async () => {
    const log = createLogger(settings, { fd, isTerminal: false });
    log.info({ room: 'lobby', count: 3 }, 'joined');
    const line = JSON.parse(await written(log)) as Record<string, unknown>;
    expect(line).toMatchObject({ level: 'info', node: 'n1', room: 'lobby', count: 3, msg: 'joined' });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('keeps hostile fields in one short line without their secrets', async () => {
    const log = createLogger(settings, { fd, isTerminal: false });
    log.error(HOSTILE, 'evil\r\n\u001b[31mmessage redis://u:hunter2@h');
    const text = await written(log);
    expect(text.trimEnd().split('\n')).toHaveLength(1);
    expect(text).not.toContain('hunter2');
    expect(text.length).toBeLessThan(6000);
    const line = JSON.parse(text) as Record<string, string>;
    // Escaped in the value itself, so that `jq -r` on a terminal is safe too.
    expect(line['ansi']).toBe('\\u001b[2J\\u001b]0;title\\u0007\\u009b31m');
    expect(line['msg']).toBe('evil\\u000d\\u000a\\u001b[31mmessage redis://u:***@h');
    expect(line['long']).toHaveLength(256 + '... (10240 characters)'.length);
  });

  it('lets no field take the place of level, time or message', async () => {
    const log = createLogger(settings, { fd, isTerminal: false });
    log.info({ level: 'fatal', time: 0, msg: 'other', node: 'n2' }, 'real');
    const text = await written(log);
    expect(text.match(/"(level|time|msg|node)":/g)).toHaveLength(4);
    expect(JSON.parse(text)).toMatchObject({ level: 'info', msg: 'real', level_: 'fatal', node: 'n2' });
  });

  it('writes nothing below its level and does not look at the fields', async () => {
    const log = createLogger({ ...settings, logLevel: 'warn' }, { fd, isTerminal: false });
    const fields = {
      get never(): string {
        throw new Error('was read');
      },
    };
    log.debug(fields, 'no');
    log.info(fields, 'no');
    log.warn({}, 'yes');
    expect((await written(log)).trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('a reader that does not keep up', () => {
  let reader: number;
  let pipe: number;

  beforeEach(() => {
    const path = join(folder, 'pipe');
    execFileSync(MKFIFO, [path]);
    reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    pipe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  });

  it('costs lines beyond 8 MiB, not memory or time, and is told how many once it reads again', async () => {
    const log = createLogger(settings, { fd: pipe, isTerminal: false });
    const before = process.memoryUsage().rss;
    const fields = Object.fromEntries(Array.from({ length: 30 }, (_none, i) => [`f${i}`, 'x'.repeat(256)]));
    const lines = 3000; // of 8 KB
    for (let line = 0; line < lines; line++) log.info(fields, 'long');
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(120);
    const start = performance.now();
    await log.flush();
    expect(performance.now() - start).toBeLessThan(3000);

    let text = '';
    const socket = new Socket({ fd: reader }).on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    while ((await log.flush(), text.split('"long"').length < 1000) || !text.endsWith('\n')) await turn();
    log.info({}, 'short');
    await log.flush();
    while (!text.includes('"short"')) await turn();
    const read = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; dropped?: number });
    const long = read.filter((line) => line.msg === 'long').length;
    const dropped = read.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
    expect(long).toBeGreaterThan(900);
    expect(long + dropped).toBe(lines);
    socket.destroy();
    closeSync(pipe);
  });

  it('may go away without ending the process', async () => {
    closeSync(reader);
    const log = createLogger(settings, { fd: pipe, isTerminal: false });
    log.info({}, 'to nobody');
    await log.flush();
    log.info({}, 'to nobody again');
    await log.flush();
    closeSync(pipe);
  });
});

describe('pretty', () => {
  it('is chosen on a terminal and on demand', () => {
    expect(isPretty({ logFormat: 'auto' }, { isTerminal: true })).toBe(true);
    expect(isPretty({ logFormat: 'auto' }, { isTerminal: false })).toBe(false);
    expect(isPretty({ logFormat: 'pretty' }, { isTerminal: false })).toBe(true);
    expect(isPretty({ logFormat: 'json' }, { isTerminal: true })).toBe(false);
  });

  it('writes one line for people', async () => {
    const log = createLogger({ ...settings, logFormat: 'pretty' }, { fd, isTerminal: false });
    log.info({ room: 'lobby' }, 'joined');
    expect(await written(log)).toMatch(/INFO.*joined \{"room":"lobby"\}\n$/);
  });

  it('sends nothing that a terminal would obey and no secret', async () => {
    const log = createLogger({ ...settings, logFormat: 'pretty' }, { fd, isTerminal: false });
    log.warn(HOSTILE, 'evil\r\n\u001b[31mmessage redis://u:hunter2@h');
    const text = await written(log);
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain('forged"}\n');
    // Nothing but the logger's own colours (none in a test) and line ends is left of the controls.
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    expect(text.split('\n').filter((line) => line !== '' && !/^\s|WARN/.test(line))).toEqual([]);
  });
});
