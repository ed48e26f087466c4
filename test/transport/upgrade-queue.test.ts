import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { Turn, type Work } from '../../src/node/turn.ts';
import { UpgradeQueue, type UpgradeRequest } from '../../src/transport/upgrade-queue.ts';
import { createFakeClock } from '../support/fake-clock.ts';

function upgradeOf(url: string): UpgradeRequest {
  return { request: { url } as IncomingMessage, socket: new Socket(), head: Buffer.alloc(0) };
}

it('carries out a storm in the order of its arrival and over several turns, between which others have theirs', () => {
  const fake = createFakeClock();
  const turns: (() => void)[] = [];
  const turn = new Turn({ ...fake, afterTurn: (run: () => void) => void turns.push(run) });
  const carriedOut: string[] = [];
  const queue = new UpgradeQueue(turn, ({ request }) => {
    carriedOut.push(request.url ?? '');
    fake.advance(0.3);
  });
  let others = 0;
  const other: Work = {
    listed: false,
    step: () => {
      others += 1;
      return false;
    },
  };
  const storm = Array.from({ length: 200 }, (_, nth) => `/ws?${nth}`);
  for (const url of storm) queue.add(upgradeOf(url));
  const perTurn: number[] = [];
  for (let run = turns.shift(); run; run = turns.shift()) {
    const before = carriedOut.length;
    turn.add(other);
    run();
    perTurn.push(carriedOut.length - before);
  }
  expect(carriedOut).toEqual(storm);
  // 60 ms of work in turns of some 8 ms.
  expect(perTurn.length).toBeGreaterThanOrEqual(7);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(32);
  expect(others).toBe(perTurn.length);
});
