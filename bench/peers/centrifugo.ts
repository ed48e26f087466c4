/**
 * Centrifugo 6 with its Redis engine, where a `centrifugo` is on the PATH or in
 * GOBIN; where there is Go it is installed into the bench's cache. JSON protocol,
 * anonymous clients that may subscribe and publish, history as large as ours.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOTHING, type StreamCounter, type Wire } from '../generator/wire.ts';
import { cacheFolder } from '../machine/cache.ts';
import { Launched } from '../machine/launch.ts';
import { versionOf, which } from '../machine/which.ts';
import { freePort } from '../../test/support/redis-server.ts';
import type { Peer } from './peer.ts';
import { HOST, startNodes } from './start-nodes.ts';

const BUILT = '6.9.1';
const MODULE = `github.com/centrifugal/centrifugo/v6@v${BUILT}`;
const INSTALL_MS = 900_000;
const NEWLINE = 0x0a;
const PUSH = '{"push"';
/** Enough to tell what a line is, and for an error to be read. */
const LINE_LENGTH = 300;
const REASON_LENGTH = 200;
let program = '';

/** Replies are JSON lines, several to a frame, the last without a line end: a push is a message, the rest is told. */
class PushCounter implements StreamCounter {
  messages = 0;
  readonly #heard: (line: string) => void;
  #line = '';

  constructor(heard: (line: string) => void) {
    this.#heard = heard;
  }

  push(chunk: Buffer, from: number, to: number, isFrameEnd: boolean): void {
    for (let at = from; at < to; ) {
      let end = at;
      while (end < to && chunk[end] !== NEWLINE) end += 1;
      const isWhole = end < to;
      if (this.#line === '' && (isWhole || isFrameEnd) && isPush(chunk, at, end)) {
        // Nearly all lines: counted without making a string of them.
        this.messages += 1;
        at = end + 1;
        continue;
      }
      if (this.#line.length < LINE_LENGTH)
        this.#line += chunk.toString('latin1', at, Math.min(end, at + LINE_LENGTH));
      if (isWhole) this.#ends();
      at = end + 1;
    }
    if (isFrameEnd) this.#ends();
  }

  #ends(): void {
    if (this.#line.startsWith(PUSH)) this.messages += 1;
    else if (this.#line !== '') this.#heard(this.#line);
    this.#line = '';
  }
}

function isPush(chunk: Buffer, from: number, to: number): boolean {
  if (to - from < PUSH.length) return false;
  for (let n = 0; n < PUSH.length; n += 1) if (chunk[from + n] !== PUSH.charCodeAt(n)) return false;
  return true;
}

const wire: Wire = {
  path: () => '/connection/websocket',
  probe: 'everything',
  counter: (heard) => new PushCounter(heard),
  opening: ({ rooms }) => [
    [
      '{"id":1,"connect":{}}',
      ...rooms.map((room, n) => `{"id":${n + 2},"subscribe":{"channel":"${room}"}}`),
    ].join('\n'),
  ],
  hear: (line) => {
    if (line === '{}') return { send: ['{}'] };
    if (line.includes('"error"')) return { error: line };
    return line.includes('"subscribe"') ? { joined: 1 } : NOTHING;
  },
  publish: (room, payload) => `{"id":1,"publish":{"channel":"${room}","data":"${payload}"}}`,
};

function configuration(port: number, redisUrl: string): string {
  return JSON.stringify({
    http_server: { address: HOST, port: String(port) },
    log: { level: 'error' },
    engine: { type: 'redis', redis: { address: redisUrl } },
    client: { allow_anonymous_connect_without_token: true },
    channel: {
      without_namespace: {
        history_size: 1000,
        history_ttl: '300s',
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_client: true,
        allow_publish_for_anonymous: true,
      },
    },
  });
}

async function prepare(): Promise<string | undefined> {
  const folder = cacheFolder('bin');
  const found = which('centrifugo', [process.env['GOBIN'] ?? '', folder]);
  if (found !== undefined) {
    program = found;
    return undefined;
  }
  const go = which('go');
  if (go === undefined) return 'no centrifugo on the PATH or in GOBIN, and no go to install it with';
  const { status, stderr } = spawnSync(go, ['install', MODULE], {
    encoding: 'utf8',
    env: { ...process.env, GOBIN: folder },
    timeout: INSTALL_MS,
  });
  program = join(folder, 'centrifugo');
  const reason = stderr.trim().replaceAll(/\s+/g, ' ').slice(0, REASON_LENGTH);
  return status === 0 ? undefined : `go install ${MODULE} failed (${reason}): put a centrifugo on the PATH`;
}

/** One that `go install` built was told no version, and says 0.0.0. Of ours in the cache it is known. */
function version(): string {
  const told = versionOf(program, ['version']);
  if (told !== '0.0.0') return told;
  return program.startsWith(cacheFolder('bin')) ? BUILT : 'of an unknown version';
}

export const centrifugo: Peer = {
  name: 'centrifugo',
  setup: 'Redis engine, JSON protocol, 1,000 messages or 5 minutes of history; everything else as shipped',
  usesRedis: true,
  hasRooms: true,
  hasPresence: false,
  clusters: true,
  wire,
  prepare,
  version: () => `centrifugo ${version()}`,
  start: async ({ nodes, cores, redisUrl }) => {
    const ports: number[] = [];
    return startNodes(
      nodes,
      async () => {
        const port = await freePort();
        ports.push(port);
        const file = join(cacheFolder('centrifugo'), `${port}.json`);
        writeFileSync(file, configuration(port, redisUrl));
        return new Launched([program, '-c', file], { cores });
      },
      async (n, node) => {
        await node.listens(ports[n] ?? 0);
        return ports[n] ?? 0;
      },
    );
  },
};
