/** Progress on stderr, so that stdout holds the table and nothing else. */
import type { Figures } from '../scenarios/scenario.ts';
import { formatNumber } from './table.ts';

const SHOWN: readonly { readonly key: string; readonly digits: number; readonly unit: string }[] = [
  { key: 'deliveredPerSecond', digits: 0, unit: 'delivered/s' },
  { key: 'inTimePercent', digits: 1, unit: '% in time' },
  { key: 'p99Ms', digits: 1, unit: 'ms p99' },
  { key: 'cpuUsPerDelivery', digits: 2, unit: 'µs CPU each' },
  { key: 'kbPerConnection', digits: 1, unit: 'KB per connection' },
  { key: 'connectsPerSecond', digits: 0, unit: 'connects/s' },
];

export class Progress {
  readonly #write: (line: string) => void;
  readonly #beganAt = performance.now();

  constructor(write: (line: string) => void = (line) => void process.stderr.write(`${line}\n`)) {
    this.#write = write;
  }

  say(text: string): void {
    const seconds = String(Math.round((performance.now() - this.#beganAt) / 1000)).padStart(5);
    this.#write(`${seconds} s  ${text}`);
  }

  /** Says the steps of one measurement, each with its figures. */
  step(name: string): (step: string, figures?: Figures) => void {
    return (step, figures) => this.say(`${name}  ${step}${figures ? `: ${figuresText(figures)}` : ''}`);
  }
}

function figuresText(figures: Figures): string {
  return SHOWN.filter(({ key }) => figures[key] !== undefined && !Number.isNaN(figures[key]))
    .map(({ key, digits, unit }) => `${formatNumber(figures[key], digits)} ${unit}`)
    .join(', ');
}
