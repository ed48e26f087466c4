/** Presence over Redis keeps the contract of presence stores. */
import { afterAll } from 'vitest';
import { presenceContract } from './presence.contract.ts';
import { redisSetup } from './redis-setup.ts';

const redis = redisSetup();
afterAll(() => redis.stop());

presenceContract('over Redis', (settings) => redis.setup(settings), {
  health: 'connected',
  nodes: 2,
  runs: 20,
});
