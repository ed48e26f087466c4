import { describe, expect, it } from 'vitest';
import { addFaults, DeliveryCheck, noFaults } from '../../bench/generator/delivery-check.ts';

function check(numbers: readonly number[], before?: Record<number, number>) {
  const delivery = new DeliveryCheck(before);
  for (const number of numbers) delivery.see(0, number);
  return { ...delivery.faults, last: delivery.lastOf(0), seen: delivery.seen };
}

const CLEAN = { missing: 0, duplicates: 0, disordered: 0 };

describe('the delivery check', () => {
  it('has nothing to say where each number comes once and in order', () => {
    expect(check([1, 2, 3, 4], {})).toEqual({ ...CLEAN, last: 4, seen: 4 });
  });

  it('counts what was skipped', () => {
    expect(check([1, 2, 5, 6], {})).toMatchObject({ missing: 2, duplicates: 0, disordered: 0 });
  });

  it('owes a connection that comes later what was published since', () => {
    expect(check([6, 7], { 0: 5 })).toMatchObject({ ...CLEAN, last: 7 });
    expect(check([8], { 0: 5 })).toMatchObject({ missing: 2 });
    const delivery = new DeliveryCheck({ 0: 5, 1: 9 });
    delivery.see(0, 6);
    expect(delivery.behind({ 0: 8, 1: 10, 2: 1 })).toBe(2 + 1 + 1);
  });

  it('counts what is missing before the first where the first is known, and only there', () => {
    expect(check([3, 4], {})).toMatchObject({ missing: 2 });
    expect(check([3, 4])).toMatchObject(CLEAN);
  });

  it('calls a number that comes late out of order, not missing', () => {
    expect(check([1, 3, 2, 4], {})).toMatchObject({ missing: 0, disordered: 1, duplicates: 0 });
  });

  it('calls a number that comes again a duplicate, also one that came late', () => {
    expect(check([1, 2, 2], {})).toMatchObject({ duplicates: 1, missing: 0 });
    expect(check([1, 3, 2, 2], {})).toMatchObject({ duplicates: 1, disordered: 1, missing: 0 });
  });

  it('keeps streams apart and tells how far each came', () => {
    const delivery = new DeliveryCheck({});
    delivery.see(0, 1);
    delivery.see(7, 1);
    delivery.see(0, 2);
    expect(delivery.faults).toEqual(CLEAN);
    expect([delivery.lastOf(0), delivery.lastOf(7), delivery.lastOf(8)]).toEqual([2, 1, 0]);
  });

  it('adds up over connections', () => {
    const all = noFaults();
    addFaults(all, { missing: 1, duplicates: 2, disordered: 3 });
    addFaults(all, { missing: 1, duplicates: 0, disordered: 0 });
    expect(all).toEqual({ missing: 2, duplicates: 2, disordered: 3 });
  });
});
