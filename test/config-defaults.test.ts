/**
 * What a server does when nobody sets anything. Operators size machines by these figures and client
 * authors read them in docs/PROTOCOL.md, so a default that moves has to be moved here too, knowingly.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Config, loadConfig } from '../src/config.ts';
import { settings } from '../src/config-table.ts';

const KB = 1024;
const MB = 1024 * KB;
const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

const { config } = loadConfig({ env: {}, hostname: 'node-1' });

type Figures = Partial<Record<keyof Config, string | number>>;

const DEFAULTS: Readonly<Record<string, Figures>> = {
  Listening: {
    port: 8080,
    host: '0.0.0.0',
    nodeName: 'node-1',
    demo: 'on',
    logLevel: 'info',
    logFormat: 'auto',
  },
  Redis: {
    redisPort: 6379,
    redisDb: 0,
    redisMode: 'auto',
    redisPrefix: 'rc:',
    redisDeadlineMs: 2000,
    retryBudgetMs: 5000,
    canaryMs: 1000,
    canaryDeadMs: 3000,
  },
  Connections: {
    helloTimeoutMs: 5000,
    pingIntervalMs: 25_000,
    closeTimeoutMs: 5000,
    reconnectMinMs: 0,
    reconnectMaxMs: 2000,
    connectionAgeMaxS: 4 * HOUR_S,
    writeDirect: 'auto',
    isolateCloseMs: 0,
  },
  'History and recovery': {
    historyMessages: 1000,
    historyTtlS: 5 * MINUTE_S,
    metaTtlS: DAY_S,
    onceTtlMs: 2 * MINUTE_S * 1000,
    inboxMessages: 1000,
    inboxTtlS: 7 * DAY_S,
    ringMessages: 256,
    ringBytes: MB,
    ringBytesTotal: 64 * MB,
    syncMessages: 1000,
    syncBytes: 4 * MB,
    syncBytesTotal: 64 * MB,
    joinMessages: 500,
    joinBytes: MB,
    lingerMs: 10_000,
  },
  Presence: { presenceHoldMs: 5000, presenceWindowMs: 100, leaseMs: 10_000, heartbeatMs: 2000 },
  Drain: { drainNoticeMs: 1000, drainSpreadMinMs: 5000, drainSpreadMaxMs: 30_000 },
  Limits: {
    limitPayloadBytes: 32 * KB,
    limitFrameBytes: 64 * KB,
    limitBatch: 64,
    limitStateBytes: 4 * KB,
    limitHistoryMessages: 100,
    limitRoomsPerConnection: 200,
    limitPublishPerSecond: 1000,
    limitPublishBurst: 2000,
    limitJoinsPerSecond: 200,
    limitJoinsBurst: 400,
    limitInFlight: 1024,
    limitUserPerSecond: 2000,
    limitUserConnections: 100,
    limitRoomPerSecond: 10_000,
    limitAddressConnections: 200,
    limitUpgradesPerSecond: 5000,
    limitBadFramesPerMinute: 20,
    limitRateSeconds: 10,
    limitPresenceMembers: 1000,
    limitPresenceResume: 900,
    limitOutboxBytes: 256 * KB,
    limitOutboxMaxBytes: 2 * MB,
    limitOutboxTotalBytes: 256 * MB,
    limitOutboxStallMs: 10_000,
  },
};

describe('the default', () => {
  const rows = Object.entries(DEFAULTS).flatMap(([group, figures]) =>
    Object.entries(figures).map(([key, value]) => ({ group, key: key as keyof Config, value })),
  );

  test.each(rows)('of $key is $value', ({ group, key, value }) => {
    expect(config[key]).toBe(value);
    expect(settings.find((setting) => setting.key === key)?.group).toBe(group);
  });

  test('of every other setting is to be absent', () => {
    const named = new Set<string>(rows.map(({ key }) => key));
    const others = settings.filter(({ key }) => !named.has(key));
    expect(others.map(({ key }) => [key, config[key]])).toEqual(others.map(({ key }) => [key, undefined]));
  });
});

describe('the limits of docs/PROTOCOL.md', () => {
  const page = readFileSync('docs/PROTOCOL.md', 'utf8');
  const table = /\| limit \| default \| over it \|\n\|[-|]+\|\n((?:\|.*\n)+)/.exec(page)?.[1] ?? '';
  const written = table
    .trim()
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .map(([, what = '', figure = '']) => [what, figure]);

  const count = (value: number): string => value.toLocaleString('en-US');
  const bytes = (value: number): string => (value >= MB ? `${value / MB} MB` : `${value / KB} KB`);

  test('are those of the code, each of them', () => {
    expect(config.limitPublishBurst).toBe(2 * config.limitPublishPerSecond);
    expect(config.limitJoinsBurst).toBe(2 * config.limitJoinsPerSecond);
    expect(written).toEqual([
      ['limits.payloadBytes: bytes of data, encoded', bytes(config.limitPayloadBytes)],
      ['limits.roomsPerConnection', count(config.limitRoomsPerConnection)],
      [
        'limits.publishPerSecond: publishes, sends, signals, reads and questions about a user of a connection, with bursts of twice that',
        count(config.limitPublishPerSecond),
      ],
      ['limits.batch', count(config.limitBatch)],
      ['limits.historyMessages: in one history or join', count(config.limitHistoryMessages)],
      ['bytes of a WebSocket message', bytes(config.limitFrameBytes)],
      ['bytes of state, encoded', bytes(config.limitStateBytes)],
      ['joins of a connection in a second, with bursts of twice that', count(config.limitJoinsPerSecond)],
      [
        'publishes of a connection and room under way; frames of a connection that wait for a join',
        count(config.limitInFlight),
      ],
      [
        'publishes, sends, signals and reads of a user in a second, on one node',
        count(config.limitUserPerSecond),
      ],
      ['publishes in a room, or sends to a user, in a second, on one node', count(config.limitRoomPerSecond)],
      ['connections of a user', count(config.limitUserConnections)],
      ['connections of an address', count(config.limitAddressConnections)],
      ['new connections of a node in a second', count(config.limitUpgradesPerSecond)],
      ['users of a room that are listed by name', count(config.limitPresenceMembers)],
      ['messages, and bytes, in one joined', `${count(config.joinMessages)}, ${bytes(config.joinBytes)}`],
    ]);
  });

  test.each([
    ['a first frame', `Without a first frame within ${config.helloTimeoutMs / 1000} s`],
    ['a key', `remembered for ${config.onceTtlMs / 60_000} minutes`],
    [
      'the history of a room',
      `by default the last ${count(config.historyMessages)} messages of the last ${config.historyTtlS / 60} minutes`,
    ],
    [
      'an inbox',
      `kept for ${config.inboxTtlS / DAY_S} days after its last message, at most ${count(config.inboxMessages)} messages`,
    ],
    ['a membership without a connection', `keeps the user listed for ${config.presenceHoldMs / 1000} s`],
    ['the window of presence', `The changes of ${config.presenceWindowMs} ms are merged`],
    ['members again', `Once it is down to ${config.limitPresenceResume} a snapshot`],
    ['bad frames', `more than ${config.limitBadFramesPerMinute} invalid frames within a minute`],
    ['rates', `over a rate in each of ${config.limitRateSeconds} consecutive seconds`],
    [
      'a range of reconnects',
      `"reconnect": {"minMs": ${config.reconnectMinMs}, "maxMs": ${config.reconnectMaxMs}}`,
    ],
    ['pings', `"pingIntervalMs": ${config.pingIntervalMs}`],
  ])('say of %s what the code has', (_what, sentence) => {
    expect(page).toContain(sentence);
  });
});
