/**
 * What must hold between settings. Each rule exists because a promise rests on it: a lease shorter than
 * four heartbeats declares living nodes dead, a frame no larger than its payload refuses every full
 * payload. A rule is only asked when the settings it names are valid in themselves, so that one mistake
 * does not read like three.
 */
import { isIP } from 'node:net';
import { redisUrlParts } from './config-redis.ts';
import type { Config, SettingKey } from './config-table.ts';

export type Source = 'default' | 'env' | 'flag';
export type Sources = Readonly<Record<SettingKey, Source>>;

interface Check {
  readonly keys: readonly SettingKey[];
  holds(config: Config, sources: Sources): boolean;
  /** What would be right. */
  fix(config: Config): string;
}

/** 0 switches a limit off, and what is off cannot contradict anything. */
function bothOn(a: number, b: number): boolean {
  return a > 0 && b > 0;
}

function atLeast(larger: NumberKey, smaller: NumberKey, why: string, limits = false): Check {
  return {
    keys: [larger, smaller],
    holds: (c) => (limits && !bothOn(c[larger], c[smaller])) || c[larger] >= c[smaller],
    fix: (c) => `the first must be at least the second (${c[smaller]}): ${why}`,
  };
}

type NumberKey = { [K in SettingKey]: Config[K] extends number ? K : never }[SettingKey];

const given = (sources: Sources, key: SettingKey): boolean => sources[key] !== 'default';

const redisChecks: readonly Check[] = [
  {
    keys: ['redisUrl', 'redisTlsUrl'],
    holds: (c) => c.redisUrl === undefined || c.redisTlsUrl === undefined,
    fix: () => 'give one of them: they would name two different servers',
  },
  {
    keys: ['redisUrl', 'redisHost'],
    holds: (c) => c.redisUrl === undefined || c.redisHost === undefined,
    fix: () => 'give one of them: the URL or the host',
  },
  {
    keys: ['redisTlsUrl', 'redisHost'],
    holds: (c) => c.redisTlsUrl === undefined || c.redisHost === undefined,
    fix: () => 'give one of them: the URL or the host',
  },
  {
    keys: ['redisMode', 'redisUrl', 'redisTlsUrl', 'redisHost'],
    holds: (c) => c.redisMode !== 'on' || hasAddress(c),
    fix: () => 'REDIS_MODE=on needs an address: set REDIS_URL, REDIS_TLS_URL or REDIS_HOST',
  },
  // A part of an address without the address most likely means that its name was mistyped. Starting
  // embedded then would look like a cluster and be one node.
  ...(['redisUsername', 'redisPassword', 'redisDb'] as const).map(
    (key): Check => ({
      keys: [key],
      holds: (c, sources) => !given(sources, key) || c.redisMode === 'off' || hasAddress(c),
      fix: () =>
        'it has no Redis to go with: set REDIS_URL, REDIS_TLS_URL or REDIS_HOST too, or REDIS_MODE=off',
    }),
  ),
  {
    keys: ['redisPort'],
    holds: (c, sources) => !given(sources, 'redisPort') || c.redisMode === 'off' || c.redisHost !== undefined,
    fix: () => 'it goes with REDIS_HOST only; a URL carries its own port (redis://host:6380)',
  },
  twice('redisUsername', 'username'),
  twice('redisPassword', 'password'),
  twice('redisDb', 'db'),
];

/** A part that the URL holds and its own setting says again: which one is meant cannot be known. */
function twice(key: SettingKey, part: 'username' | 'password' | 'db'): Check {
  return {
    keys: [key, 'redisUrl', 'redisTlsUrl'],
    holds: (c, sources) => {
      const url = c.redisTlsUrl ?? c.redisUrl;
      return url === undefined || !given(sources, key) || redisUrlParts(url)[part] === undefined;
    },
    fix: () => 'the URL already says it: leave it out of one of them',
  };
}

function hasAddress(c: Config): boolean {
  return c.redisUrl !== undefined || c.redisTlsUrl !== undefined || c.redisHost !== undefined;
}

