/**
 * The `Clock` and `Random` of tests. Time stands still until a test moves it,
 * so a test of a five-minute expiry takes no time and cannot be late on a busy
 * machine; chance comes from a seed, so that a failing run can be run again.
 * What it does not do: it never awaits on its own (`advance` is one synchronous
 * step), so code that waits for promises between timers needs `advanceAsync`.
 */
import type { Clock, Random, Timer } from '../../src/core/clock.ts';

export interface FakeClock extends Clock {
  /**
   * Moves time on by `ms`: runs each timer that falls due, in order of its due
   * time (then of its creation), with `now()` standing at that due time, and
   * flushes the `afterTurn` callbacks before the first and after each of them.
   */
  advance(ms: number): void;
  /** As `advance`, but lets promises settle before the first timer and after each. */
  advanceAsync(ms: number): Promise<void>;
  /** Runs the `afterTurn` callbacks, also those they add. Time does not move. */
  flushTurn(): void;
  /** What an operator does to the wall clock: `wallMs()` jumps, `now()` does not. */
  shiftWall(ms: number): void;
  /** Timers that wait. Zero after a `stop()` that forgot none. */
  pendingTimers(): number;
}

/** Not zero, so that code which takes "0" for "never" is found out. */
const START_NOW_MS = 1_000;
const START_WALL_MS = 1_760_000_000_000;
/** Timers or turns run by one call; more means that a callback feeds itself for ever. */
const STEPS_MAX = 1_000_000;
/** Promise hops given to waiting code at each stop of `advanceAsync`. */
const MICROTASK_ROUNDS = 50;

interface Pending {
  readonly order: number;
  readonly everyMs: number | null;
  readonly run: () => void;
  dueMs: number;
}

export interface FakeClockOptions {
  readonly nowMs?: number;
  readonly wallMs?: number;
}

export function createFakeClock(options: FakeClockOptions = {}): FakeClock {
  let nowMs = options.nowMs ?? START_NOW_MS;
  let wallOffsetMs = (options.wallMs ?? START_WALL_MS) - nowMs;
  let created = 0;
  let turn: (() => void)[] = [];
  const timers = new Set<Pending>();

  function add(ms: number, everyMs: number | null, run: () => void): Timer {
    created += 1;
    const timer: Pending = { order: created, everyMs, run, dueMs: nowMs + Math.max(0, ms) };
    timers.add(timer);
    return { cancel: () => void timers.delete(timer) };
  }

  function nextDue(untilMs: number): Pending | undefined {
    let next: Pending | undefined;
    for (const timer of timers) {
      if (timer.dueMs > untilMs) continue;
      const sooner =
        !next || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order);
      if (sooner) next = timer;
    }
    return next;
  }

  function fire(timer: Pending): void {
    nowMs = Math.max(nowMs, timer.dueMs);
    if (timer.everyMs === null) timers.delete(timer);
    else timer.dueMs += timer.everyMs;
    timer.run();
  }

  function flushTurn(): void {
    for (let turns = 0; turn.length > 0; turns += 1) {
      if (turns > STEPS_MAX) throw new Error('fake clock: afterTurn callbacks without an end');
      const callbacks = turn;
      turn = [];
      for (const run of callbacks) run();
    }
  }

  /** Runs up to `untilMs`, yielding at each point where real time would let promises settle. */
  function* steps(ms: number): Generator<void, void, void> {
    const untilMs = nowMs + ms;
    flushTurn();
    yield;
    let timer = nextDue(untilMs);
    for (let fired = 0; timer; fired += 1) {
      if (fired > STEPS_MAX) throw new Error('fake clock: timers without an end');
      fire(timer);
      flushTurn();
      yield;
      timer = nextDue(untilMs);
    }
    nowMs = untilMs;
  }

  return {
    now: () => nowMs,
    wallMs: () => Math.floor(nowMs + wallOffsetMs),
    after: (ms, run) => add(ms, null, run),
    // Without the floor an interval of 0 would never let time pass.
    every: (ms, run) => add(Math.max(1, ms), Math.max(1, ms), run),
    afterTurn: (run) => void turn.push(run),
    advance(ms) {
      for (const _ of steps(ms));
    },
    async advanceAsync(ms) {
      for (const _ of steps(ms)) {
        // What settled may ask for a turn, and what runs in it for more to settle.
        for (let turns = 0; ; turns += 1) {
          if (turns > STEPS_MAX) throw new Error('fake clock: turns without an end');
          for (let round = 0; round < MICROTASK_ROUNDS; round += 1) await Promise.resolve();
          if (turn.length === 0) break;
          flushTurn();
        }
      }
    },
    flushTurn,
    shiftWall(ms) {
      wallOffsetMs += ms;
    },
    pendingTimers: () => timers.size,
  };
}

/** Mulberry32: 32 bits of state are plenty for a test and fit one line of arithmetic. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0;
  let born = 0;

  function word(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  function hex(digits: number): string {
    let text = '';
    while (text.length < digits) text += word().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  }

  return {
    fraction: () => word() / 2 ** 32,
    id() {
      // The layout of RFC 9562 section 5.7, with a counter for the milliseconds: sorts by birth.
      born += 1;
      const time = born.toString(16).padStart(12, '0');
      const variant = (8 + (word() & 3)).toString(16);
      return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-${variant}${hex(3)}-${hex(12)}`;
    },
    token: () => hex(20),
  };
}
