import { beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { Canary } from '../../../src/broker/redis/canary.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

const settings = { canaryMs: 1_000, canaryDeadMs: 3_000 };

describe('the canary', () => {
  let clock: FakeClock;
  let told: string[];
  let canary: Canary;
  /** How the far end behaves: how late an announcement is heard (undefined: never), and whether the link is usable. */
  let hearAfterMs: number | undefined;
  let answer: (counter: number) => Promise<unknown>;
  let counter: number;
  let usable: boolean;

  beforeEach(() => {
    clock = createFakeClock();
    told = [];
    hearAfterMs = 1;
    counter = 0;
    usable = true;
    answer = (number) => Promise.resolve([number, 'run-id']);
    canary = new Canary(
      {
        settings,
        clock,
        logger: createRecordingLogger(),
        key: 'canary',
        commands: {
          get usable() {
            return usable;
          },
          run(script, keys, args) {
            expect([script, keys, args[0], args[1]]).toEqual(['canary', ['canary'], 'canary', 'PUBLISH']);
            counter += 1;
            const number = counter;
            if (hearAfterMs !== undefined) clock.after(hearAfterMs, () => canary.heard(number));
            return answer(number);
          },
        },
      },
      { silent: (ms) => told.push(`silent ${ms}`), gap: () => told.push('gap'), tick: () => undefined },
    );
    canary.start();
    canary.listening();
  });

  it('says nothing while every announcement is heard', async () => {
    await clock.advanceAsync(60_000);
    expect(told).toEqual([]);
    expect(counter).toBe(60);
  });

  it('tells silence about three seconds after the last canary that was heard', async () => {
    await clock.advanceAsync(5_500);
    hearAfterMs = undefined;
    await clock.advanceAsync(2_400);
    expect(told).toEqual([]);
    await clock.advanceAsync(600);
    expect(told.length).toBeGreaterThan(0);
    expect(Number(told[0]?.slice('silent '.length))).toBeLessThanOrEqual(3_500);
  });

  it('counts silence from the moment the subscriber began to listen', async () => {
    hearAfterMs = undefined;
    await clock.advanceAsync(2_000);
    canary.listening();
    await clock.advanceAsync(2_900);
    expect(told).toEqual([]);
    await clock.advanceAsync(600);
    expect(told).not.toEqual([]);
  });

  it('takes no silence for a fault while nothing is announced', async () => {
    usable = false;
    await clock.advanceAsync(60_000);
    expect(told).toEqual([]);
  });

  it('takes no silence for a fault while announcements are refused', async () => {
    hearAfterMs = undefined;
    answer = () => Promise.reject(new BrokerError('unavailable', 'NOREPLICAS'));
    await clock.advanceAsync(60_000);
    expect(told).toEqual([]);
  });

  it('takes no silence for a fault while the subscriber is away', async () => {
    hearAfterMs = undefined;
    canary.deaf();
    await clock.advanceAsync(60_000);
    expect(told).toEqual([]);
  });

  it('tells a gap when a number is missing', () => {
    for (const number of [10, 11, 12, 14]) canary.heard(number);
    expect(told).toEqual(['gap']);
    canary.heard(15);
    expect(told).toEqual(['gap']);
  });

  it('begins anew with each connection of the subscriber: the first number is never a gap', () => {
    canary.heard(10);
    canary.deaf();
    canary.heard(11);
    canary.listening();
    canary.heard(40);
    canary.heard(41);
    expect(told).toEqual([]);
  });

  it('tells a gap when the counter starts again, and is content afterwards', async () => {
    canary.heard(500);
    await clock.advanceAsync(10_000);
    expect(told).toEqual(['gap']);
  });

  it('measures the round trip to the store', async () => {
    answer = (number) => new Promise((resolve) => clock.after(7, () => resolve([number, ''])));
    await clock.advanceAsync(1_500);
    expect(canary.latencyMs).toBe(7);
  });
});
