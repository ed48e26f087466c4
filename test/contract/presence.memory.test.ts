/** The embedded presence store keeps the contract of presence stores. */
import { setupMemory } from './memory-setup.ts';
import { presenceContract } from './presence.contract.ts';

presenceContract('in memory', setupMemory, { health: 'disabled', nodes: 1, runs: 200 });
