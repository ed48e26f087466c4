/** One peer, started with what it needs on its cores, and a load beside it. Everything is gone afterwards. */
import { spawnSync } from 'node:child_process';
import { Load } from '../generator/load.ts';
import { type Cores, coresOf } from '../machine/pinning.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { type RedisServer, startRedis } from '../../test/support/redis-server.ts';

export interface Session {
  readonly peer: Peer;
  readonly running: RunningPeer;
  readonly redis: RedisServer | undefined;
  readonly load: Load;
  /** Of all nodes. */
  readonly serverPids: readonly number[];
  /** Empty for a peer without Redis. */
  readonly redisPids: readonly number[];
}

/** A Redis on its own cores, where there are such. */
async function startPinnedRedis({ redis: cores }: Cores): Promise<RedisServer> {
  const redis = await startRedis();
  if (cores.length > 0) {
    const { status } = spawnSync('taskset', ['-a', '-c', '-p', cores.join(','), String(redis.pid)]);
    if (status !== 0) throw new Error('taskset failed: install util-linux, without it nothing is kept apart');
  }
  return redis;
}

/** Yields what `act` yields. */
export async function* withPeer<T>(
  peer: Peer,
  nodes: number,
  act: (session: Session) => AsyncIterable<T>,
  cores: Cores = coresOf(),
): AsyncGenerator<T> {
  const redis = peer.usesRedis ? await startPinnedRedis(cores) : undefined;
  let running: RunningPeer | undefined;
  let load: Load | undefined;
  try {
    running = await peer.start({
      nodes,
      redisUrl: redis?.url ?? '',
      redisPort: redis?.port ?? 0,
      cores: cores.server,
    });
    load = new Load(cores.generator);
    // Answered once the workers are up: their start is no part of what follows.
    await load.count();
    yield* act({
      peer,
      running,
      redis,
      load,
      serverPids: running.nodes.map((node) => node.pid),
      redisPids: redis ? [redis.pid] : [],
    });
  } finally {
    load?.stop();
    await running?.stop();
    await redis?.stop();
  }
}
