/**
 * publish, read, init and history against a model, on real servers that are
 * restarted, emptied, cut, promoted and split. The long run is test/full/lua-model.
 */
import { expect, test } from 'vitest';
import { runRoomModel } from '../../support/lua-model/room-run.ts';
import { addTally, type Tally } from '../../support/lua-model/run-log.ts';

test('one Redis that restarts, loses its tail or loses everything keeps every promise', {
  timeout: 60_000,
}, async () => {
  const met: Tally = {};
  for (const seed of [1, 2, 3])
    addTally(met, await runRoomModel({ seed, operations: 1000, world: 'single' }));
  expectAll(met, ['publish expired', 'restart', 'cut', 'empty', 'tail lost', 'term forgotten']);
});

test('two Redis that fail over, split, heal and come back with an old snapshot keep every promise', {
  timeout: 60_000,
}, async () => {
  const met: Tally = {};
  for (const seed of [3, 4]) addTally(met, await runRoomModel({ seed, operations: 1100, world: 'pair' }));
  expectAll(met, ['promote', 'flip', 'heal', 'snapshot', 'empty']);
});

/** A run that never met a case proves nothing about it. */
function expectAll(met: Tally, faults: readonly string[]): void {
  const verdicts = ['ok', 'more', 'fresh', 'lost', 'diverged', 'trimmed'].map((verdict) => `read ${verdict}`);
  const damages = ['term', 'meta', 'log', 'entry', 'once', 'rollback'].map((kind) => `damage ${kind}`);
  const others = ['publish ok', 'publish dup', 'new life', 'new term', 'terms crossed', 'heard'];
  const missing = [...verdicts, ...damages, ...others, ...faults].filter((what) => !met[what]);
  expect(missing).toEqual([]);
}
