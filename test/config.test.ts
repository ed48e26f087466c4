/** Settings: one table, every mistake at once, no secret in any message. */
import { describe, expect, it } from 'vitest';
import { ConfigError, type ConfigInput, displayValue, loadConfig } from '../src/config.ts';
import { configTable } from '../src/config-docs.ts';
import { redisTarget } from '../src/config-redis.ts';
import { settings } from '../src/config-table.ts';

type Env = Record<string, string>;

const load = (env: Env = {}, flags: ConfigInput['flags'] = {}, hostname = 'web') =>
  loadConfig({ env, flags, hostname });

function problems(env: Env, flags: ConfigInput['flags'] = {}): ConfigError['problems'] {
  try {
    load(env, flags);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the settings were accepted');
}

const fixes = (env: Env): string =>
  problems(env)
    .map((p) => `${p.name}: ${p.fix}`)
    .join('\n');

describe('the table', () => {
  it('gives every default of the design and freezes them', () => {
    const { config, sources } = load();
    expect(config).toMatchObject({
      port: 8080,
      host: '0.0.0.0',
      redisMode: 'auto',
      redisPrefix: 'rc:',
      redisPort: 6379,
      redisDb: 0,
      nodeName: 'web',
      logLevel: 'info',
      pingIntervalMs: 25_000,
      metaTtlS: 86_400,
      inboxMessages: 1000,
      inboxTtlS: 7 * 86_400,
      ringBytesTotal: 64 * 1024 * 1024,
      leaseMs: 10_000,
      limitPayloadBytes: 32_768,
      limitPresenceResume: 900,
      limitOutboxStallMs: 10_000,
    });
    expect(config.redisUrl).toBeUndefined();
    expect(Object.isFrozen(config)).toBe(true);
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
  });

  it('names every setting three ways that follow from each other', () => {
    for (const setting of settings) {
      const kebab = setting.key.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`);
      expect(setting.flag).toBe(`--${kebab}`);
      expect(setting.env).toBe(kebab.toUpperCase().replaceAll('-', '_'));
    }
    expect(new Set(settings.map((s) => s.key)).size).toBe(settings.length);
  });

  it('has defaults that lie within its own bounds, and 0 within those of every limit', () => {
    for (const s of settings.filter((setting) => setting.type === 'int')) {
      expect(s.min, s.env).toBeLessThanOrEqual(Number(s.default));
      expect(s.max, s.env).toBeGreaterThanOrEqual(Number(s.default));
      if (s.env.startsWith('LIMIT_')) expect(s.min, s.env).toBe(0);
    }
  });

  it('accepts 0 for all limits together', () => {
    const env = Object.fromEntries(
      settings.filter((s) => s.env.startsWith('LIMIT_')).map((s) => [s.env, '0']),
    );
    expect(load(env).config.limitFrameBytes).toBe(0);
  });

  it('accepts the lowest and the highest value of every number, and refuses one beyond', () => {
    for (const s of settings.filter((setting) => setting.type === 'int')) {
      for (const value of [Number(s.min) - 1, Number(s.max) + 1]) {
        expect(
          problems({ [s.env]: String(value) }).map((p) => p.name),
          s.env,
        ).toContain(s.env);
      }
      for (const value of [s.min, s.max]) {
        // Contradictions with other settings may remain; the value itself must not be one of the errors.
        try {
          load({ [s.env]: String(value) });
        } catch (error) {
          const own = (error as ConfigError).problems.filter((p) => p.fix.startsWith('give a whole'));
          expect(own, s.env).toEqual([]);
        }
      }
    }
  });
});

describe('sources', () => {
  it('lets a flag win over the environment and says where each value is from', () => {
    const { config, sources } = load({ PORT: '9000', LIMIT_BATCH: '8' }, { port: '9001' });
    expect(config.port).toBe(9001);
    expect(config.limitBatch).toBe(8);
    expect([sources.port, sources.limitBatch, sources.host]).toEqual(['flag', 'env', 'default']);
  });

  it('takes an empty variable for unset and a blank around a value for nothing', () => {
    const { config, sources } = load({ PORT: '', HOST: ' 127.0.0.1 ', REDIS_URL: '' });
    expect([config.port, config.host, config.redisUrl]).toEqual([8080, '127.0.0.1', undefined]);
    expect(sources.port).toBe('default');
  });

  it('makes the node name from any host name', () => {
    expect(load({}, {}, 'web-1.eu.example').config.nodeName).toBe('web-1-eu-example');
    expect(load({}, {}, 'x'.repeat(100)).config.nodeName).toHaveLength(64);
    expect(load({}, {}, '').config.nodeName).toBe('node');
    expect(problems({ NODE_NAME: 'a.b' })[0]).toMatchObject({ name: 'NODE_NAME', given: '"a.b"' });
  });
});

describe('mistakes', () => {
  it('are all told at once, each with its name, what was given and what would be right', () => {
    const error = (() => {
      try {
        load({ PORT: '99999', LOG_LEVEL: 'loud', LEASE_MS: '5000', REDIS_MODE: 'on' }, { limitBatch: '6 4' });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message.split('\n')).toEqual([
      'PORT = "99999": give a whole number from 0 to 65535, such as 8080',
      'LOG_LEVEL = "loud": give one of debug, info, warn, error, silent',
      '--limit-batch = "6 4": give a whole number (frames) from 0 (off) to 10000, such as 64',
      'REDIS_MODE = "on": REDIS_MODE=on needs an address: set REDIS_URL, REDIS_TLS_URL or REDIS_HOST',
      'LEASE_MS, HEARTBEAT_MS = "5000", "2000": LEASE_MS must be at least 4 x HEARTBEAT_MS (8000), or a few late heartbeats end a lease',
    ]);
  });

  it.each([
    '',
    ' ',
    '-1',
    '1.5',
    '1e3',
    '0x10',
    '5s',
    '32KB',
    '1_000',
    'NaN',
    'Infinity',
    '9'.repeat(30),
    '１２',
  ])('refuses %j as a number', (value) => {
    expect(problems({}, { limitBatch: value })).toHaveLength(1);
  });

  it('names an unknown flag', () => {
    expect(problems({}, { limitBatches: '3' })[0]).toMatchObject({ name: '--limit-batches', given: '***' });
  });

  it('does not report what follows from another mistake', () => {
    expect(problems({ LEASE_MS: 'x', HEARTBEAT_MS: '60000' }).map((p) => p.name)).toEqual(['LEASE_MS']);
  });

  it('escapes and cuts what was given', () => {
    const [problem] = problems({ HOST: `\u001b[2J${'x '.repeat(5000)}` });
    expect(problem?.given).toContain('\\u001b[2J');
    expect(problem?.given.length).toBeLessThan(150);
  });

  it('explains the REDIS_PORT that Kubernetes sets', () => {
    expect(fixes({ REDIS_PORT: 'tcp://10.0.0.1:6379' })).toContain('enableServiceLinks');
  });

  it.each([
    [{ REDIS_URL: 'redis://a', REDIS_TLS_URL: 'rediss://a' }, 'REDIS_URL, REDIS_TLS_URL'],
    [{ REDIS_URL: 'redis://a', REDIS_HOST: 'a' }, 'REDIS_URL, REDIS_HOST'],
    [{ REDIS_TLS_URL: 'rediss://a', REDIS_HOST: 'a' }, 'REDIS_TLS_URL, REDIS_HOST'],
    [{ REDIS_URL: 'rediss://a' }, 'REDIS_TLS_URL'],
    [{ REDIS_TLS_URL: 'redis://a' }, 'REDIS_URL'],
    [{ REDIS_URL: 'http://a' }, 'begins with redis://'],
    [{ REDIS_URL: 'redis://' }, 'host'],
    [{ REDIS_URL: 'redis://a/x' }, 'number of the database'],
    [{ REDIS_URL: 'redis://a?db=1' }, 'no ? or #'],
    [{ REDIS_URL: 'redis://:p#ss@a' }, 'percent-encode'],
    [{ REDIS_URL: 'redis://:p%zz@a' }, '%25'],
    [{ REDIS_URL: 'redis://:p w@a' }, 'without spaces'],
    [{ REDIS_MODE: 'on' }, 'set REDIS_URL'],
    [{ REDIS_PASSWORD: 'x' }, 'set REDIS_URL'],
    [{ REDIS_DB: '2' }, 'set REDIS_URL'],
    [{ REDIS_PORT: '6380' }, 'REDIS_HOST only'],
    [{ REDIS_URL: 'redis://a', REDIS_PORT: '6380' }, 'REDIS_HOST only'],
    [{ REDIS_URL: 'redis://u:x@a', REDIS_PASSWORD: 'y' }, 'REDIS_PASSWORD, REDIS_URL'],
    [{ REDIS_URL: 'redis://a/1', REDIS_DB: '2' }, 'REDIS_DB, REDIS_URL'],
    [{ REDIS_PREFIX: 'a{b}' }, 'REDIS_PREFIX'],
    [{ HEARTBEAT_MS: '2501' }, 'LEASE_MS'],
    [{ LIMIT_PRESENCE_RESUME: '1001' }, 'LIMIT_PRESENCE_MEMBERS'],
    [{ HISTORY_TTL_S: '43201' }, 'META_TTL_S'],
    [{ LIMIT_FRAME_BYTES: '32768' }, 'LIMIT_PAYLOAD_BYTES'],
    [{ LIMIT_STATE_BYTES: '65536' }, 'LIMIT_STATE_BYTES'],
    [{ ONCE_TTL_MS: '5000' }, 'RETRY_BUDGET_MS'],
    [{ CANARY_DEAD_MS: '2000' }, 'CANARY_MS'],
    [{ RETRY_BUDGET_MS: '1999' }, 'REDIS_DEADLINE_MS'],
    [{ RECONNECT_MIN_MS: '2001' }, 'RECONNECT_MAX_MS'],
    [{ DRAIN_SPREAD_MIN_MS: '30001' }, 'DRAIN_SPREAD_MAX_MS'],
    [{ PRESENCE_HOLD_MS: '10001' }, 'LEASE_MS'],
    [{ LIMIT_PUBLISH_BURST: '999' }, 'LIMIT_PUBLISH_PER_SECOND'],
    [{ LIMIT_JOINS_BURST: '199' }, 'LIMIT_JOINS_PER_SECOND'],
    [{ TRUSTED_PROXIES: '10.0.0.5/33' }, 'TRUSTED_PROXIES'],
    [{ TRUSTED_PROXIES: '10.0.0' }, 'TRUSTED_PROXIES'],
    [{ ALLOWED_ORIGINS: 'https://example.org/' }, 'nothing behind'],
    [{ ALLOWED_ORIGINS: 'https://example.org:443' }, 'ALLOWED_ORIGINS'],
    [{ ALLOWED_ORIGINS: 'https://Example.org' }, 'lower case'],
    [{ ALLOWED_ORIGINS: 'example.org' }, 'ALLOWED_ORIGINS'],
    [{ ALLOWED_ORIGINS: 'https://a.example,,https://b.example' }, 'ALLOWED_ORIGINS'],
    [{ ALLOWED_ORIGINS: '*' }, 'ALLOWED_ORIGINS'],
    [{ LIMIT_OUTBOX_MAX_BYTES: '1000' }, 'LIMIT_OUTBOX_BYTES'],
    [{ RING_BYTES_TOTAL: '2048' }, 'RING_BYTES'],
    [{ SYNC_BYTES_TOTAL: '2048' }, 'SYNC_BYTES'],
  ] as [Env, string][])('refuses %j and says %s', (env, said) => {
    expect(problems(env)).toHaveLength(1);
    expect(fixes(env)).toContain(said);
  });

  it.each([
    { LEASE_MS: '8000' },
    { LIMIT_PRESENCE_RESUME: '1000' },
    { LIMIT_FRAME_BYTES: '32769' },
    { LIMIT_PAYLOAD_BYTES: '0' },
    { LIMIT_PUBLISH_BURST: '0' },
    { LIMIT_PRESENCE_MEMBERS: '0' },
    { LIMIT_OUTBOX_MAX_BYTES: '0' },
    { CANARY_DEAD_MS: '2001' },
    { REDIS_MODE: 'off', REDIS_PASSWORD: 'x' },
    { ALLOWED_ORIGINS: 'http://localhost:3000,https://example.org,capacitor://localhost' },
    { REDIS_URL: 'redis://a', REDIS_PASSWORD: 'x', REDIS_USERNAME: 'u', REDIS_DB: '3' },
  ] as Env[])('accepts %j, which is just right', (env) => {
    expect(() => load(env)).not.toThrow();
  });

  it('warns of a name that is nearly a setting and of no other', () => {
    const { warnings } = load({
      LIMIT_PUBLSH_BURST: '1',
      REDIS_SERVICE_HOST: 'x',
      POST: '1',
      LIMIT_BATCH: '64',
    });
    expect(warnings).toEqual(['LIMIT_PUBLSH_BURST is no setting; did you mean LIMIT_PUBLISH_BURST?']);
  });
});

describe('the Redis target', () => {
  const target = (env: Env) => redisTarget(load(env).config);

  it('is off without an address and where it is switched off', () => {
    expect(target({})).toEqual({ mode: 'off' });
    expect(target({ REDIS_URL: 'redis://a', REDIS_MODE: 'off' })).toEqual({ mode: 'off' });
  });

  it('is the same from a URL and from parts', () => {
    const fromUrl = target({ REDIS_URL: 'redis://al%40ice:p%3Aw@example:6380/2' });
    const fromParts = target({
      REDIS_HOST: 'example',
      REDIS_PORT: '6380',
      REDIS_USERNAME: 'al@ice',
      REDIS_PASSWORD: 'p:w',
      REDIS_DB: '2',
    });
    expect(fromUrl).toEqual(fromParts);
    expect(fromUrl).toEqual({
      mode: 'on',
      host: 'example',
      port: 6380,
      db: 2,
      tls: false,
      username: 'al@ice',
      password: 'p:w',
      label: 'redis://al@ice:***@example:6380/2',
    });
  });

  it('fills what the URL leaves out and knows TLS and IPv6', () => {
    expect(target({ REDIS_TLS_URL: 'rediss://[::1]', REDIS_PASSWORD: 'x' })).toMatchObject({
      host: '::1',
      port: 6379,
      tls: true,
      password: 'x',
      label: 'rediss://:***@[::1]:6379/0',
    });
  });
});

describe('secrets', () => {
  const SECRET = 'hunter2';

  it.each([
    { REDIS_URL: `redis://u:${SECRET}@a`, REDIS_HOST: 'b' },
    { REDIS_URL: `redis://:${SECRET}@a/x` },
    { REDIS_URL: `redis://:a@b/${SECRET}@a` },
    { REDIS_URL: `rediss://:${SECRET}@a` },
    { REDIS_URL: `u:${SECRET}@a` },
    { REDIS_URL: `redis://:pass ${SECRET}@a` },
    { REDIS_URL: `redis://:x@a`, REDIS_PASSWORD: SECRET },
    { REDIS_PASSWORD: SECRET },
    { REDIS_HOST: `redis://:${SECRET}@a b` },
    { REDIS_PORT: `redis://:${SECRET}@a` },
    { REDIS_HOST: `u:${SECRET}@a b` },
    { REDIS_TLS_URL: `http://:${SECRET}@a` },
  ] as Env[])('stay out of the error for %j', (env) => {
    expect(problems(env).length).toBeGreaterThan(0);
    expect(JSON.stringify(problems(env))).not.toContain(SECRET);
  });

  it('stay out of an unknown flag, which may be a mistyped password', () => {
    expect(JSON.stringify(problems({}, { redisPasswort: SECRET, redisPasswrd: SECRET }))).not.toContain(
      SECRET,
    );
  });

  it('stay out of displayed values', () => {
    const { config } = load({ REDIS_URL: `redis://u:${SECRET}@a` });
    const parts = load({ REDIS_HOST: 'a', REDIS_PASSWORD: SECRET });
    const shown = settings.flatMap((s) => [displayValue(s, config), displayValue(s, parts.config)]);
    expect(shown.join(' ')).not.toContain(SECRET);
    expect(shown).toContain('redis://u:***@a');
  });
});

describe('the generated table', () => {
  it('lists every setting once with its flag and default', () => {
    const text = configTable();
    for (const s of settings) expect(text.split(`| \`${s.env}\` | \`${s.flag}\` |`)).toHaveLength(2);
    expect(text).toContain('| `RING_BYTES` | `--ring-bytes` | `1048576` (1 MiB) |');
    expect(text.endsWith('\n')).toBe(true);
  });
});
