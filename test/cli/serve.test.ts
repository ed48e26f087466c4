/** `roomcast serve` around a server that only pretends: settings, first lines, signals, and every way to end. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config.ts';
import type { ServeParts } from '../../src/cli/serve.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { runIn, TestTerminal } from '../support/test-terminal.ts';

type Line = [level: string, message: string, fields: Record<string, unknown>];

/** Records what serve does with its server; each call of the server ends when the test says so. */
class Stage {
  readonly terminal = new TestTerminal();
  readonly clock: FakeClock = createFakeClock();
  readonly calls: string[] = [];
  readonly lines: Line[] = [];
  readonly settle = new Map<string, { resolve(): void; reject(error: Error): void }>();
  config: Config | undefined;
  flushes = 0;
  listens = () => Promise.resolve({ host: '127.0.0.1', port: 4321 });

  constructor() {
    this.terminal.clock = this.clock;
  }

  run(...words: string[]): Promise<number> {
    return runIn(this.terminal, ['serve', ...words], this.#parts());
  }

  /** Waits until a line of the log has this message. */
  async logged(message: string): Promise<Line> {
    for (let turns = 0; turns < 100; turns++) {
      const found = this.lines.find((line) => line[1].includes(message));
      if (found !== undefined) return found;
      await Promise.resolve();
    }
    throw new Error(`"${message}" was not logged, but ${JSON.stringify(this.lines)}`);
  }

  #call(name: string): Promise<void> {
    this.calls.push(name);
    return new Promise((resolve, reject) => this.settle.set(name, { resolve, reject }));
  }

  #parts(): ServeParts {
    const log = (level: string) => (fields: object, message: string) =>
      void this.lines.push([level, message, { ...fields }]);
    return {
      createServer: ({ config }) => {
        this.config = config;
        return Promise.resolve({
          listen: () => this.listens(),
          drain: () => this.#call('drain'),
          close: () => this.#call('close'),
          fail: () => this.#call('fail'),
        });
      },
      createLogger: () => ({
        debug: log('debug'),
        info: log('info'),
        warn: log('warn'),
        error: log('error'),
        flush: () => {
          this.flushes++;
          return Promise.resolve();
        },
      }),
    };
  }
}

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});

describe('the start', () => {
  it('logs one line with address, broker and version where programs read', async () => {
    const done = stage.run('--port', '0', '--redis-url', 'redis://u:hunter2@db:6380/1');
    expect(await stage.logged('listening')).toEqual([
      'info',
      'listening',
      { url: 'ws://localhost:4321/ws', port: 4321, broker: 'redis://u:***@db:6380/1', version: '9.9.9' },
    ]);
    expect(stage.config).toMatchObject({ port: 0, redisUrl: 'redis://u:hunter2@db:6380/1' });
    stage.terminal.signal('SIGINT');
    stage.settle.get('close')?.resolve();
    expect(await done).toBe(0);
    expect(stage.terminal.outLines).toEqual([]);
  });

  // It once told only programs there: `npm start` in a pipe or a container showed nothing to try.
  it('tells people the same on standard error where only programs read standard output', async () => {
    void stage.run('--node-name', 'n1', '--redis-url', 'redis://u:hunter2@db:6380/1');
    await stage.terminal.errLine('publish');
    expect(stage.terminal.errLines).toEqual([
      'roomcast 9.9.9, node n1',
      '  listening  http://localhost:4321  ws://localhost:4321/ws',
      '  broker     redis://u:***@db:6380/1',
      '  try        roomcast tail lobby --url ws://localhost:4321/ws',
      `             roomcast publish lobby '"hello"' --url ws://localhost:4321/ws`,
    ]);
    expect(stage.terminal.outLines).toEqual([]);
  });

  it('is JSON and nothing else where that was asked for', async () => {
    stage.terminal.isTerminal = true;
    void stage.run('--log-format', 'json');
    await stage.logged('listening');
    await Promise.resolve();
    expect([...stage.terminal.outLines, ...stage.terminal.errLines]).toEqual([]);
  });

  it('says what runs, where, and two lines to try on a terminal', async () => {
    stage.terminal.isTerminal = true;
    void stage.run('--node-name', 'n1');
    await stage.terminal.outLine('publish');
    expect(stage.terminal.outLines).toEqual([
      'roomcast 9.9.9, node n1',
      '  listening  http://localhost:4321  ws://localhost:4321/ws',
      '  broker     embedded: one node, nothing kept over a restart; REDIS_URL for more',
      '  try        roomcast tail lobby --url ws://localhost:4321/ws',
      `             roomcast publish lobby '"hello"' --url ws://localhost:4321/ws`,
    ]);
  });

  it('leaves the address out of the lines to try where it is the default', async () => {
    stage.terminal.isTerminal = true;
    stage.listens = () => Promise.resolve({ host: '0.0.0.0', port: 8080 });
    void stage.run();
    expect(await stage.terminal.outLine('try')).toBe('  try        roomcast tail lobby');
  });

  it('shows a masked Redis on a terminal', async () => {
    stage.terminal.isTerminal = true;
    stage.terminal.env = { REDIS_HOST: 'db', REDIS_PASSWORD: 'hunter2' };
    void stage.run('--host', '::1');
    expect(await stage.terminal.outLine('broker')).toBe('  broker     redis://:***@db:6379/0');
    expect(await stage.terminal.outLine('listening')).toContain('ws://[::1]:4321/ws');
    expect(stage.terminal.outLines.join()).not.toContain('hunter2');
  });

  it('warns of a mistyped variable', async () => {
    stage.terminal.env = { LIMIT_PUBLSH_BURST: '1' };
    void stage.run();
    expect((await stage.logged('did you mean'))[0]).toBe('warn');
  });

  it.each([
    [
      'EADDRINUSE',
      '0.0.0.0 port 8080 is in use: stop what listens there, or choose another with --port (0 picks a free one)',
    ],
    ['EACCES', '0.0.0.0 port 8080 needs more rights: choose a port above 1023 with --port'],
    ['EADDRNOTAVAIL', '0.0.0.0 is no address of this machine'],
    ['EWHAT', 'cannot listen on 0.0.0.0 port 8080: no luck'],
  ])('that fails with %s says so in one line and exits 1', async (code, said) => {
    stage.listens = () => Promise.reject(Object.assign(new Error('no luck'), { code }));
    expect(await stage.run()).toBe(1);
    expect(stage.terminal.errLines).toHaveLength(1);
    expect(stage.terminal.errLines[0]).toContain(`roomcast: ${said}`);
    expect(stage.terminal.listeners).toBe(0);
  });

  it('with wrong settings tells all of them and exits 2 without a server', async () => {
    stage.terminal.env = { LIMIT_BATCH: 'x', REDIS_URL: 'redis://:hunter2@a/b' };
    expect(await stage.run('--port', '99999')).toBe(2);
    expect(stage.terminal.errLines).toEqual([
      'roomcast: --port = "99999": give a whole number from 0 to 65535, such as 8080',
      'roomcast: REDIS_URL = "redis://:***@a/b": give nothing or the number of the database behind the host, such as /0',
      'roomcast: LIMIT_BATCH = "x": give a whole number (frames) from 0 (off) to 10000, such as 64',
    ]);
    expect(stage.config).toBeUndefined();
  });
});

