/** The broker over Redis keeps the contract of brokers. */
import { afterAll } from 'vitest';
import { brokerContract } from './broker.contract.ts';
import { redisSetup } from './redis-setup.ts';

const { setup, stop } = redisSetup();
afterAll(stop);

brokerContract('over Redis', setup, { health: 'connected', nodes: 2, runs: 20 });
