/** NATS over its WebSocket listener: no Redis, core subjects (at most once), the server's defaults. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOTHING, type Wire } from '../generator/wire.ts';
import { cacheFolder } from '../machine/cache.ts';
import { unpackDebian } from '../machine/debian.ts';
import { Launched } from '../machine/launch.ts';
import { versionOf, which } from '../machine/which.ts';
import { freePort } from '../../test/support/redis-server.ts';
import { NatsCounter } from './nats-counter.ts';
import type { Peer } from './peer.ts';
import { HOST, startNodes } from './start-nodes.ts';

let program = '';

const CONNECT = 'CONNECT {"verbose":false,"pedantic":false,"echo":true,"lang":"bench","version":"1"}\r\n';

const wire: Wire = {
  path: () => '/',
  binary: true,
  probe: 'everything',
  counter: (heard) => new NatsCounter(heard),
  opening: ({ rooms }) => [
    `${CONNECT}${rooms.map((room, n) => `SUB ${room} ${n + 1}\r\n`).join('')}PING\r\n`,
  ],
  hear: (line, { rooms }) => {
    if (line === 'PONG') return { joined: rooms.length };
    if (line === 'PING') return { send: ['PONG\r\n'] };
    if (line.startsWith('-ERR')) return { error: line };
    return NOTHING;
  },
  publish: (room, payload) => `PUB ${room} ${payload.length}\r\n${payload}\r\n`,
};

async function prepare(): Promise<string | undefined> {
  const found = which('nats-server');
  if (found !== undefined) {
    program = found;
    return undefined;
  }
  const unpacked = unpackDebian('nats', { packages: ['nats-server'], files: ['usr/sbin/nats-server'] });
  if ('reason' in unpacked) return unpacked.reason;
  program = join(unpacked.root, 'usr/sbin/nats-server');
  return undefined;
}

function configuration(port: number, own: number, others: readonly number[]): string {
  const routes = others.map((other) => `"nats://${HOST}:${other}"`).join(', ');
  return [
    `listen: "${HOST}:-1"`,
    'max_connections: 100000',
    `websocket { listen: "${HOST}:${port}", no_tls: true, compression: false }`,
    `cluster { name: "bench", listen: "${HOST}:${own}", routes: [${routes}] }`,
  ].join('\n');
}

export const nats: Peer = {
  name: 'nats',
  setup:
    'nats-server over WebSocket, core subjects, no Redis, no history, no presence; everything else as shipped',
  usesRedis: false,
  hasRooms: true,
  hasPresence: false,
  clusters: true,
  wire,
  prepare,
  version: () => `nats-server ${versionOf(program, ['-v'])}`,
  start: async ({ nodes, cores }) => {
    const ports: number[] = [];
    const routes: number[] = [];
    return startNodes(
      nodes,
      async () => {
        const port = await freePort();
        const route = await freePort();
        const file = join(cacheFolder('nats'), `${port}.conf`);
        writeFileSync(file, configuration(port, route, routes));
        ports.push(port);
        routes.push(route);
        return new Launched([program, '-c', file], { cores });
      },
      async (n, node) => {
        await node.listens(ports[n] ?? 0);
        return ports[n] ?? 0;
      },
    );
  },
};
