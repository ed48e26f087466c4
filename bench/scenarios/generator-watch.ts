/** How busy the generator is while something is measured. */
import { coresOf } from '../machine/pinning.ts';
import { cpuSeconds, cpuSecondsEach } from '../machine/processes.ts';
import { generatorPercent } from './generator-bound.ts';
import type { Session } from './session.ts';

const cores = coresOf();
/** Redis and the generator have the same cores where there are few, or where nothing is pinned. */
const sharesWithRedis =
  cores.redis.length === 0 || cores.redis.some((core) => cores.generator.includes(core));

/** From now until what it returns is called, which answers in percent. */
export function watchGenerator({ load, redisPids }: Pick<Session, 'load' | 'redisPids'>): () => number {
  const redisSeconds = () => (sharesWithRedis ? cpuSeconds(redisPids) : 0);
  const before = cpuSecondsEach(load.pids);
  const redisBefore = redisSeconds();
  const beganAt = performance.now();
  return () => {
    const seconds = (performance.now() - beganAt) / 1000;
    const workers = cpuSecondsEach(load.pids).map((after, n) => after - (before[n] ?? 0));
    return generatorPercent(workers, redisSeconds() - redisBefore, seconds, cores.generator.length);
  };
}
