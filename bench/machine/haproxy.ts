/** HAProxy in front of the nodes, with the haproxy.cfg that the project gives to people who deploy it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/redis-server.ts';
import { cacheFolder } from './cache.ts';
import { libraryPath, unpackDebian } from './debian.ts';
import { Launched } from './launch.ts';
import { which } from './which.ts';

const PROGRAM = 'usr/sbin/haproxy';
const PACKAGES = ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'];
const CONFIGURATION = 'haproxy.cfg';

/** How it is started, or why it cannot be. */
export function findHaproxy(): { program: string; env: Record<string, string> } | { reason: string } {
  const found = which('haproxy', ['/usr/sbin', '/usr/local/sbin']);
  if (found !== undefined) return { program: found, env: {} };
  const unpacked = unpackDebian('haproxy', { packages: PACKAGES, files: [PROGRAM] });
  if ('reason' in unpacked) return unpacked;
  return { program: join(unpacked.root, PROGRAM), env: libraryPath(unpacked.root) };
}

/**
 * The project's own settings: leastconn, its timeouts, its headers. Servers that have no `/ready` would be taken for
 * dead by its checks, so for them those are left out, and nothing else.
 */
export function proxyConfiguration(text: string, hasReady: boolean): string {
  if (hasReady) return text;
  return text
    .split('\n')
    .filter((line) => !/^\s*(option httpchk|http-check|default-server check|timeout check)\b/.test(line))
    .join('\n');
}

export interface Proxy {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startHaproxy(
  nodes: readonly { readonly host: string; readonly port: number }[],
  { cores, hasReady }: { readonly cores: readonly number[]; readonly hasReady: boolean },
): Promise<Proxy> {
  const haproxy = findHaproxy();
  if ('reason' in haproxy) throw new Error(haproxy.reason);
  const [first, second] = nodes.map(({ host, port }) => `${host}:${port}`);
  if (first === undefined || second === undefined) throw new Error(`${CONFIGURATION} is for two nodes`);
  const port = await freePort();
  const file = join(cacheFolder('haproxy'), `${port}.cfg`);
  writeFileSync(file, proxyConfiguration(readFileSync(CONFIGURATION, 'utf8'), hasReady));
  const env = {
    ...haproxy.env,
    ROOMCAST_BIND: `127.0.0.1:${port}`,
    ROOMCAST_NODE_1: first,
    ROOMCAST_NODE_2: second,
  };
  // One thread per core it is pinned to, as it does by itself.
  const process = new Launched([haproxy.program, '-db', '-f', file], { cores, env });
  await process.listens(port);
  return { host: '127.0.0.1', port, pid: process.pid, stop: () => process.stop() };
}
