/** The order of age against a plain array, under random adding, renewing and removing. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Place } from '../../../src/broker/memory/age-order.ts';
import { AgeOrder } from '../../../src/broker/memory/age-order.ts';

const step = fc.record({ kind: fc.constantFrom('add', 'renew', 'remove', 'remove oldest'), at: fc.nat(9) });

it('agrees with an array that is spliced', () => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const order = new AgeOrder<number>();
    const model: Place<number>[] = [];
    for (const [index, { kind, at }] of steps.entries()) {
      const chosen = model[kind === 'remove oldest' ? 0 : at % Math.max(1, model.length)];
      if (kind === 'add') {
        model.push(order.add(index));
      } else if (chosen) {
        model.splice(model.indexOf(chosen), 1);
        if (kind === 'renew') {
          order.renew(chosen);
          model.push(chosen);
        } else {
          order.remove(chosen);
        }
      }
      expect(order.oldest).toBe(model[0]?.item);
    }
    // Emptied from the front it shows all the rest in order.
    for (const place of model) {
      expect(order.oldest).toBe(place.item);
      order.remove(place);
    }
    expect(order.oldest).toBeUndefined();
  });
  fc.assert(property, { numRuns: 300 });
});
