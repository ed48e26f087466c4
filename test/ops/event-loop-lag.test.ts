/** How late timers run, measured on this process: by holding it up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { LAG_WINDOW_MS, watchEventLoop } from '../../src/ops/event-loop-lag.ts';
import { createFakeClock } from '../support/fake-clock.ts';

/** Long beside what a busy machine does to this process by itself. */
const BLOCK_MS = 1500;
/** The histogram needs one interval to begin and one to be told of a delay. */
const INTERVALS_MS = 60;

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Windows turn only when the test says so. */
function watch(clock = createFakeClock()) {
  const lag = watchEventLoop(clock);
  onTestFinished(() => lag.stop());
  return lag;
}

test('before anything was measured, all is zero', () => {
  expect(watch().read()).toEqual({ p50: 0, p99: 0, max: 0 });
});

test('a loop held up once shows in max, and not in p50', async () => {
  const lag = watch();
  await sleep(INTERVALS_MS);
  block(BLOCK_MS);
  await sleep(10 * INTERVALS_MS);
  const told = lag.read();
  expect(told.max).toBeGreaterThan(BLOCK_MS - 100);
  expect(told.max).toBeLessThan(2 * BLOCK_MS);
  expect(told.p50).toBeLessThan(BLOCK_MS / 2);
  expect(told.p50).toBeLessThanOrEqual(told.p99);
  expect(told.p99).toBeLessThanOrEqual(told.max);
});

// It once was told to the first reader only: two monitors blinded each other.
test('reading changes nothing, and each moment is told for one to two windows', async () => {
  const clock = createFakeClock();
  const lag = watch(clock);
  await sleep(INTERVALS_MS);
  block(BLOCK_MS);
  await sleep(INTERVALS_MS);
  const worst = () => lag.read().max;
  for (let reader = 0; reader < 3; reader += 1) expect(worst()).toBeGreaterThan(BLOCK_MS - 100);
  clock.advance(LAG_WINDOW_MS);
  for (let reader = 0; reader < 3; reader += 1) expect(worst()).toBeGreaterThan(BLOCK_MS - 100);
  await sleep(INTERVALS_MS);
  expect(worst()).toBeGreaterThan(BLOCK_MS - 100);
  clock.advance(LAG_WINDOW_MS);
  expect(worst()).toBeLessThan(BLOCK_MS / 2);
});

test('figures have at most two decimals: they are read by people', async () => {
  const lag = watch();
  await sleep(5 * INTERVALS_MS);
  for (const figure of Object.values(lag.read())) expect(figure).toBe(Math.round(figure * 100) / 100);
});

test('stopped, it measures no more', async () => {
  const clock = createFakeClock();
  const lag = watch(clock);
  await sleep(INTERVALS_MS);
  lag.stop();
  expect(clock.pendingTimers()).toBe(0);
  const told = lag.read();
  block(BLOCK_MS);
  await sleep(INTERVALS_MS);
  expect(lag.read()).toEqual(told);
});

test('it does not keep the process alive', () => {
  const before = process.getActiveResourcesInfo().length;
  const lag = watchEventLoop();
  onTestFinished(() => lag.stop());
  expect(process.getActiveResourcesInfo()).toHaveLength(before);
});
