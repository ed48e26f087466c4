/** One scenario's results as they are written to bench/results/ and read back for the report. */
import type { Ceiling } from '../generator/ceiling-text.ts';
import type { Machine } from '../machine/machine.ts';
import type { ChartSpec, Column, Figures, Measured } from '../scenarios/scenario.ts';
import { isGeneratorBound } from '../scenarios/generator-bound.ts';
import { ranges, together } from './statistics.ts';

export interface Row {
  readonly peer: string;
  readonly setting: Measured['setting'];
  readonly runs: readonly Figures[];
  /** But the worst run of what must not happen at all. */
  readonly median: Figures;
  /** Lowest and highest of the runs. */
  readonly range: Readonly<Record<string, readonly [number, number]>>;
  /** It says something about the generator: kept, and left out of charts and targets. */
  readonly isGeneratorBound: boolean;
  readonly notes: readonly string[];
}

export interface PeerReport {
  readonly name: string;
  readonly setup: string;
  readonly version?: string;
  /** Why it was not measured. */
  readonly skipped?: string;
  /** What went wrong while it was. */
  readonly failures: readonly string[];
}

/** Raised when what is written here changes its shape: the report leaves out what it cannot read. */
export const REPORT_FORMAT = 2;

export interface ScenarioReport {
  readonly format: number;
  readonly scenario: string;
  readonly summary: string;
  readonly method: string;
  readonly startedAt: string;
  readonly tookSeconds: number;
  readonly command: string;
  /** Runs of each peer; the figures are their medians. */
  readonly runs: number;
  /** Made to see that everything works: not a measurement. */
  readonly quick: boolean;
  /** Restricted to these by --peer: kept, but no part of the published report. */
  readonly only?: readonly string[];
  readonly machine: Machine;
  /** The newest commit that touched what is measured or what measures; empty outside a repository. */
  readonly commit: string;
  /** How busy something else kept it right before the measurements, at most; of all cores. */
  readonly busyPercent: number;
  readonly ceiling: readonly Ceiling[];
  readonly peers: readonly PeerReport[];
  readonly columns: readonly Column[];
  readonly charts: readonly ChartSpec[];
  readonly rows: readonly Row[];
}

/** Gathers the runs of each (peer, setting) into rows, in the order in which they first came. */
export class Rows {
  readonly #rows = new Map<
    string,
    { peer: string; setting: Measured['setting']; runs: Figures[]; notes: string[] }
  >();

  add(peer: string, { setting, figures, note }: Measured): void {
    const key = JSON.stringify([peer, setting]);
    const row = this.#rows.get(key) ?? { peer, setting, runs: [], notes: [] };
    this.#rows.set(key, row);
    row.runs.push(figures);
    if (note !== undefined && !row.notes.includes(note)) row.notes.push(note);
  }

  /** Peers one after the other in the given order, the settings of each in the order measured. */
  finish(peers: readonly string[]): Row[] {
    const rows = [...this.#rows.values()].map((row) => {
      const median = together(row.runs);
      return { ...row, median, range: ranges(row.runs), isGeneratorBound: isGeneratorBound(median) };
    });
    return rows.sort((a, b) => peers.indexOf(a.peer) - peers.indexOf(b.peer));
  }
}

/** JSON has neither NaN nor Infinity: figures that were not measured are left out. */
export function toJson(report: ScenarioReport): string {
  return `${JSON.stringify(report, (_key, value: unknown) => (typeof value === 'number' && !Number.isFinite(value) ? undefined : value), 2)}\n`;
}
