/**
 * The contract of `Broker`, told through the port alone and run against every
 * implementation: what passes here may stand below a node. Each group of
 * promises has its own file beside this one.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import { describeExpiry } from './broker-expiry.contract.ts';
import { describeHistory } from './broker-history.contract.ts';
import { describeInboxExpiry, describeInboxes } from './broker-inbox.contract.ts';
import { describeKeys } from './broker-keys.contract.ts';
import { describeModel } from './broker-model.contract.ts';
import { describePublish } from './broker-publish.contract.ts';
import { describeRead } from './broker-read.contract.ts';
import { describeSignals } from './broker-signals.contract.ts';
import type { ContractOptions, FixtureOf, StoreFixture, StoreSetup } from './store-fixture.ts';
import { LASTING, newRoom, presenceReady, publish } from './store-fixture.ts';

export function brokerContract(name: string, setup: StoreSetup, options: ContractOptions): void {
  describe(`the broker contract: ${name}`, () => {
    let fixture: StoreFixture;
    const current: FixtureOf = Object.assign(() => fixture, { nodes: options.nodes });
    beforeAll(async () => {
      fixture = await setup(LASTING);
      await presenceReady(fixture);
    });
    afterAll(async () => {
      await fixture?.teardown();
    });

    describePublish(current);
    describeKeys(current);
    describeRead(current);
    describeHistory(current);
    describeSignals(current);
    describeInboxes(current, options.runs);
    describeExpiry(setup);
    describeInboxExpiry(setup);
    describeModel(setup, options.runs);
    describeLife(current, setup, options);
  });
}

function describeLife(fixture: FixtureOf, setup: StoreSetup, options: ContractOptions): void {
  describe('start, stop and health', () => {
    it('tells "up" once, and nothing of lost links while nothing broke', () => {
      const { heard } = fixture();
      expect(heard.statuses()).toEqual(['up']);
      expect(heard.heard.filter((event) => event.kind === 'linkLost' || event.kind === 'gap')).toEqual([]);
    });

    it('reports its health', () => {
      expect(fixture().broker.health().status).toBe(options.health);
    });

    it('answers `unavailable` after stop, and tells nothing more', async () => {
      const stopped = await setup(LASTING);
      try {
        const { broker, heard } = stopped;
        const room = newRoom();
        await broker.subscribe(room);
        await broker.stop();
        const told = heard.messages(room).length;
        const unavailable = { name: 'BrokerError', code: 'unavailable' };
        await expect(publish(broker, room, 1)).rejects.toMatchObject(unavailable);
        await expect(broker.read(room, null, 10)).rejects.toBeInstanceOf(BrokerError);
        await expect(broker.history(room, { limit: 10 })).rejects.toMatchObject(unavailable);
        await expect(broker.subscribe(room)).rejects.toMatchObject(unavailable);
        broker.signal(room, { sender: 'c1', body: Buffer.from('"data":1}') });
        await broker.unsubscribe(room);
        expect(heard.messages(room)).toHaveLength(told);
        expect(heard.signals(room)).toEqual([]);
      } finally {
        await stopped.teardown();
      }
    });
  });
}
