/**
 * Every setting of the server, once: its name, what it may be, what it is when nobody says, and what
 * it means. The type `Config`, the environment variables, the flags of `roomcast serve`, `roomcast
 * config` and the table in docs/OPERATIONS.md all come from these rows, so none of them can drift.
 * Nothing is read or checked here; that is config.ts.
 *
 * Checklist for a new setting: a row here, a check in config-checks.ts if it depends on another one,
 * and `npm run docs`.
 */

/** `name` is a text whose default is the host name; `secret` is never shown; `url` is shown without its password. */
type SettingType = 'int' | 'text' | 'name' | 'choice' | 'url' | 'secret';

interface Row {
  readonly group: string;
  readonly env: string;
  readonly type: SettingType;
  readonly default?: number | string;
  /** Lowest and highest value of an `int`. Every limit may be 0, which switches it off. */
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** What a `text` or `name` must look like, as a pattern over the whole value. */
  readonly pattern?: RegExp;
  readonly unit: string;
  readonly meaning: string;
}

/** Timers of Node take at most 2^31 - 1 ms and fire at once beyond it. */
const TIMER_MS_MAX = 2_147_483_647;
const COUNT_MAX = 1_000_000_000;
const BYTES_MAX = 1_073_741_824;
const TEXT = /^[^\s\p{C}]{1,255}$/u;

