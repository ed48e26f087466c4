/**
 * Turns the environment and the flags into one frozen `Config`, or refuses with every mistake at once:
 * an operator who mends a deployment one error per restart has lost an evening. This is the only file
 * that touches `process.env`. The rows are in config-table.ts, the rules between them in config-checks.ts.
 */
import { checks, type Source, type Sources } from './config-checks.ts';
import { redisUrlFault } from './config-redis.ts';
import { type Config, isLimit, type Setting, type SettingKey, settings } from './config-table.ts';
import { nearestName } from './config-typo.ts';
import { maskAddress, maskUrl, safeText } from './ops/redact.ts';

export type { Sources } from './config-checks.ts';
export type { Config } from './config-table.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigInput {
  readonly env: Environment;
  /** By key of the table (`limitBatch`), as text, as the command line gives them. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** Of the machine; the default of NODE_NAME is made from it. */
  readonly hostname: string;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly sources: Sources;
  /** Names in the environment that look like a mistyped setting. Not errors: they may be somebody else's. */
  readonly warnings: readonly string[];
}

export interface ConfigProblem {
  /** `LIMIT_BATCH` or `--limit-batch`, the one that was used; with commas where several contradict. */
  readonly name: string;
  /** What was given, as text that is safe to print. */
  readonly given: string;
  /** What would be right. */
  readonly fix: string;
}

/** All that is wrong with the settings. The message has one line per problem and holds no secret. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((p) => `${p.name} = ${p.given}: ${p.fix}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** The environment of this process. Everyone else is handed what they need. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Where the client commands connect when no --url is given. Not a setting of the server, so not in its table. */
export function clientUrl(env: Environment): string {
  return env['ROOMCAST_URL'] || 'ws://127.0.0.1:8080/ws';
}

type Values = Record<string, string | number | undefined>;

export function loadConfig(input: ConfigInput): LoadedConfig {
  const problems: ConfigProblem[] = [];
  const values: Values = {};
  const sources: Partial<Record<SettingKey, Source>> = {};
  const invalid = new Set<SettingKey>();
  for (const setting of settings) {
    const { raw, source } = find(setting, input);
    sources[setting.key] = source;
    const read = raw === undefined ? { value: defaultOf(setting, input.hostname) } : readValue(setting, raw);
    if ('fix' in read) {
      invalid.add(setting.key);
      const name = source === 'flag' ? setting.flag : setting.env;
      problems.push({ name, given: shown(setting, raw ?? ''), fix: read.fix });
    } else {
      values[setting.key] = read.value;
    }
  }
  problems.push(...unknownFlags(input.flags ?? {}));
  // Sound: the loop has visited every row, and the types of both records are made from the same rows.
  // Where a value is invalid the config is used by no check that names it, and never returned.
  const config = Object.freeze(values) as unknown as Config;
  const complete = Object.freeze(sources) as Sources;
  for (const check of checks) {
    if (check.keys.some((key) => invalid.has(key)) || check.holds(config, complete)) continue;
    problems.push(contradiction(check.keys, config, complete, check.fix(config)));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { config, sources: complete, warnings: misspelled(input.env) };
}

/** A flag wins over the environment. An empty variable counts as unset: compose files and CI leave them empty. */
function find(setting: Setting, input: ConfigInput): { raw: string | undefined; source: Source } {
  const flag = input.flags?.[setting.key];
  if (flag !== undefined) return { raw: flag, source: 'flag' };
  const env = input.env[setting.env];
  if (env !== undefined && env !== '') return { raw: env, source: 'env' };
  return { raw: undefined, source: 'default' };
}

function defaultOf(setting: Setting, hostname: string): string | number | undefined {
  return setting.type === 'name' ? nameFrom(hostname) : setting.default;
}

function nameFrom(hostname: string): string {
  return hostname.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 64) || 'node';
}

type Read = { value: string | number } | { fix: string };

function readValue(setting: Setting, raw: string): Read {
  const text = setting.type === 'secret' ? raw : raw.trim();
  switch (setting.type) {
    case 'int':
      return readInteger(setting, text);
    case 'choice':
      return setting.choices?.includes(text)
        ? { value: text }
        : { fix: `give one of ${setting.choices?.join(', ')}` };
    case 'url': {
      const fault = redisUrlFault(text, setting.key === 'redisTlsUrl' ? 'rediss:' : 'redis:');
      return fault === undefined ? { value: text } : { fix: `give ${fault}` };
    }
    case 'secret':
      return text === '' ? { fix: 'leave it out, or give the password' } : { value: text };
    default:
      return setting.pattern?.test(text) === false
        ? { fix: `give one word without spaces. ${setting.meaning}` }
        : { value: text };
  }
}

function readInteger(setting: Setting, text: string): Read {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = setting;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return { value };
  const off = isLimit(setting) ? ' (off)' : '';
  const what = setting.unit === 'port' || setting.unit === 'number' ? 'number' : `number (${setting.unit})`;
  return {
    fix: `give a whole ${what} from ${min}${off} to ${max}, such as ${setting.default}${hint(setting, text)}`,
  };
}

function hint(setting: Setting, text: string): string {
  if (setting.key === 'redisPort' && /^(tcp|udp):/.test(text)) {
    return '. Kubernetes sets this for a service called redis: set enableServiceLinks: false, or use --redis-port';
  }
  return '';
}

/** What was given, in quotes, without what nobody may read. */
function shown(setting: Setting, raw: string): string {
  if (setting.type === 'secret') return '***';
  return `"${safeText(maskAddress(raw), 80)}"`;
}

function contradiction(
  keys: readonly SettingKey[],
  config: Config,
  sources: Sources,
  fix: string,
): ConfigProblem {
  const parties = settings
    .filter((s) => keys.includes(s.key) && config[s.key] !== undefined)
    .sort((a, b) => keys.indexOf(a.key) - keys.indexOf(b.key));
  return {
    name: parties.map((s) => (sources[s.key] === 'flag' ? s.flag : s.env)).join(', '),
    given: parties.map((s) => shown(s, String(config[s.key]))).join(', '),
    fix,
  };
}

function unknownFlags(flags: Readonly<Record<string, string | undefined>>): ConfigProblem[] {
  const known = new Set<string>(settings.map((setting) => setting.key));
  return Object.entries(flags)
    .filter(([key, value]) => value !== undefined && !known.has(key))
    .map(([key]) => ({
      name: safeText(`--${key.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`)}`, 80),
      given: '***', // It may be a mistyped --redis-password.
      fix: 'there is no such flag; `roomcast config` lists all',
    }));
}

function misspelled(env: Environment): string[] {
  const names = settings.map((setting) => setting.env);
  return Object.keys(env)
    .filter((name) => env[name] !== '' && !names.includes(name))
    .flatMap((name) => {
      const near = nearestName(name, names);
      return near === undefined ? [] : [`${safeText(name, 64)} is no setting; did you mean ${near}?`];
    })
    .slice(0, 16);
}

/** A value as people may see it: secrets masked, nothing that a terminal would obey, `-` where there is none. */
export function displayValue(setting: Setting, config: Config): string {
  const value = config[setting.key];
  if (value === undefined) return '-';
  if (setting.type === 'secret') return '***';
  return safeText(setting.type === 'url' ? maskUrl(String(value)) : String(value));
}
