/**
 * A real clock that can be made to stand: timers that fall due meanwhile run when
 * it goes on, late, while `now()` never stops. That is what a process sees that was
 * stopped or collected garbage for too long, here for one of several nodes in one process.
 */
import type { Clock, Timer } from '../../src/core/clock.ts';
import { systemClock } from '../../src/ops/system-clock.ts';

export interface StandingClock extends Clock {
  stand(): void;
  /** Runs what fell due, in order. */
  goOn(): void;
}

export function createStandingClock(): StandingClock {
  let standing = false;
  let due: (() => void)[] = [];

  /** Once for each time it falls due, and not at all where it was cancelled meanwhile. */
  function timed(run: () => void, begin: (onDue: () => void) => Timer): Timer {
    let cancelled = false;
    const late = (): void => {
      if (!cancelled) run();
    };
    const timer = begin(() => {
      if (!standing) run();
      else if (!due.includes(late)) due.push(late);
    });
    return {
      cancel() {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  return {
    now: () => systemClock.now(),
    wallMs: () => systemClock.wallMs(),
    after: (ms, run) => timed(run, (late) => systemClock.after(ms, late)),
    every: (ms, run) => timed(run, (late) => systemClock.every(ms, late)),
    afterTurn: (run) => systemClock.afterTurn(run),
    stand() {
      standing = true;
    },
    goOn() {
      standing = false;
      const late = due;
      due = [];
      for (const run of late) run();
    },
  };
}
