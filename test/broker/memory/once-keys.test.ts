/** What bounds the memory of idempotency keys; what counts as a repeat is in the broker contract. */
import { describe, expect, it } from 'vitest';
import { OnceKeys } from '../../../src/broker/memory/once-keys.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const EPOCH = 'e.t';

function keysOf(max: number, ttlMs = 1_000) {
  const clock = createFakeClock();
  const keys = new OnceKeys({ clock, ttlMs, max });
  const remember = (key: string, seq = 1): void => keys.remember('room', 'ann', key, { epoch: EPOCH, seq });
  const find = (key: string, epoch = EPOCH): number | undefined => keys.find('room', epoch, 'ann', key)?.seq;
  return { clock, keys, remember, find };
}

describe('once keys', () => {
  it('remembers a key until its time is over, to the millisecond', () => {
    const { clock, remember, find } = keysOf(10);
    remember('k', 7);
    clock.advance(999);
    expect(find('k')).toBe(7);
    clock.advance(1);
    expect(find('k')).toBeUndefined();
  });

  it('is not fooled by a wall clock that is set back', () => {
    const { clock, remember, find } = keysOf(10);
    remember('k');
    clock.shiftWall(-3_600_000);
    clock.advance(1_000);
    expect(find('k')).toBeUndefined();
  });

  it('forgets the oldest over its limit, and only that', () => {
    const { keys, remember, find } = keysOf(3);
    for (const key of ['a', 'b', 'c', 'd']) remember(key);
    expect(keys.size).toBe(3);
    expect([find('a'), find('b'), find('c'), find('d')]).toEqual([undefined, 1, 1, 1]);
  });

  it('makes a key young again that is remembered again: it hides no older one from expiry', () => {
    const { clock, keys, remember, find } = keysOf(10);
    remember('a');
    clock.advance(100);
    remember('b');
    clock.advance(400);
    remember('a', 2);
    clock.advance(600);
    keys.forgetExpired(10);
    expect([find('a'), keys.size]).toEqual([2, 1]);
    clock.advance(400);
    keys.forgetExpired(10);
    expect(keys.size).toBe(0);
  });

  it('shrinks by itself while new keys come, without a sweep', () => {
    const { clock, keys, remember } = keysOf(1_000);
    for (let number = 0; number < 100; number += 1) remember(`old ${number}`);
    clock.advance(1_000);
    for (let number = 0; number < 50; number += 1) remember(`new ${number}`);
    expect(keys.size).toBe(50);
  });

  it('takes away no more than it is allowed in one step', () => {
    const { clock, keys, remember } = keysOf(100);
    for (let number = 0; number < 10; number += 1) remember(`${number}`);
    clock.advance(1_000);
    keys.forgetExpired(4);
    expect(keys.size).toBe(6);
  });

  it('names no position of another epoch', () => {
    const { remember, find } = keysOf(10);
    remember('k');
    expect(find('k', 'other.epoch')).toBeUndefined();
    expect(find('k')).toBe(1);
  });

  it('remembers nothing with a time to live of 0', () => {
    const { keys, remember } = keysOf(10, 0);
    remember('k');
    expect(keys.size).toBe(0);
  });
});
