/**
 * Which Redis the settings name. URL and parts mean the same thing here, so that nothing behind this
 * file knows in which of the three ways it was said. Connecting is the broker's business.
 */
import type { Config } from './config-table.ts';

export type RedisTarget =
  | { readonly mode: 'off' }
  | {
      readonly mode: 'on';
      readonly host: string;
      readonly port: number;
      readonly db: number;
      readonly tls: boolean;
      readonly username?: string;
      readonly password?: string;
      /** For people and logs: `redis://user:***@host:6379/0`. Holds no secret. */
      readonly label: string;
    };

interface UrlParts {
  host: string;
  port: number;
  db?: number;
  username?: string;
  password?: string;
}

/** What a URL must not be, as the sentence that says how to mend it; undefined where it is fine. */
export function redisUrlFault(text: string, scheme: 'redis:' | 'rediss:'): string | undefined {
  if (/\s/.test(text)) return `a URL without spaces, such as ${scheme}//user:password@host:6379/0`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // What URL() throws quotes the whole input, password included, so it is not passed on.
    return `a URL such as ${scheme}//user:password@host:6379/0; percent-encode @ : / ? # in the password, or give it as REDIS_PASSWORD`;
  }
  if (url.protocol === 'rediss:' && scheme === 'redis:')
    return 'redis://; a rediss:// URL goes into REDIS_TLS_URL';
  if (url.protocol === 'redis:' && scheme === 'rediss:')
    return 'rediss://; a redis:// URL goes into REDIS_URL';
  if (url.protocol !== scheme) return `a URL that begins with ${scheme}//`;
  if (url.hostname === '') return `a host behind ${scheme}//`;
  if (url.search !== '' || url.hash !== '')
    return 'no ? or # part: other options of the link are settings of their own';
  if (!/^(\/|\/\d{1,5})?$/.test(url.pathname))
    return 'nothing or the number of the database behind the host, such as /0';
  if (url.port === '0') return 'a port from 1 to 65535';
  if (decoded(url.username) === undefined || decoded(url.password) === undefined) {
    return 'a user and password in which every % begins a percent-encoded byte (% itself is %25)';
  }
  return undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // The caller says what would be right.
  }
}

/** Only for a URL without a fault. */
export function redisUrlParts(text: string): UrlParts {
  const url = new URL(text);
  const parts: UrlParts = {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'), // [::1] is how a URL writes the address ::1
    port: url.port === '' ? 6379 : Number(url.port),
  };
  if (url.pathname.length > 1) parts.db = Number(url.pathname.slice(1));
  if (url.username !== '') parts.username = decoded(url.username) ?? '';
  if (url.password !== '') parts.password = decoded(url.password) ?? '';
  return parts;
}

export function redisTarget(config: Config): RedisTarget {
  const url = config.redisTlsUrl ?? config.redisUrl;
  if (config.redisMode === 'off' || (url === undefined && config.redisHost === undefined))
    return { mode: 'off' };
  const parts =
    url === undefined ? { host: config.redisHost ?? '', port: config.redisPort } : redisUrlParts(url);
  const whole: UrlParts = { ...parts };
  whole.username ??= config.redisUsername;
  whole.password ??= config.redisPassword;
  const tls = config.redisTlsUrl !== undefined;
  const db = whole.db ?? config.redisDb;
  return { mode: 'on', ...whole, db, tls, label: label(whole, db, tls) };
}

function label(parts: UrlParts, db: number, tls: boolean): string {
  const secret = parts.password === undefined ? '' : ':***';
  const who = parts.username === undefined && secret === '' ? '' : `${parts.username ?? ''}${secret}@`;
  const host = parts.host.includes(':') ? `[${parts.host}]` : parts.host;
  return `${tls ? 'rediss' : 'redis'}://${who}${host}:${parts.port}/${db}`;
}
