/** The server people write by hand on an afternoon: `ws`, a Map of rooms, Redis pub/sub, a loop of sends. */
import { readFileSync } from 'node:fs';
import { NOTHING, type Wire } from '../generator/wire.ts';
import { Launched } from '../machine/launch.ts';
import type { Peer } from './peer.ts';
import { startNodes } from './start-nodes.ts';

const SERVER = 'bench/peers/servers/plain-ws.mjs';

const wire: Wire = {
  path: () => '/',
  // `{"type":"message"` against `{"type":"joined"`.
  probe: { offset: 9, byte: 'm'.charCodeAt(0) },
  opening: ({ rooms }) => rooms.map((room) => JSON.stringify({ type: 'join', room })),
  hear: (text) => (text.startsWith('{"type":"joined"') ? { joined: 1 } : NOTHING),
  publish: (room, payload) => `{"type":"publish","room":"${room}","data":"${payload}"}`,
};

export const plainWs: Peer = {
  name: 'plain-ws',
  setup: 'ws + ioredis, one Redis channel per room, a loop of ws.send per message; no history, no presence',
  usesRedis: true,
  hasRooms: true,
  hasPresence: false,
  clusters: true,
  wire,
  prepare: async () => undefined,
  version: () => {
    const of = (name: string) =>
      (JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;
    return `ws ${of('ws')}, ioredis ${of('ioredis')}, Node ${process.versions.node}`;
  },
  start: ({ nodes, cores, redisUrl }) =>
    startNodes(
      nodes,
      async () => new Launched([process.execPath, SERVER, redisUrl], { cores }),
      async (_n, node) => Number((await node.printed(/listening on (\d+)/))[1]),
    ),
};
