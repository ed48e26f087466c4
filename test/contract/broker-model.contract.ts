/**
 * The broker against a list: random interleavings of publishes, repeats, reads
 * and pages, many under way at once. The receipts give the one true list of a
 * room; every other answer must be what that list says at the top the answer
 * names, and that top must fit the real time of the call.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { HistoryQuery } from '../../src/broker/broker.ts';
import type { Published, RoomRun } from './broker-model-check.ts';
import { checkPage, checkRead, checkReceipts, checkTold, KEPT, listOf } from './broker-model-check.ts';
import type { StoreFixture, StoreSetup } from './store-fixture.ts';
import { bodyOf, LASTING, newRoom, range } from './store-fixture.ts';

const ROOMS = 2;

type Operation =
  | {
      readonly kind: 'publish';
      readonly room: number;
      readonly lane: number;
      readonly user: number;
      readonly key: number;
    }
  | {
      readonly kind: 'read';
      readonly room: number;
      readonly since: number | 'foreign';
      readonly limit: number;
    }
  | { readonly kind: 'history'; readonly room: number; readonly query: HistoryQuery }
  /** Everything asked so far is answered before what follows. */
  | { readonly kind: 'settle' }
  /** A turn of the event loop passes: what was asked is somewhere on its way when the next is asked. */
  | { readonly kind: 'turn' };

const room = fc.nat(ROOMS - 1);
const limit = fc.integer({ min: 1, max: KEPT + 2 });
/** About as far as a long run gets in one room. */
const seq = fc.nat(24);
/** 0 stands for none. */
const key = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3 }));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      room,
      lane: fc.nat(2),
      user: fc.nat(1),
      key,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      room,
      since: fc.oneof({ weight: 9, arbitrary: seq }, fc.constant('foreign' as const)),
      limit,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('history' as const),
      room,
      query: fc.oneof(
        fc.record({ limit }),
        fc.record({ before: seq, limit }),
        fc.record({ after: seq, limit }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'turn' as const }) },
);

export function describeModel(setup: StoreSetup, runs: number): void {
  describe('the model of a list', () => {
    let fixture: StoreFixture;
    beforeAll(async () => {
      fixture = await setup({ ...LASTING, historyMessages: KEPT });
    });
    afterAll(async () => {
      await fixture?.teardown();
    });

    it('agrees with every interleaving of publishes, repeats, reads and pages', async () => {
      const property = fc.asyncProperty(
        fc.array(operation, { minLength: 1, maxLength: 120, size: 'max' }),
        async (operations) => {
          const rooms = await run(fixture, operations);
          for (const one of rooms) {
            const list = listOf(one);
            checkReceipts(one);
            const { broker, heard } = fixture;
            await heard.until(() => heard.messages(one.name).length >= list.length, `all of ${one.name}`);
            await broker.unsubscribe(one.name);
            checkTold(one, list, heard.messages(one.name));
            for (const read of one.reads) checkRead(one, list, read);
            for (const page of one.pages) checkPage(one, list, page);
          }
        },
      );
      await fc.assert(property, { numRuns: runs });
    });
  });
}

async function run({ broker }: StoreFixture, operations: readonly Operation[]): Promise<RoomRun[]> {
  const rooms: RoomRun[] = [];
  for (const _ of range(1, ROOMS)) {
    const name = newRoom('model');
    await broker.subscribe(name);
    const { epoch } = await broker.read(name, null, 1);
    rooms.push({ name, epoch, published: [], reads: [], pages: [] });
  }
  let pending: Promise<void>[] = [];
  for (const [index, step] of operations.entries()) {
    const one = 'room' in step ? rooms[step.room] : undefined;
    if (step.kind === 'turn') {
      await new Promise((resolve) => void setImmediate(resolve));
    } else if (step.kind === 'settle' || !one) {
      await Promise.all(pending);
      pending = [];
    } else if (step.kind === 'publish') {
      const key = step.key === 0 ? undefined : `k${step.key}`;
      const user = `u${step.user}`;
      const call: Published = {
        lane: step.lane,
        identity: key ? `${user} ${key}` : null,
        body: bodyOf(index),
      };
      one.published.push(call);
      const request = { room: one.name, lane: `lane-${step.lane}`, user, key, body: call.body.toString() };
      pending.push(broker.publish(request).then((receipt) => void (call.receipt = receipt)));
    } else if (step.kind === 'read') {
      const since =
        step.since === 'foreign' ? { epoch: 'x.y', seq: 1 } : { epoch: one.epoch, seq: step.since };
      const read: RoomRun['reads'][number] = { query: { since, limit: step.limit }, floor: floorOf(one) };
      one.reads.push(read);
      pending.push(broker.read(one.name, since, step.limit).then((answer) => void (read.answer = answer)));
    } else {
      const page: RoomRun['pages'][number] = { query: step.query, floor: floorOf(one) };
      one.pages.push(page);
      pending.push(broker.history(one.name, step.query).then((answer) => void (page.answer = answer)));
    }
  }
  await Promise.all(pending);
  return rooms;
}

function floorOf(one: RoomRun): number {
  return Math.max(0, ...one.published.map((call) => call.receipt?.seq ?? 0));
}
