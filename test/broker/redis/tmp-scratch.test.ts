import { test } from 'vitest';
import { runRoomModel } from '../../support/lua-model/room-run.ts';
for (const world of ['pair', 'single'] as const)
  test(world, async () => {
    const t = performance.now();
    for (let seed = 100; seed < 110; seed++) {
      const tally = await runRoomModel({ seed, operations: 2000, world });
      if (seed === 100) console.log(tally);
    }
    console.log(world, performance.now() - t);
  }, 300_000);
