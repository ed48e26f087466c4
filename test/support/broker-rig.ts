/**
 * A Redis broker as a node has it, for tests that break things: short deadlines,
 * a recorder of what it tells, and a watch over promises nobody handles, of which
 * there must be none whatever breaks.
 */
import { createBrokerRecorder, type BrokerRecorder } from '../contract/broker-recorder.ts';
import type { Broker } from '../../src/broker/broker.ts';
import type { Commands } from '../../src/broker/redis/commands.ts';
import type { Keys } from '../../src/broker/redis/keys.ts';
import { createRedisBroker, type RedisBrokerSettings } from '../../src/broker/redis/redis-broker.ts';
import type { RedisTarget } from '../../src/broker/redis/redis-target.ts';
import { systemClock as clock, systemRandom as random } from '../../src/ops/system-clock.ts';
import { createRecordingLogger, type RecordingLogger } from './recording-logger.ts';

export interface BrokerRig {
  readonly broker: Broker;
  readonly commands: Commands;
  readonly keys: Keys;
  readonly heard: BrokerRecorder;
  readonly logger: RecordingLogger;
  /** Resolves when the broker's newest status is this one. */
  status(status: 'up' | 'down'): Promise<void>;
}

export const RIG_SETTINGS: RedisBrokerSettings = {
  redisPrefix: 'rig:',
  redisDeadlineMs: 600,
  retryBudgetMs: 2_000,
  onceTtlMs: 60_000,
  historyMessages: 20_000,
  historyTtlS: 300,
  metaTtlS: 3_600,
  inboxMessages: 1_000,
  inboxTtlS: 600,
  limitInFlight: 0,
  canaryMs: 200,
  canaryDeadMs: 600,
};

/** Started; `await rig.status('up')` before relying on it. */
export function startBroker(
  where: number | RedisTarget,
  settings: Partial<RedisBrokerSettings> = {},
): BrokerRig {
  const target = typeof where === 'number' ? { host: '127.0.0.1', port: where } : where;
  const logger = createRecordingLogger();
  const heard = createBrokerRecorder();
  const parts = createRedisBroker({
    settings: { ...RIG_SETTINGS, ...settings },
    target,
    clock,
    random,
    logger,
  });
  parts.broker.start(heard);
  return {
    ...parts,
    heard,
    logger,
    status: (status) => heard.until(() => heard.statuses().at(-1) === status, `status ${status}`),
  };
}

/** Rejections without a handler from now on. The listener also keeps them from ending the process. */
export function watchRejections(): { readonly seen: unknown[]; stop(): void } {
  const seen: unknown[] = [];
  const keep = (reason: unknown): void => void seen.push(reason);
  process.on('unhandledRejection', keep);
  return { seen, stop: () => void process.off('unhandledRejection', keep) };
}

/** A body that names its message. */
export function bodyOf(name: string): Buffer {
  return Buffer.from(`"data":${JSON.stringify(name)}}`);
}

export function nameIn(body: Buffer): string {
  return String((JSON.parse(`{${body.toString()}`) as { data: unknown }).data);
}
