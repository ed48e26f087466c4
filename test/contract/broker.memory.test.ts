/** The embedded broker keeps the contract of brokers. */
import { brokerContract } from './broker.contract.ts';
import { setupMemory } from './memory-setup.ts';

brokerContract('in memory', setupMemory, { health: 'disabled', nodes: 1, runs: 200 });
