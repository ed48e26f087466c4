/** The kernel's floor: a C program that does nothing but write each message to each member. Built with gcc. */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { NOTHING, type Wire } from '../generator/wire.ts';
import { cacheFolder } from '../machine/cache.ts';
import { Launched } from '../machine/launch.ts';
import { versionOf, which } from '../machine/which.ts';
import { freePort } from '../../test/support/redis-server.ts';
import type { Peer } from './peer.ts';
import { startNodes } from './start-nodes.ts';

const SOURCE = 'bench/peers/epoll-writer.c';
let program = '';

const wire: Wire = {
  path: () => '/',
  probe: 'everything',
  joinsByUpgrade: true,
  opening: () => [],
  hear: () => NOTHING,
  publish: (_room, payload) => payload,
};

async function prepare(): Promise<string | undefined> {
  const compiler = which('gcc') ?? which('cc');
  if (compiler === undefined) return 'needs a C compiler: install gcc';
  // A new source is a new program; the old one stays for whoever runs it.
  program = join(cacheFolder('bin'), `epoll-writer-${Math.round(statSync(SOURCE).mtimeMs)}`);
  const { status, stderr } = spawnSync(compiler, ['-O2', '-D_GNU_SOURCE', '-o', program, SOURCE], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `${SOURCE} did not compile: ${stderr}`;
}

export const epollWriter: Peer = {
  name: 'epoll-writer',
  setup: 'a bare C epoll loop, one write per message and member: no rooms, no Redis, no history; the floor',
  usesRedis: false,
  hasRooms: false,
  hasPresence: false,
  clusters: false,
  wire,
  prepare,
  version: () => `gcc ${versionOf('gcc', ['--version'], /\d+\.\d+\.\d+/)} -O2`,
  start: async ({ cores }) => {
    const port = await freePort();
    return startNodes(
      1,
      async () => new Launched([program, String(port)], { cores }),
      async (_n, node) => {
        await node.listens(port);
        return port;
      },
    );
  },
};