describe('the end', () => {
  it.each([
    ['SIGTERM', 'drain'],
    ['SIGINT', 'close'],
    ['SIGHUP', 'close'],
  ] as const)('on %s is a %s, then exit code 0', async (signal, call) => {
    const done = stage.run();
    await stage.logged('listening');
    stage.terminal.signal(signal);
    expect(stage.calls).toEqual([call]);
    stage.settle.get(call)?.resolve();
    expect(await done).toBe(0);
    expect(stage.terminal.exits).toEqual([]);
    expect(stage.terminal.listeners).toBe(0);
    expect(stage.flushes).toBeGreaterThan(0);
  });

  it('on a second signal comes at once with exit code 1', async () => {
    void stage.run();
    await stage.logged('listening');
    stage.terminal.signal('SIGTERM');
    expect(stage.terminal.exits).toEqual([]);
    stage.terminal.signal('SIGINT');
    await Promise.resolve();
    expect(stage.terminal.exits).toEqual([1]);
    expect(stage.calls).toEqual(['drain']);
    expect(stage.flushes).toBe(1);
  });

  it.each([
    ['SIGTERM' as const, 40_000 + 120_000 + 30_000],
    ['SIGINT' as const, 30_000],
  ])('by %s is forced half a minute after it should be over, not before', async (signal, withinMs) => {
    // It once was 60 s whatever a drain was allowed: with a longer one the rest was cut off without a word.
    void stage.run('--drain-notice-ms', '40000', '--drain-spread-max-ms', '120000');
    await stage.logged('listening');
    stage.terminal.signal(signal);
    await stage.clock.advanceAsync(withinMs - 1);
    expect(stage.terminal.exits).toEqual([]);
    await stage.clock.advanceAsync(1);
    expect(stage.terminal.exits).toEqual([1]);
  });

  it('fails at once where nobody caught an error in the middle of a drain', async () => {
    const done = stage.run();
    await stage.logged('listening');
    stage.terminal.signal('SIGTERM');
    stage.terminal.crash(new Error('boom'));
    expect(stage.calls).toEqual(['drain', 'fail']);
    // The drain ends with the connections; what ends it is a failure all the same.
    stage.settle.get('drain')?.resolve();
    expect(await done).toBe(1);
  });

  it('has exit code 1 where stopping fails', async () => {
    const done = stage.run();
    await stage.logged('listening');
    stage.terminal.signal('SIGTERM');
    stage.settle.get('drain')?.reject(new Error('stuck'));
    expect(await done).toBe(1);
    expect((await stage.logged('stopping failed'))[2]['error']).toMatchObject({ message: 'stuck' });
  });

  // It once was a `close`, which told clients 1001 as if an operator had asked for it.
  it('after an uncaught error is a failure and exit code 1, within 5 s', async () => {
    const done = stage.run();
    await stage.logged('listening');
    stage.terminal.crash(new Error('boom'));
    stage.terminal.crash(new Error('again, from the closing'));
    expect(stage.calls).toEqual(['fail']);
    expect(
      stage.lines.filter(([level]) => level === 'error').map(([, , fields]) => String(fields['error'])),
    ).toEqual(['Error: boom', 'Error: again, from the closing']);
    await stage.clock.advanceAsync(5000);
    expect(stage.terminal.exits).toEqual([1]);
    stage.settle.get('fail')?.resolve();
    expect(await done).toBe(1);
  });

  it('hears a signal that comes before it listens', async () => {
    let listening = (_address: { host: string; port: number }): void => {};
    stage.listens = () =>
      new Promise((resolve) => {
        listening = resolve;
      });
    const done = stage.run();
    await Promise.resolve();
    await Promise.resolve();
    stage.terminal.signal('SIGINT');
    stage.settle.get('close')?.resolve();
    listening({ host: '127.0.0.1', port: 1 });
    expect(await done).toBe(0);
  });
});
