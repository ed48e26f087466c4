/** A store inside this process for the contract suites; its time is a fake clock's. */
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { createFakeClock, createSeededRandom } from '../support/fake-clock.ts';
import { createBrokerRecorder } from './broker-recorder.ts';
import type { StoreSetup } from './store-fixture.ts';

export const setupMemory: StoreSetup = async (settings) => {
  const clock = createFakeClock();
  const { broker, presence } = createMemoryBroker({ settings, clock, random: createSeededRandom(1) });
  const heard = createBrokerRecorder();
  broker.start(heard);
  presence.start({ rebuild: () => undefined });
  return {
    broker,
    presence,
    heard,
    elapse: (ms) => clock.advanceAsync(ms),
    async teardown() {
      await presence.stop();
      await broker.stop();
    },
  };
};
