/** HAProxy in front of the nodes, as the project deploys it: round robin, tunnels that live as long as they like. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/redis-server.ts';
import { cacheFolder } from './cache.ts';
import { libraryPath, unpackDebian } from './debian.ts';
import { Launched } from './launch.ts';
import { which } from './which.ts';

const PROGRAM = 'usr/sbin/haproxy';
const PACKAGES = ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'];
const CONNECTIONS = 9000;

/** How it is started, or why it cannot be. */
export function findHaproxy(): { program: string; env: Record<string, string> } | { reason: string } {
  const found = which('haproxy', ['/usr/sbin', '/usr/local/sbin']);
  if (found !== undefined) return { program: found, env: {} };
  const unpacked = unpackDebian('haproxy', { packages: PACKAGES, files: [PROGRAM] });
  if ('reason' in unpacked) return unpacked;
  return { program: join(unpacked.root, PROGRAM), env: libraryPath(unpacked.root) };
}

export interface Proxy {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startHaproxy(
  nodes: readonly { readonly host: string; readonly port: number }[],
  cores: readonly number[],
): Promise<Proxy> {
  const haproxy = findHaproxy();
  if ('reason' in haproxy) throw new Error(haproxy.reason);
  const port = await freePort();
  const file = join(cacheFolder('haproxy'), `${port}.cfg`);
  const servers = nodes.map((node, n) => `  server node${n} ${node.host}:${node.port}`).join('\n');
  writeFileSync(
    file,
    `global
  maxconn ${CONNECTIONS}
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
listen nodes
  bind 127.0.0.1:${port} backlog 4096
  balance roundrobin
${servers}
`,
  );
  const process = new Launched([haproxy.program, '-db', '-f', file], { cores, env: haproxy.env });
  await process.listens(port);
  return { host: '127.0.0.1', port, pid: process.pid, stop: () => process.stop() };
}