const numberChecks: readonly Check[] = [
  atLeast('reconnectMaxMs', 'reconnectMinMs', 'they are the ends of one range'),
  atLeast('drainSpreadMaxMs', 'drainSpreadMinMs', 'they are the ends of one range'),
  atLeast('ringBytesTotal', 'ringBytes', 'the node must be able to hold one full ring'),
  atLeast('syncBytesTotal', 'syncBytes', 'the node must be able to hold one full buffer'),
  atLeast('retryBudgetMs', 'redisDeadlineMs', 'a publish must have the time for one try'),
  atLeast(
    'leaseMs',
    'presenceHoldMs',
    'a drained node leaves its members to the hold by shortening its lease',
  ),
  {
    keys: ['leaseMs', 'heartbeatMs'],
    holds: (c) => c.leaseMs >= 4 * c.heartbeatMs,
    fix: (c) =>
      `LEASE_MS must be at least 4 x HEARTBEAT_MS (${4 * c.heartbeatMs}), or a few late heartbeats end a lease`,
  },
  {
    keys: ['canaryDeadMs', 'canaryMs'],
    holds: (c) => c.canaryDeadMs > 2 * c.canaryMs,
    fix: (c) =>
      `CANARY_DEAD_MS must be more than 2 x CANARY_MS (${2 * c.canaryMs}), or one late counter cuts a good link`,
  },
  {
    keys: ['metaTtlS', 'historyTtlS'],
    holds: (c) => c.metaTtlS >= 2 * c.historyTtlS,
    fix: (c) =>
      `META_TTL_S must be at least 2 x HISTORY_TTL_S (${2 * c.historyTtlS}), or a room forgets where its kept messages stand`,
  },
  {
    keys: ['onceTtlMs', 'retryBudgetMs'],
    holds: (c) => c.onceTtlMs > c.retryBudgetMs,
    fix: (c) =>
      `ONCE_TTL_MS must be more than RETRY_BUDGET_MS (${c.retryBudgetMs}), or a retry may store a message twice`,
  },
  {
    keys: ['trustedProxies'],
    holds: (c) => (c.trustedProxies ?? '').split(',').every((part) => part === '' || isNetwork(part)),
    fix: () =>
      'TRUSTED_PROXIES takes addresses or networks with commas between, such as 10.0.0.5,10.1.0.0/16',
  },
  {
    keys: ['allowedOrigins'],
    holds: (c) => c.allowedOrigins === undefined || c.allowedOrigins.split(',').every(isOrigin),
    fix: () =>
      'ALLOWED_ORIGINS takes origins as browsers send them, with commas between: scheme and host in lower case, a port where it is not the usual one, nothing behind, such as https://example.org',
  },
  {
    keys: ['limitFrameBytes', 'limitPayloadBytes'],
    holds: (c) => !bothOn(c.limitFrameBytes, c.limitPayloadBytes) || c.limitFrameBytes > c.limitPayloadBytes,
    fix: (c) =>
      `LIMIT_FRAME_BYTES must be more than LIMIT_PAYLOAD_BYTES (${c.limitPayloadBytes}), or no full payload fits into a frame`,
  },
  {
    keys: ['limitFrameBytes', 'limitStateBytes'],
    holds: (c) => !bothOn(c.limitFrameBytes, c.limitStateBytes) || c.limitFrameBytes > c.limitStateBytes,
    fix: (c) =>
      `LIMIT_FRAME_BYTES must be more than LIMIT_STATE_BYTES (${c.limitStateBytes}), or no full state fits into a frame`,
  },
  atLeast(
    'limitPresenceMembers',
    'limitPresenceResume',
    'a room that shows members again must be below the limit',
    true,
  ),
  atLeast('limitPublishBurst', 'limitPublishPerSecond', 'a bucket must hold one second of its rate', true),
  atLeast('limitJoinsBurst', 'limitJoinsPerSecond', 'a bucket must hold one second of its rate', true),
  {
    keys: ['limitOutboxMaxBytes', 'limitOutboxBytes', 'joinBytes'],
    holds: (c) =>
      !bothOn(c.limitOutboxMaxBytes, c.limitOutboxBytes) ||
      c.limitOutboxMaxBytes >= c.limitOutboxBytes + c.joinBytes,
    fix: (c) =>
      `LIMIT_OUTBOX_MAX_BYTES must be at least LIMIT_OUTBOX_BYTES + JOIN_BYTES (${c.limitOutboxBytes + c.joinBytes}), or the reply to a join closes the connection it is for`,
  },
];

export const checks: readonly Check[] = [...redisChecks, ...numberChecks];

/** Compared byte by byte later on, so what a browser would never send is a mistake now. Apps have schemes of their own. */
function isOrigin(text: string): boolean {
  if (/^https?:/i.test(text)) return URL.canParse(text) && new URL(text).origin === text;
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+$/.test(text);
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (bitsMax < 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax);
}
