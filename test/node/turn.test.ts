import { expect, it } from 'vitest';
import { Turn, type Work } from '../../src/node/turn.ts';
import { createFakeClock } from '../support/fake-clock.ts';

it('lets go of so many connections at its end, and not of all that could be held back within its budget', () => {
  // Holding back costs next to nothing, so the clock does not tell: the writes come when the budget is spent.
  const turns: (() => void)[] = [];
  const clock = { ...createFakeClock(), afterTurn: (run: () => void) => void turns.push(run) };
  const turn = new Turn(clock);
  let written = 0;
  let corked = 0;
  const work: Work = {
    listed: false,
    step(now) {
      while (corked < 5000) {
        now.cork({ cork: () => true, uncork: () => void (written += 1) });
        corked += 1;
        if (corked % 64 === 0 && now.isOver) return true;
      }
      return false;
    },
  };
  turn.add(work);
  const perTurn: number[] = [];
  for (let run = turns.shift(); run; run = turns.shift()) {
    const before = written;
    run();
    if (written > before) perTurn.push(written - before);
  }
  expect(written).toBe(5000);
  expect(perTurn).toHaveLength(4);
  expect(Math.max(...perTurn)).toBeLessThan(1600);
});

it('does not count the replies of before it: however many there are, rooms go on', () => {
  const turns: (() => void)[] = [];
  const clock = { ...createFakeClock(), afterTurn: (run: () => void) => void turns.push(run) };
  const turn = new Turn(clock);
  for (let n = 0; n < 3000; n += 1) turn.cork({ cork: () => true, uncork: () => undefined });
  let steps = 0;
  turn.add({ listed: false, step: () => (steps += 1) < 100 });
  turns.shift()?.();
  expect(steps).toBe(100);
});
