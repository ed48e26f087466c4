/** The command line as a whole: help, version, exit codes, and `roomcast config`. */
import { beforeEach, describe, expect, it } from 'vitest';
import { settings } from '../../src/config-table.ts';
import { runIn, TestTerminal } from '../support/test-terminal.ts';

let terminal: TestTerminal;
beforeEach(() => {
  terminal = new TestTerminal();
});

const out = (): string => terminal.outLines.join('\n');

describe('help', () => {
  it.each(['', 'serve', 'tail', 'publish', 'presence', 'config'])(
    'of "%s" has examples and the exit codes',
    async (command) => {
      expect(await runIn(terminal, command === '' ? ['--help'] : [command, '--help'])).toBe(0);
      expect(out()).toContain(`Examples:\n  $ roomcast ${command === '' ? 'serve' : command}`);
      expect(out()).toContain('Exit codes: 0 done, 1 failed, 2 called wrongly.');
      expect(terminal.errLines).toEqual([]);
    },
  );

  it('of serve and of config has a flag for every setting with its variable', async () => {
    for (const command of ['serve', 'config']) {
      terminal = new TestTerminal();
      await runIn(terminal, ['help', command]);
      for (const setting of settings) {
        expect(out(), setting.flag).toMatch(new RegExp(`^ +${setting.flag} <.*\\[${setting.env}[,\\]]`, 'm'));
      }
    }
  });

  it('is also what a call without a command gets, with exit code 2', async () => {
    expect(await runIn(terminal, [])).toBe(2);
    expect(terminal.errLines.join('\n')).toContain('Usage: roomcast');
    expect(terminal.outLines).toEqual([]);
  });
});

it('--version prints the version alone', async () => {
  expect(await runIn(terminal, ['--version'])).toBe(0);
  expect(terminal.outLines).toEqual(['9.9.9']);
});

describe('a wrong call', () => {
  it.each([
    [['bogus'], "unknown command 'bogus'"],
    [['tial', 'x'], "unknown command 'tial' (Did you mean tail?)"],
    [['serve', '--prot', '1'], "unknown option '--prot' (Did you mean --port?)"],
    [['serve', '--port'], "option '--port <port>' argument missing"],
    [['serve', 'extra'], 'too many arguments'],
    [['config', '--bogus\u001b[31m'], "unknown option '--bogus\\u001b[31m'"],
    [['tail'], "missing required argument 'room'"],
    [['tail', 'a{b}'], '"a{b}" is no room name'],
    [['tail', 'r', '--user', ''], '"" is no user name'],
    [['tail', 'r', '--count', '0'], '--count takes a whole number from 1, not "0"'],
    [['tail', 'r', '--history', '-1'], '--history takes a whole number from 0, not "-1"'],
    [['tail', 'r', '--since', '12'], '--since takes <epoch>:<seq>'],
    [['tail', 'r', '--since', 'e:1', '--history', '1'], 'exclude each other'],
    [['tail', 'r', '--url', 'localhost'], '"localhost" is no URL'],
    [['tail', 'r', '--url', 'ftp://u:hunter2@h'], 'is no WebSocket URL'],
    [['presence', 'r', '--url', 'u:hunter2@h'], 'URL'],
  ])('%j is one line on standard error and exit code 2', async (words, said) => {
    expect(await runIn(terminal, words)).toBe(2);
    expect(terminal.errLines).toHaveLength(1);
    expect(terminal.errLines[0]).toMatch(/^roomcast: /);
    expect(terminal.errLines[0]).toContain(said);
    expect(terminal.errLines[0]).not.toContain('hunter2');
    expect(terminal.outLines).toEqual([]);
  });
});

it('the address comes from ROOMCAST_URL where no --url is given', async () => {
  terminal.env = { ROOMCAST_URL: 'http://127.0.0.1:1' };
  expect(await runIn(terminal, ['tail', 'r'])).toBe(1);
  expect(terminal.errLines[0]).toContain('cannot connect to ws://127.0.0.1:1/ws: nothing listens there');
});

describe('config', () => {
  beforeEach(() => {
    terminal.env = { REDIS_URL: 'redis://u:hunter2@db', LIMIT_BATCH: '8' };
  });

  it('prints every setting with value, source, default and meaning, secrets masked', async () => {
    expect(await runIn(terminal, ['config', '--port', '9000'])).toBe(0);
    for (const setting of settings) expect(out()).toContain(setting.meaning);
    expect(out()).toMatch(/^PORT +9000 +flag +8080 +TCP port/m);
    expect(out()).toMatch(/^LIMIT_BATCH +8 +env +64 +Frames/m);
    expect(out()).toMatch(/^REDIS_URL +redis:\/\/u:\*\*\*@db +env +- +Redis/m);
    expect(out()).toMatch(/^NODE_NAME +test-host +default +host name/m);
    expect(out()).toContain('broker: redis://u:***@db:6379/0');
    expect(out()).not.toContain('hunter2');
  });

  it('prints JSON', async () => {
    terminal.env = { REDIS_HOST: 'db', REDIS_PASSWORD: 'hunter2' };
    expect(await runIn(terminal, ['config', '--json'])).toBe(0);
    const rows = JSON.parse(out()) as { name: string }[];
    expect(rows.map((row) => row.name)).toEqual(settings.map((setting) => setting.env));
    expect(rows.find((row) => row.name === 'REDIS_PASSWORD')).toMatchObject({
      value: '***',
      source: 'env',
      default: null,
    });
    expect(rows.find((row) => row.name === 'PORT')).toMatchObject({
      value: 8080,
      flag: '--port',
      min: 0,
      max: 65535,
    });
    expect(out()).not.toContain('hunter2');
  });

  it('with wrong settings exits 2 and tells all', async () => {
    expect(await runIn(terminal, ['config', '--port', 'x', '--lease-ms', '500'])).toBe(2);
    expect(terminal.errLines.length).toBeGreaterThan(1);
    expect(terminal.outLines).toEqual([]);
  });
});
