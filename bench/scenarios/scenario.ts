/**
 * A scenario measures one peer at a time and yields figures per setting; runs,
 * medians, tables and charts are the same for all and made from `columns` and
 * `chart` elsewhere.
 */
import type { Cores } from '../machine/pinning.ts';
import type { Peer } from '../peers/peer.ts';

/** Named numbers of one measurement. NaN: not measured here. */
export type Figures = Readonly<Record<string, number>>;

export interface Measured {
  /** What tells this measurement from the others of the peer, e.g. `{ perSecond: 1000 }`. */
  readonly setting: Readonly<Record<string, number | string>>;
  readonly figures: Figures;
  /** For the reader of the results: what happened, where that is no figure. */
  readonly note?: string;
}

export interface Column {
  /** A name in `setting` or `figures`. */
  readonly key: string;
  readonly title: string;
  /** Digits behind the point; 0 groups thousands. */
  readonly digits: number;
  /** The page shows the lowest and highest run beside the median. */
  readonly hasRange?: boolean;
}

export interface ChartSpec {
  readonly title: string;
  /** Only rows of this setting; all without it. */
  readonly where?: Measured['setting'];
  readonly x: { readonly key: string; readonly title: string; readonly scale: 'log' | 'linear' | 'ordinal' };
  readonly y: { readonly key: string; readonly title: string; readonly scale: 'log' | 'linear' };
}

export interface ScenarioSettings {
  /** Short and small: to see that everything works, not to measure. */
  readonly quick: boolean;
  /** One line of progress: the step, and its figures where they are known. */
  say(step: string, figures?: Figures): void;
}

export interface Scenario {
  readonly name: string;
  /** One line for the help text. */
  readonly summary: string;
  /** What is measured and how, for the report. */
  readonly method: string;
  readonly columns: readonly Column[];
  readonly charts: readonly ChartSpec[];
  /** About how long one peer takes in one run, for the estimate before a run. */
  readonly secondsPerPeer: number;
  /** Where it runs what it starts; without it, apart. */
  readonly cores?: Cores;
  suits(peer: Peer): boolean;
  /** What it needs beside the peers. The reason where that cannot be had here. */
  prepare?(): string | undefined;
  measure(peer: Peer, settings: ScenarioSettings): AsyncIterable<Measured>;
}
