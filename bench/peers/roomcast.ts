/** This project, from its build: with a Redis, or embedded (one node, nothing beside it). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOTHING, type Wire } from '../generator/wire.ts';
import { Launched } from '../machine/launch.ts';
import type { Peer, RunningPeer, StartOptions } from './peer.ts';
import { HOST, startNodes } from './start-nodes.ts';

const MAIN = join(process.cwd(), 'dist/cli/main.js');
const ERROR_LENGTH = 300;

/** Rates are what the bench measures, so nothing may be refused for being fast. Sizes and outboxes stay as they are. */
const LIMITS_OFF = {
  LIMIT_PUBLISH_PER_SECOND: '0',
  LIMIT_PUBLISH_BURST: '0',
  LIMIT_IN_FLIGHT: '0',
  LIMIT_USER_PER_SECOND: '0',
  LIMIT_ROOM_PER_SECOND: '0',
  LIMIT_UPGRADES_PER_SECOND: '0',
};

const wire: Wire = {
  path: () => '/ws',
  subprotocol: 'roomcast.v1',
  // `{"type":"message"`: no other frame type begins with an m.
  probe: { offset: 9, byte: 'm'.charCodeAt(0) },
  opening: ({ user, rooms }) => [
    JSON.stringify({ type: 'hello', id: 0, user }),
    ...rooms.map((room, n) => JSON.stringify({ type: 'join', id: n + 1, room, presence: 'none' })),
  ],
  hear: (text) => {
    if (text.startsWith('{"type":"joined"')) return { joined: 1 };
    if (text.startsWith('{"type":"reset"')) return { told: true };
    if (text.startsWith('{"type":"error"')) return { error: text.slice(0, ERROR_LENGTH) };
    return NOTHING;
  },
  leave: (room) => JSON.stringify({ type: 'leave', id: 0, room }),
  publish: (room, payload) => `{"type":"publish","room":"${room}","data":"${payload}"}`,
};

async function start(options: StartOptions, redis: Record<string, string>): Promise<RunningPeer> {
  const command = [process.execPath, MAIN, 'serve', '--port', '0', '--host', HOST];
  const running = await startNodes(
    options.nodes,
    async (n) => {
      const env = { ...LIMITS_OFF, ...redis, NODE_NAME: `bench${n}`, LOG_FORMAT: 'json' };
      return new Launched(command, { cores: options.cores, env });
    },
    async (_n, node) => {
      const [line] = await node.printed(/^.*"msg":"listening".*$/m);
      const { port } = JSON.parse(line) as { port: number };
      await ready(port);
      return port;
    },
  );
  return { ...running, worstStallMs: () => worstStallMs(running) };
}

/** `/health` tells the longest lag of the last 10 to 20 s. */
async function worstStallMs({ nodes }: RunningPeer): Promise<number> {
  const stalls = nodes.map(async ({ port }) => {
    const health = (await (await fetch(`http://${HOST}:${port}/health`)).json()) as {
      event_loop_lag_ms: { max: number };
    };
    return health.event_loop_lag_ms.max;
  });
  return Math.max(...(await Promise.all(stalls)));
}

/** Listening comes before the first word from Redis; joins are refused until then. */
async function ready(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const { status } = await fetch(`http://${HOST}:${port}/ready`);
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('roomcast was not ready within 10 s');
}

/** Members join with presence "none": no other peer tells its members who comes and goes. */
const SETUP =
  'rate limits off; history kept; presence kept, but not told to these members; everything else as shipped';

const shared = {
  hasRooms: true,
  hasPresence: true,
  wire,
  prepare: async () => (existsSync(MAIN) ? undefined : `${MAIN} is missing: run npm run build`),
  version: () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    return `roomcast ${version}, Node ${process.versions.node}`;
  },
};

export const roomcast: Peer = {
  ...shared,
  name: 'roomcast',
  setup: `Redis broker; ${SETUP}`,
  usesRedis: true,
  clusters: true,
  start: (options) => start(options, { REDIS_URL: options.redisUrl }),
};

export const roomcastEmbedded: Peer = {
  ...shared,
  name: 'roomcast-embedded',
  setup: `embedded broker, no Redis; ${SETUP}`,
  usesRedis: false,
  clusters: false,
  start: (options) => start(options, { REDIS_MODE: 'off' }),
};