// biome-ignore format: one row per setting, read by its columns.
const rows = [
  { group: 'Listening', env: 'PORT', type: 'int', default: 8080, min: 0, max: 65535, unit: 'port', meaning: 'TCP port of HTTP and WebSocket. 0 picks a free one and prints it.' },
  { group: 'Listening', env: 'HOST', type: 'text', default: '0.0.0.0', pattern: TEXT, unit: 'address', meaning: 'Address to listen on.' },
  { group: 'Listening', env: 'NODE_NAME', type: 'name', pattern: /^[A-Za-z0-9_-]{1,64}$/, unit: 'name', meaning: 'Name of this node in `welcome`, logs and Redis. 1-64 of A-Z a-z 0-9 _ -.' },
  { group: 'Listening', env: 'TRUSTED_PROXIES', type: 'text', pattern: /^[0-9A-Fa-f.:/]+(,[0-9A-Fa-f.:/]+)*$/, unit: 'addresses', meaning: 'Proxies whose X-Forwarded-For says who the client is: addresses or networks with commas between, `10.0.0.5,10.1.0.0/16`. Without it all clients behind a proxy count as one address.' },
  { group: 'Listening', env: 'ALLOWED_ORIGINS', type: 'text', pattern: /^[^\s\p{C}]{1,4096}$/u, unit: 'origins', meaning: 'Pages that may connect: origins as browsers send them, with commas between, `https://example.org,https://app.example.org:8443`. Another `Origin` is refused with 403; clients that send none are no browsers and are let in. Without it every page may connect. The demo page needs the origin it is opened at.' },
  { group: 'Listening', env: 'DEMO', type: 'choice', default: 'on', choices: ['on', 'off'], unit: 'switch', meaning: 'Whether the demo page at `/` and the client library at `/roomcast.js` are served.' },
  { group: 'Listening', env: 'LOG_LEVEL', type: 'choice', default: 'info', choices: ['debug', 'info', 'warn', 'error', 'silent'], unit: 'level', meaning: 'Least severe line that is written.' },
  { group: 'Listening', env: 'LOG_FORMAT', type: 'choice', default: 'auto', choices: ['auto', 'json', 'pretty'], unit: 'format', meaning: 'auto writes for people on a terminal; elsewhere JSON on standard output, and the first lines for people on standard error. json writes JSON alone.' },

  { group: 'Redis', env: 'REDIS_URL', type: 'url', unit: 'redis://', meaning: 'Redis without TLS: `redis://user:password@host:6379/0`. Excludes REDIS_TLS_URL and REDIS_HOST.' },
  { group: 'Redis', env: 'REDIS_TLS_URL', type: 'url', unit: 'rediss://', meaning: 'Redis with TLS: `rediss://user:password@host:6379/0`. Excludes REDIS_URL and REDIS_HOST.' },
  { group: 'Redis', env: 'REDIS_HOST', type: 'text', pattern: TEXT, unit: 'host', meaning: 'Redis by parts instead of a URL, without TLS.' },
  { group: 'Redis', env: 'REDIS_PORT', type: 'int', default: 6379, min: 1, max: 65535, unit: 'port', meaning: 'Port beside REDIS_HOST. A URL carries its own.' },
  { group: 'Redis', env: 'REDIS_USERNAME', type: 'text', pattern: TEXT, unit: 'name', meaning: 'ACL user, where the URL names none.' },
  { group: 'Redis', env: 'REDIS_PASSWORD', type: 'secret', unit: 'text', meaning: 'Password, where the URL holds none. Never shown.' },
  { group: 'Redis', env: 'REDIS_DB', type: 'int', default: 0, min: 0, max: 65535, unit: 'number', meaning: 'Logical database, where the URL names none. Deployments in different databases hear nothing of each other.' },
  { group: 'Redis', env: 'REDIS_MODE', type: 'choice', default: 'auto', choices: ['auto', 'on', 'off'], unit: 'mode', meaning: 'auto uses Redis where a URL or a host is given, else the embedded broker (one node). on refuses to start without an address. off ignores the address.' },
  { group: 'Redis', env: 'REDIS_PREFIX', type: 'text', default: 'rc:', pattern: /^[A-Za-z0-9_.:/-]{1,64}$/, unit: 'text', meaning: 'Begins every key and channel. The same on all nodes of a deployment. 1-64 of A-Z a-z 0-9 _ . : / -.' },
  { group: 'Redis', env: 'REDIS_DEADLINE_MS', type: 'int', default: 2000, min: 50, max: 60_000, unit: 'ms', meaning: 'Longest wait for an answer to begin, and a quarter of it while one arrives; then the link is cut and the command counts as unanswered.' },
  { group: 'Redis', env: 'RETRY_BUDGET_MS', type: 'int', default: 5000, min: 100, max: 600_000, unit: 'ms', meaning: 'How long an unanswered publish is tried again before `unknown_outcome`. At least REDIS_DEADLINE_MS, less than ONCE_TTL_MS.' },
  { group: 'Redis', env: 'CANARY_MS', type: 'int', default: 1000, min: 50, max: 60_000, unit: 'ms', meaning: 'Every how often a counter is sent through Redis to prove that messages arrive.' },
  { group: 'Redis', env: 'CANARY_DEAD_MS', type: 'int', default: 3000, min: 150, max: 600_000, unit: 'ms', meaning: 'Silence of the counter after which the link is replaced. More than 2 x CANARY_MS.' },

  { group: 'Connections', env: 'HELLO_TIMEOUT_MS', type: 'int', default: 5000, min: 100, max: 600_000, unit: 'ms', meaning: 'Time for the first frame; then close 4001.' },
  { group: 'Connections', env: 'PING_INTERVAL_MS', type: 'int', default: 25_000, min: 100, max: 600_000, unit: 'ms', meaning: 'Between WebSocket pings. A peer silent for two of them is dropped.' },
  { group: 'Connections', env: 'CLOSE_TIMEOUT_MS', type: 'int', default: 5000, min: 100, max: 60_000, unit: 'ms', meaning: 'Time for the closing handshake; then the socket is destroyed.' },
  { group: 'Connections', env: 'RECONNECT_MIN_MS', type: 'int', default: 0, min: 0, max: 600_000, unit: 'ms', meaning: 'Shortest first reconnect delay that clients are told in `welcome`.' },
  { group: 'Connections', env: 'RECONNECT_MAX_MS', type: 'int', default: 2000, min: 0, max: 600_000, unit: 'ms', meaning: 'Longest first reconnect delay that clients are told. At least RECONNECT_MIN_MS.' },
  { group: 'Connections', env: 'CONNECTION_AGE_MAX_S', type: 'int', default: 14_400, min: 0, max: 31_536_000, unit: 's', meaning: 'A connection older than this, 25 % more or less at random, is closed 1012 and comes back at once and unseen, so that an old process of a proxy empties after a reload. Not while Redis is away. 0 = never.' },
  { group: 'Connections', env: 'ISOLATE_CLOSE_MS', type: 'int', default: 0, min: 0, max: TIMER_MS_MAX, unit: 'ms', meaning: 'When Redis was away for so long, connections are closed 1012, spread as in a drain, to try another node. 0 = never: a node cannot tell whether it alone lost Redis.' },
  { group: 'Connections', env: 'WRITE_DIRECT', type: 'choice', default: 'auto', choices: ['auto', 'off'], unit: 'switch', meaning: 'auto writes to sockets past the stream of Node where its version is known for it: a tenth less CPU per delivery. off never does.' },

  { group: 'History and recovery', env: 'HISTORY_MESSAGES', type: 'int', default: 1000, min: 1, max: 1_000_000, unit: 'messages', meaning: 'Newest messages kept per room.' },
  { group: 'History and recovery', env: 'HISTORY_TTL_S', type: 'int', default: 300, min: 1, max: 2_592_000, unit: 's', meaning: "A room's messages expire together this long after the last one." },
  { group: 'History and recovery', env: 'META_TTL_S', type: 'int', default: 86_400, min: 600, max: 31_536_000, unit: 's', meaning: "A room's position is remembered this long after its last use. At least 2 x HISTORY_TTL_S." },
  { group: 'History and recovery', env: 'ONCE_TTL_MS', type: 'int', default: 120_000, min: 1000, max: 86_400_000, unit: 'ms', meaning: 'How long the `key` of a publish is remembered. The embedded broker remembers the newest 100,000: less long above some 800 keyed publishes per second.' },
  { group: 'History and recovery', env: 'INBOX_MESSAGES', type: 'int', default: 1000, min: 1, max: 1_000_000, unit: 'messages', meaning: 'Newest messages kept per inbox.' },
  { group: 'History and recovery', env: 'INBOX_TTL_S', type: 'int', default: 604_800, min: 300, max: 15_552_000, unit: 's', meaning: "An inbox's messages expire together this long after the last one; its position and read mark twice as long after their last use." },
  { group: 'History and recovery', env: 'RING_MESSAGES', type: 'int', default: 256, min: 1, max: 1_000_000, unit: 'messages', meaning: 'Newest messages per room kept in memory, so that most resumes ask nobody.' },
  { group: 'History and recovery', env: 'RING_BYTES', type: 'int', default: 1_048_576, min: 1024, max: BYTES_MAX, unit: 'bytes', meaning: 'The same, by size.' },
  { group: 'History and recovery', env: 'RING_BYTES_TOTAL', type: 'int', default: 67_108_864, min: 1024, max: 64 * BYTES_MAX, unit: 'bytes', meaning: 'All rings of the node together; the least recently used is dropped. At least RING_BYTES.' },
  { group: 'History and recovery', env: 'SYNC_MESSAGES', type: 'int', default: 1000, min: 1, max: 1_000_000, unit: 'messages', meaning: 'Buffered per room while a gap heals; beyond it the gap is read again.' },
  { group: 'History and recovery', env: 'SYNC_BYTES', type: 'int', default: 4_194_304, min: 1024, max: BYTES_MAX, unit: 'bytes', meaning: 'The same, by size.' },
  { group: 'History and recovery', env: 'SYNC_BYTES_TOTAL', type: 'int', default: 67_108_864, min: 1024, max: 64 * BYTES_MAX, unit: 'bytes', meaning: 'All such buffers of the node together. At least SYNC_BYTES.' },
  { group: 'History and recovery', env: 'JOIN_MESSAGES', type: 'int', default: 500, min: 1, max: 100_000, unit: 'messages', meaning: 'Most missed messages one `joined` carries; beyond it `recovered: false`, `too_far`.' },
  { group: 'History and recovery', env: 'JOIN_BYTES', type: 'int', default: 1_048_576, min: 1024, max: BYTES_MAX, unit: 'bytes', meaning: 'The same, by size.' },
  { group: 'History and recovery', env: 'LINGER_MS', type: 'int', default: 10_000, min: 0, max: 3_600_000, unit: 'ms', meaning: 'How long a node stays subscribed to a room after its last member left.' },

  { group: 'Presence', env: 'PRESENCE_HOLD_MS', type: 'int', default: 5000, min: 0, max: 600_000, unit: 'ms', meaning: 'How long a user whose connection ended stays a member, so that a reload shows nothing. At most LEASE_MS.' },
  { group: 'Presence', env: 'PRESENCE_WINDOW_MS', type: 'int', default: 100, min: 0, max: 60_000, unit: 'ms', meaning: 'Presence changes within this window leave as one frame.' },
  { group: 'Presence', env: 'LEASE_MS', type: 'int', default: 10_000, min: 400, max: 3_600_000, unit: 'ms', meaning: 'A node silent this long counts as dead and its members leave. At least 4 x HEARTBEAT_MS.' },
  { group: 'Presence', env: 'HEARTBEAT_MS', type: 'int', default: 2000, min: 100, max: 600_000, unit: 'ms', meaning: 'Between two renewals of the lease.' },

  { group: 'Drain', env: 'DRAIN_NOTICE_MS', type: 'int', default: 1000, min: 0, max: 600_000, unit: 'ms', meaning: 'Between `/ready` turning 404 and the first `closing`: twice the health check interval of the proxy.' },
  { group: 'Drain', env: 'DRAIN_SPREAD_MIN_MS', type: 'int', default: 5000, min: 0, max: 3_600_000, unit: 'ms', meaning: 'Least time over which a drain spreads the reconnects.' },
  { group: 'Drain', env: 'DRAIN_SPREAD_MAX_MS', type: 'int', default: 30_000, min: 0, max: 3_600_000, unit: 'ms', meaning: 'Most time over which a drain spreads them. At least DRAIN_SPREAD_MIN_MS.' },

  { group: 'Limits', env: 'LIMIT_PAYLOAD_BYTES', type: 'int', default: 32_768, min: 0, max: 67_108_864, unit: 'bytes', meaning: '`data` of one publish or signal; above it `too_large`.' },
  { group: 'Limits', env: 'LIMIT_FRAME_BYTES', type: 'int', default: 65_536, min: 0, max: 134_217_728, unit: 'bytes', meaning: 'One WebSocket frame from a client; above it close 1009. More than LIMIT_PAYLOAD_BYTES.' },
  { group: 'Limits', env: 'LIMIT_BATCH', type: 'int', default: 64, min: 0, max: 10_000, unit: 'frames', meaning: 'Frames in one batch; above it `limit_exceeded`.' },
  { group: 'Limits', env: 'LIMIT_STATE_BYTES', type: 'int', default: 4096, min: 0, max: 1_048_576, unit: 'bytes', meaning: 'Presence state of one user; above it `limit_exceeded`. Less than LIMIT_FRAME_BYTES.' },
  { group: 'Limits', env: 'LIMIT_HISTORY_MESSAGES', type: 'int', default: 100, min: 0, max: 100_000, unit: 'messages', meaning: 'Most messages that one `history` or one `join` may ask for. 0: `history` still gives at most 1,000 at a time.' },
  { group: 'Limits', env: 'LIMIT_ROOMS_PER_CONNECTION', type: 'int', default: 200, min: 0, max: COUNT_MAX, unit: 'rooms', meaning: 'Rooms one connection may be in; above it `limit_exceeded`.' },
  { group: 'Limits', env: 'LIMIT_PUBLISH_PER_SECOND', type: 'int', default: 1000, min: 0, max: COUNT_MAX, unit: 'per s', meaning: 'Publishes and signals of one connection; above it `rate_limited`.' },
  { group: 'Limits', env: 'LIMIT_PUBLISH_BURST', type: 'int', default: 2000, min: 0, max: COUNT_MAX, unit: 'frames', meaning: 'How many of them may come at once. At least LIMIT_PUBLISH_PER_SECOND.' },
  { group: 'Limits', env: 'LIMIT_JOINS_PER_SECOND', type: 'int', default: 200, min: 0, max: COUNT_MAX, unit: 'per s', meaning: 'Joins of one connection; above it `rate_limited`.' },
  { group: 'Limits', env: 'LIMIT_JOINS_BURST', type: 'int', default: 400, min: 0, max: COUNT_MAX, unit: 'frames', meaning: 'How many of them may come at once. At least LIMIT_JOINS_PER_SECOND.' },
  { group: 'Limits', env: 'LIMIT_IN_FLIGHT', type: 'int', default: 1024, min: 0, max: COUNT_MAX, unit: 'publishes', meaning: 'Unanswered publishes of one connection in one room; above it `rate_limited`.' },
  { group: 'Limits', env: 'LIMIT_USER_PER_SECOND', type: 'int', default: 2000, min: 0, max: COUNT_MAX, unit: 'per s', meaning: 'Publishes, sends, signals and reads of one user over all their connections to this node.' },
  { group: 'Limits', env: 'LIMIT_USER_CONNECTIONS', type: 'int', default: 100, min: 0, max: COUNT_MAX, unit: 'connections', meaning: 'Connections of one user; above it close 4509.' },
  { group: 'Limits', env: 'LIMIT_ROOM_PER_SECOND', type: 'int', default: 10_000, min: 0, max: COUNT_MAX, unit: 'per s', meaning: 'Publishes into one room on this node; above it `rate_limited`.' },
  { group: 'Limits', env: 'LIMIT_ADDRESS_CONNECTIONS', type: 'int', default: 200, min: 0, max: COUNT_MAX, unit: 'connections', meaning: 'Connections from one address; loopback is exempt. Above it HTTP 429.' },
  { group: 'Limits', env: 'LIMIT_UPGRADES_PER_SECOND', type: 'int', default: 5000, min: 0, max: COUNT_MAX, unit: 'per s', meaning: 'New connections of this node; above it HTTP 503 with Retry-After.' },
  { group: 'Limits', env: 'LIMIT_BAD_FRAMES_PER_MINUTE', type: 'int', default: 20, min: 0, max: COUNT_MAX, unit: 'per min', meaning: 'Malformed frames of one connection; above it close 4508.' },
  { group: 'Limits', env: 'LIMIT_RATE_SECONDS', type: 'int', default: 10, min: 0, max: 3600, unit: 's', meaning: 'Consecutive seconds with a `rate_limited` after which a connection is closed 4008.' },
  { group: 'Limits', env: 'LIMIT_PRESENCE_MEMBERS', type: 'int', default: 1000, min: 0, max: 1_000_000, unit: 'users', meaning: 'Users in a room above which its presence degrades to counts.' },
  { group: 'Limits', env: 'LIMIT_PRESENCE_RESUME', type: 'int', default: 900, min: 0, max: 1_000_000, unit: 'users', meaning: 'Users at which such a room shows members again. At most LIMIT_PRESENCE_MEMBERS.' },
  { group: 'Limits', env: 'LIMIT_OUTBOX_BYTES', type: 'int', default: 262_144, min: 0, max: BYTES_MAX, unit: 'bytes', meaning: 'Waiting for one connection, 256 bytes counted for each buffer beside its own, above which it is paused and catches up later.' },
  { group: 'Limits', env: 'LIMIT_OUTBOX_MAX_BYTES', type: 'int', default: 2_097_152, min: 0, max: BYTES_MAX, unit: 'bytes', meaning: 'The same, the largest frame that waits not counted, above which it is closed 4009. At least LIMIT_OUTBOX_BYTES and one full reply (JOIN_BYTES) together.' },
  { group: 'Limits', env: 'LIMIT_OUTBOX_TOTAL_BYTES', type: 'int', default: 268_435_456, min: 0, max: 1_099_511_627_776, unit: 'bytes', meaning: 'Held for all connections of the node together, a message that waits for many counted once; above it the largest are closed 1013 first.' },
  { group: 'Limits', env: 'LIMIT_OUTBOX_STALL_MS', type: 'int', default: 10_000, min: 0, max: TIMER_MS_MAX, unit: 'ms', meaning: 'A paused connection that takes nothing for this long is closed 4009.' },
] as const satisfies readonly Row[];

