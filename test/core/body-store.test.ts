import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyStore } from '../../src/core/body-store.ts';

describe('a store of bodies', () => {
  it('gives back what a plain queue would, however it grows, goes round and begins anew', () => {
    const push = fc.record({ ts: fc.nat(), body: fc.uint8Array({ maxLength: 700 }) });
    const step = fc.oneof(
      { weight: 6, arbitrary: push },
      { weight: 4, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const store = new BodyStore();
        let model: { ts: number; body: Buffer }[] = [];
        for (const one of steps) {
          if (one === 'clear') {
            store.clear();
            model = [];
          } else if (one === 'shift') expect(store.shift()).toBe(model.shift()?.body.length ?? 0);
          else {
            store.push(one.ts, Buffer.from(one.body));
            model.push({ ts: one.ts, body: Buffer.from(one.body) });
          }
          expect(store.size).toBe(model.length);
        }
        const kept = model.map((_, nth) => ({ ts: store.ts(nth), body: Buffer.from(store.body(nth)) }));
        expect(kept).toEqual(model);
      }),
    );
  });

  it('wastes no more than a quarter on bodies of any one size', () => {
    // Of bodies just over 8 KB one fitted into each slab of 16 KB: twice the memory that was reckoned.
    for (const bytes of [1000, 3000, 4096, 4097, 5500, 8200, 8300, 16_383, 32_000]) {
      const store = new BodyStore();
      for (let n = 0; n < 100; n += 1) store.push(n, Buffer.alloc(bytes));
      const slabs = new Set(Array.from({ length: store.size }, (_, nth) => store.body(nth).buffer));
      const held = [...slabs].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(held).toBeLessThan(1.34 * 100 * bytes + 16_384);
    }
  });

  it('holds no slab of which nothing is kept', () => {
    const store = new BodyStore();
    for (let n = 0; n < 10_000; n += 1) {
      store.push(n, Buffer.alloc(100));
      if (store.size > 10) store.shift();
    }
    const slabs = new Set(Array.from({ length: store.size }, (_, nth) => store.body(nth).buffer));
    expect(slabs.size).toBeLessThanOrEqual(2);
  });
});
