/** Socket.IO 4 with its Redis adapters, WebSocket transport only, as its performance notes advise. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { NOTHING, type Wire } from '../generator/wire.ts';
import { Launched } from '../machine/launch.ts';
import type { Peer } from './peer.ts';
import { startNodes } from './start-nodes.ts';

const FOLDER = 'bench/peers/servers';
const SERVER = `${FOLDER}/socketio.mjs`;
const ERROR_LENGTH = 200;

/** Engine.IO packet types 0 open, 2 ping, 3 pong, 4 message; inside it Socket.IO 0 connect, 2 event, 3 ack, 4 error. */
const wire: Wire = {
  path: () => '/socket.io/?EIO=4&transport=websocket',
  // `42["m",…]`: an event.
  probe: { offset: 1, byte: '2'.charCodeAt(0) },
  opening: () => [],
  hear: (text, { rooms }) => {
    if (text.startsWith('0{')) return { send: ['40'] };
    if (text.startsWith('40')) return { send: rooms.map((room, n) => `42${n}["join","${room}"]`) };
    if (text.startsWith('43')) return { joined: 1 };
    if (text === '2') return { send: ['3'] };
    if (text.startsWith('44')) return { error: text.slice(0, ERROR_LENGTH) };
    return NOTHING;
  },
  publish: (room, payload) => `42["publish","${room}","${payload}"]`,
};

async function prepare(): Promise<string | undefined> {
  if (existsSync(`${FOLDER}/node_modules/socket.io/package.json`)) return undefined;
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: FOLDER,
    stdio: ['ignore', 2, 2],
  });
  return status === 0 ? undefined : `npm ci in ${FOLDER} failed: run it by hand to see why`;
}

function version(): string {
  const of = (name: string) =>
    (JSON.parse(readFileSync(`${FOLDER}/node_modules/${name}/package.json`, 'utf8')) as { version: string })
      .version;
  return `socket.io ${of('socket.io')}, @socket.io/redis-adapter ${of('@socket.io/redis-adapter')}, Node ${process.versions.node}`;
}

function withAdapter(adapter: 'redis' | 'sharded', name: string, title: string): Peer {
  return {
    name,
    setup: `${title}; WebSocket transport only, no compression; no history, no presence`,
    usesRedis: true,
    hasRooms: true,
    hasPresence: false,
    clusters: true,
    wire,
    prepare,
    version,
    start: ({ nodes, cores, redisUrl }) =>
      startNodes(
        nodes,
        async () => new Launched([process.execPath, SERVER, adapter, redisUrl], { cores }),
        async (_n, node) => Number((await node.printed(/listening on (\d+)/))[1]),
      ),
  };
}

export const socketio = withAdapter('redis', 'socketio', '@socket.io/redis-adapter');
export const socketioSharded = withAdapter(
  'sharded',
  'socketio-sharded',
  '@socket.io/redis-adapter, sharded pub/sub, dynamic',
);
