/** Nchan, the nginx module, with Redis in its default (distributed) mode as its README sets it up. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { NOTHING, type Wire } from '../generator/wire.ts';
import { cacheFolder } from '../machine/cache.ts';
import { unpackDebian } from '../machine/debian.ts';
import { Launched } from '../machine/launch.ts';
import { versionOf } from '../machine/which.ts';
import { freePort } from '../../test/support/redis-server.ts';
import type { Peer } from './peer.ts';
import { HOST, startNodes } from './start-nodes.ts';

const NGINX = 'usr/sbin/nginx';
const MODULE = 'usr/lib/nginx/modules/ngx_nchan_module.so';
const STATE_FOLDER = '/var/lib/nginx';
const CONNECTIONS = 16_000;
let root = '';

const wire: Wire = {
  path: ({ rooms }) => `/room/${rooms[0]}`,
  // Messages are their payloads, and ours begin with the marker; what a publisher is told does not.
  probe: { offset: 0, byte: '#'.charCodeAt(0) },
  joinsByUpgrade: true,
  opening: () => [],
  hear: () => NOTHING,
  publish: (_room, payload) => payload,
};

async function prepare(): Promise<string | undefined> {
  const unpacked = unpackDebian('nchan', {
    packages: ['nginx', 'libnginx-mod-nchan'],
    files: [NGINX, MODULE],
  });
  if ('reason' in unpacked) return unpacked.reason;
  root = unpacked.root;
  return makeStateFolder();
}

/** Nchan 1.3 makes nginx check the temporary folders it was compiled with, whatever its configuration says. */
function makeStateFolder(): string | undefined {
  try {
    mkdirSync(STATE_FOLDER, { recursive: true });
    return undefined;
  } catch (error) {
    return `needs an empty folder ${STATE_FOLDER}: make it as root (${String(error)})`;
  }
}

/** The module tells nobody its version; the package it came in does. */
function moduleVersion(): string {
  const packed = readFileSync(join(root, 'usr/share/doc/libnginx-mod-nchan/changelog.Debian.gz'));
  return /\((?:\d+:)?([^)]+)\)/.exec(gunzipSync(packed).toString())?.[1] ?? 'of an unknown version';
}

/** The message buffer is as large and as old as roomcast's history, so both keep the same. */
function configuration(port: number, redisUrl: string, folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  return `load_module ${join(root, MODULE)};
daemon off; pid ${folder}/nginx.pid; error_log stderr error;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1; worker_rlimit_nofile ${CONNECTIONS + 1000};
events { worker_connections ${CONNECTIONS}; }
http {
  access_log off; ${temporary}
  upstream redis { nchan_redis_server ${redisUrl}; }
  server {
    listen ${HOST}:${port} backlog=4096;
    location ~ ^/room/(.+)$ {
      nchan_pubsub websocket;
      nchan_channel_id $1;
      nchan_redis_pass redis;
      nchan_subscriber_first_message newest;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 5m;
    }
  }
}
`;
}

export const nchan: Peer = {
  name: 'nchan',
  setup:
    'nginx + Nchan, one worker, Redis in distributed mode, 1,000 messages or 5 minutes kept; no presence',
  usesRedis: true,
  hasRooms: true,
  hasPresence: false,
  clusters: true,
  wire,
  prepare,
  version: () => `${versionOf(join(root, NGINX), ['-v'], /nginx\/\S+/)}, Nchan ${moduleVersion()}`,
  start: async ({ nodes, cores, redisUrl }) => {
    const ports: number[] = [];
    return startNodes(
      nodes,
      async () => {
        const port = await freePort();
        ports.push(port);
        const folder = mkdtempSync(join(cacheFolder('nchan'), 'node-'));
        mkdirSync(join(folder, 'logs'), { recursive: true });
        const file = join(folder, 'nginx.conf');
        writeFileSync(file, configuration(port, redisUrl, folder));
        return new Launched([join(root, NGINX), '-p', folder, '-c', file, '-e', 'stderr'], { cores });
      },
      async (n, node) => {
        await node.listens(ports[n] ?? 0);
        return ports[n] ?? 0;
      },
    );
  },
};
