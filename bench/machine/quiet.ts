/**
 * Waits until nothing else keeps the machine busy. A median does not help
 * against a test suite that runs beside all three runs, and the load average
 * still holds what the bench itself did a minute ago; so the processors are
 * watched for a moment, before each measurement, while nothing of ours runs.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Of all cores together. An idle machine has one or two. */
const BUSY_PERCENT = 6;
const LOOK_MS = 2000;
/** Somebody's compile is over by then; a service that runs all day is not. */
const WAIT_MS = 10 * 60_000;
const SAY_EVERY_MS = 30_000;

export interface CpuTimes {
  readonly busy: number;
  readonly all: number;
}

/** The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. Waiting for a disk is idle. */
export function parseCpuTimes(text: string): CpuTimes {
  const fields = (/^cpu +(.+)$/m.exec(text)?.[1] ?? '').split(' ').map(Number).slice(0, 8);
  const all = fields.reduce((sum, ticks) => sum + ticks, 0);
  return { busy: all - (fields[3] ?? 0) - (fields[4] ?? 0), all };
}

export function busyPercent(before: CpuTimes, after: CpuTimes): number {
  return (100 * (after.busy - before.busy)) / Math.max(1, after.all - before.all);
}

export interface Watch {
  now(): number;
  /** How busy the machine is from now on, for a moment. NaN where that cannot be seen. */
  busyPercent(): Promise<number>;
}

const WATCH: Watch = {
  now: () => performance.now(),
  busyPercent: async () => {
    if (process.platform !== 'linux') return Number.NaN;
    const read = () => parseCpuTimes(readFileSync('/proc/stat', 'latin1'));
    const before = read();
    await delay(LOOK_MS);
    return busyPercent(before, read());
  },
};

export class BusyError extends Error {}

/**
 * Resolves, once the machine is quiet, to how busy it still was. Throws when it did not become so in time, or
 * goes on at once with `force`, so that the result says how busy the machine was.
 */
export async function waitUntilQuiet(
  { force, say }: { readonly force: boolean; say(text: string): void },
  watch: Watch = WATCH,
): Promise<number> {
  const beganAt = watch.now();
  let saidAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const busy = await watch.busyPercent();
    if (!(busy > BUSY_PERCENT)) return busy;
    const now = watch.now();
    const others = `something else uses ${Math.round(busy)} % of the machine`;
    if (force) {
      say(`${others}, measured all the same`);
      return busy;
    }
    if (now - beganAt > WAIT_MS)
      throw new BusyError(`${others}: end it, or measure all the same with --force`);
    if (now - saidAt >= SAY_EVERY_MS) {
      const left = Math.ceil((WAIT_MS - (now - beganAt)) / 60_000);
      say(`${others}: waiting for it to end, at most ${left} min more`);
      saidAt = now;
    }
  }
}
