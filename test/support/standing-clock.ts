/**
 * A real clock that can be made to stand: timers that fall due meanwhile run when
 * it goes on, late, while `now()` never stops. That is what a process sees that was
 * stopped or collected garbage for too long, here for one of several nodes in one process.
 */
import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/ops/system-clock.ts';

export interface StandingClock extends Clock {
  stand(): void;
  /** Runs what fell due, in order. */
  goOn(): void;
}

export function createStandingClock(): StandingClock {
  let standing = false;
  let due: (() => void)[] = [];

  /** Late callbacks are dropped where their timer was cancelled meanwhile. */
  function timed(
    ms: number,
    begin: (ms: number, run: () => void) => { cancel(): void },
    run: () => void,
  ): { cancel(): void } {
    let cancelled = false;
    const late = (): void => {
      if (!cancelled) run();
    };
    const timer = begin(ms, () => {
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
    after: (ms, run) => timed(ms, systemClock.after, run),
    every: (ms, run) => timed(ms, systemClock.every, run),
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
