import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from '../../src/core/fifo.ts';

describe('a fifo', () => {
  it('gives back what was put in, in that order, however it grows and goes round', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('push', 'push', 'shift'), { maxLength: 500 }), (steps) => {
        const fifo = new Fifo<{ n: number }>();
        const model: { n: number }[] = [];
        let n = 0;
        for (const step of steps) {
          if (step === 'push') {
            n += 1;
            const item = { n };
            fifo.push(item);
            model.push(item);
          } else expect(fifo.shift()).toBe(model.shift());
          expect(fifo.size).toBe(model.length);
          expect(fifo.peek()).toBe(model[0]);
        }
      }),
    );
  });
});