type AnyRow = (typeof rows)[number];

/** LIMIT_PAYLOAD_BYTES -> limitPayloadBytes, for types. */
type Camel<S extends string> = S extends `${infer A}_${infer B}`
  ? `${Lowercase<A>}${Capitalize<Camel<B>>}`
  : Lowercase<S>;

type Value<R extends AnyRow> = R extends { type: 'int' }
  ? number
  : R extends { choices: readonly (infer C)[] }
    ? C
    : R extends { type: 'name' } | { default: string }
      ? string
      : string | undefined;

/** The settings of a running server: flat, frozen, each consumer declares the part it needs. */
export type Config = { readonly [R in AnyRow as Camel<R['env']>]: Value<R> };
export type SettingKey = keyof Config;

export interface Setting extends Row {
  readonly key: SettingKey;
  /** With its dashes: `--limit-payload-bytes`. */
  readonly flag: string;
}

function keyOf(env: string): SettingKey {
  const [first = '', ...rest] = env.toLowerCase().split('_');
  // Sound because `Camel` above is this function for types; test/config.test.ts compares the two.
  return (first + rest.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')) as SettingKey;
}

function flagOf(env: string): string {
  return `--${env.toLowerCase().replaceAll('_', '-')}`;
}

export const settings: readonly Setting[] = rows.map((row: Row) => ({
  ...row,
  key: keyOf(row.env),
  flag: flagOf(row.env),
}));

export function isLimit(setting: Setting): boolean {
  return setting.env.startsWith('LIMIT_');
}
