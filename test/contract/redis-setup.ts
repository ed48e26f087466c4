/**
 * A store in a private redis-server for the contract suites. One server per test
 * file, one key prefix per store: the stores of a file do not see each other, and
 * nothing has to be removed but the server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createRedisBroker } from '../../src/broker/redis/redis-broker.ts';
import { createRedisPresence } from '../../src/broker/redis/redis-presence.ts';
import { systemClock as clock, systemRandom as random } from '../../src/ops/system-clock.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';
import { startRedis, type RedisServer } from '../support/redis-server.ts';
import { createBrokerRecorder } from './broker-recorder.ts';
import type { StoreNode, StoreSetup } from './store-fixture.ts';

const SETTINGS = {
  redisDeadlineMs: 2_000,
  retryBudgetMs: 5_000,
  canaryMs: 1_000,
  canaryDeadMs: 3_000,
  limitInFlight: 0,
  leaseMs: 10_000,
  heartbeatMs: 2_000,
  presenceHoldMs: 5_000,
};

export function redisSetup(): { readonly setup: StoreSetup; readonly stop: () => Promise<void> } {
  let server: Promise<RedisServer> | undefined;
  let stores = 0;

  const setup: StoreSetup = async (kept) => {
    server ??= startRedis();
    const { port } = await server;
    stores += 1;
    const settings = { ...SETTINGS, ...kept, redisPrefix: `contract${stores}:` };
    const nodes: StoreNode[] = [];

    const add = async (): Promise<StoreNode> => {
      const heard = createBrokerRecorder();
      const logger = createRecordingLogger();
      const target = { host: '127.0.0.1', port };
      const { broker, commands, keys } = createRedisBroker({ settings, target, clock, random, logger });
      const nodeName = `node${nodes.length + 1}`;
      const presence = createRedisPresence({ commands, keys, settings, clock, random, logger, nodeName });
      broker.start(heard);
      presence.start({ rebuild: () => undefined });
      const node = { broker, presence, heard };
      nodes.push(node);
      await heard.until(() => heard.statuses().includes('up'), 'status up');
      return node;
    };

    return {
      ...(await add()),
      another: add,
      elapse: (ms) => delay(ms),
      async teardown() {
        for (const { presence, broker } of nodes) {
          await presence.stop();
          await broker.stop();
        }
      },
    };
  };

  return {
    setup,
    stop: async () => (await server)?.stop(),
  };
}
