/** What the figures were measured on, for whoever compares them with others. */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Cores } from './pinning.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  readonly redis: string;
  /** Which cores ran what. */
  readonly pinning: string;
  /** Of the last minute before the run. */
  readonly loadAverage: number;
}

export function describeMachine({ server, generator, redis }: Cores): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    redis: redisVersion(),
    loadAverage: loadavg()[0] ?? Number.NaN,
    pinning:
      server.length === 0
        ? 'nothing pinned'
        : `server on core ${server.join(', ')}; generator on ${generator.join(', ')}; Redis on ${redis.join(', ')}`,
  };
}

function redisVersion(): string {
  const { stdout } = spawnSync(process.env['REDIS_SERVER_BIN'] ?? 'redis-server', ['--version'], {
    encoding: 'utf8',
  });
  return /v=(\S+)/.exec(stdout ?? '')?.[1] ?? 'unknown';
}

/** What is measured and what measures: results of the same commit belong together. Notes and results are no part of it. */
const MEASURED = ['src', 'bench', ':!bench/results', ':!bench/findings'];

/** Ends the name of a commit whose files were changed since. */
export const DIRTY = '-dirty';

/** The newest commit that touched it, marked where files differ from it; empty where there is no repository. */
export function measuredCommit(): string {
  const git = (...args: string[]) =>
    (spawnSync('git', [...args, '--', ...MEASURED], { encoding: 'utf8' }).stdout ?? '').trim();
  const commit = git('log', '-1', '--format=%h');
  return git('status', '--porcelain') === '' ? commit : `${commit}${DIRTY}`;
}
