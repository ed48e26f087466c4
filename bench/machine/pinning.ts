/**
 * Which cores run what. With two cores or more the server under test has the
 * first one to itself and everything that loads it, Redis included, has the
 * others; on a single core nothing can be kept apart and nothing is pinned.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Sockets of one process: as many as the system lets us have. */
const OPEN_FILES = 1_048_576;

/** Taken once: a process that was pinned sees its own cores alone. */
const CORES = availableParallelism();

export interface Cores {
  readonly server: readonly number[];
  readonly generator: readonly number[];
  readonly redis: readonly number[];
}

/** Nothing is kept apart: for how long an answer takes, where `coresOf` is for what a delivery costs. */
export const ANYWHERE: Cores = { server: [], generator: [], redis: [] };

export function coresOf(count: number = CORES): Cores {
  if (process.platform !== 'linux' || count < 2) return ANYWHERE;
  const others = Array.from({ length: count - 1 }, (_, n) => n + 1);
  // With four or more, Redis does not have to share a core with the generator.
  const [redis, ...rest] = others;
  if (redis !== undefined && others.length >= 3) return { server: [0], generator: rest, redis: [redis] };
  return { server: [0], generator: others, redis: others };
}

/**
 * `command` as it has to be spawned to run on these cores with as many open files as allowed. Every
 * wrapper replaces itself with the next, so the pid of the child is that of the program.
 */
export function pinned(cores: readonly number[], command: readonly string[]): string[] {
  if (process.platform === 'win32') return [...command];
  const affinity = cores.length > 0 ? ['taskset', '-c', cores.join(',')] : [];
  const raise = `ulimit -n ${OPEN_FILES} 2>/dev/null || ulimit -n $(ulimit -Hn) 2>/dev/null; exec "$@"`;
  return ['sh', '-c', raise, 'sh', ...affinity, ...command];
}

/** The bench itself polls, adds up and holds some clients: it, too, stays off the core of the server. */
export function pinThisProcess({ generator }: Cores): void {
  if (process.platform !== 'linux') return;
  const all = Array.from({ length: CORES }, (_, n) => n);
  const cores = generator.length > 0 ? generator : all;
  spawnSync('taskset', ['-a', '-c', '-p', cores.join(','), String(process.pid)], { stdio: 'ignore' });
}
