/** The kinds of targets there are: ours under a bound, ours under a share of a peer's, no stall. */
import { keptUp } from '../scenarios/kept-up.ts';
import type { Figures } from '../scenarios/scenario.ts';
import type { Row } from './results.ts';

export interface Target {
  readonly scenario: string;
  readonly target: string;
  /** Also of those in which the generator was the limit: it says nothing about what is judged. */
  readonly isOfAllRows?: boolean;
  judge(rows: readonly Row[]): { readonly measured: string; readonly isHit: boolean } | undefined;
}

export const OURS = 'roomcast';
export const WHOLE_PERCENT = 99.99;

export function figuresOf(rows: readonly Row[], peer: string, setting: Row['setting']): Figures | undefined {
  return rows.find(
    (row) => row.peer === peer && Object.entries(setting).every(([key, value]) => row.setting[key] === value),
  )?.median;
}

export const number = (figures: Figures | undefined, key: string): number => figures?.[key] ?? Number.NaN;
export const round = (value: number, digits = 2): string =>
  Number.isNaN(value) ? 'unknown' : value.toFixed(digits);

/** Ours under `most` of one figure in one setting. */
export function atMost(
  scenario: string,
  target: string,
  setting: Row['setting'],
  key: string,
  most: number,
  unit: string,
): Target {
  return {
    scenario,
    target,
    judge: (rows) => {
      const value = number(figuresOf(rows, OURS, setting), key);
      return Number.isNaN(value) ? undefined : { measured: `${round(value)} ${unit}`, isHit: value <= most };
    },
  };
}

/** Ours under `factor` times a peer's, of CPU per delivery. */
export function atMostPeer(
  scenario: string,
  setting: Row['setting'],
  peer: string,
  factor: number,
  where: string,
): Target {
  return {
    scenario,
    target: `${where}: CPU per delivery at most ${factor} × ${peer}'s`,
    judge: (rows) => {
      const ours = number(figuresOf(rows, OURS, setting), 'cpuUsPerDelivery');
      const theirs = number(figuresOf(rows, peer, setting), 'cpuUsPerDelivery');
      if (Number.isNaN(ours) || Number.isNaN(theirs)) return undefined;
      const measured = `${round(ours)} against ${round(theirs)} µs: ${round(ours / theirs)} ×`;
      return { measured, isHit: ours <= factor * theirs };
    },
  };
}

/** No event loop of ours with Redis stood still for longer, in any setting of the scenario in which it kept up. */
export function noStall(scenario: string, mostMs: number): Target {
  return {
    scenario,
    target: `with Redis, no stall of the event loop over ${mostMs} ms where it keeps up`,
    isOfAllRows: true,
    judge: (rows) => {
      const stalls = rows
        .filter(({ peer, median }) => peer === OURS && keptUp(median))
        .map(({ range }) => range['stallMs']?.[1] ?? Number.NaN)
        .filter((ms) => !Number.isNaN(ms));
      if (stalls.length === 0) return undefined;
      const worst = Math.max(...stalls);
      return { measured: `${round(worst, 0)} ms in the worst run`, isHit: worst <= mostMs };
    },
  };
}
