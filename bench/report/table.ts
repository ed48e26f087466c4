/** Rows side by side: as aligned text for the terminal, as Markdown for the report. */
import { GENERATOR_BOUND_NOTE } from '../scenarios/generator-bound.ts';
import type { Column } from '../scenarios/scenario.ts';
import type { Row } from './results.ts';

const UNKNOWN = '–';
const MARK = ' †';

export function formatNumber(value: number | string | undefined, digits: number): string {
  if (typeof value === 'string') return value;
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function cells(rows: readonly Row[], columns: readonly Column[], withRanges: boolean): string[][] {
  const header = ['peer', ...columns.map((column) => column.title)];
  const body = rows.map((row) => [
    `${row.peer}${row.isGeneratorBound ? MARK : ''}`,
    ...columns.map((column) => cell(row, column, withRanges)),
  ]);
  return [header, ...body];
}

/** The median; behind it, where asked for and where they differ as shown, the lowest and highest run. */
function cell(row: Row, { key, digits, hasRange }: Column, withRanges: boolean): string {
  const shown = formatNumber(row.setting[key] ?? row.median[key], digits);
  const range = row.range[key];
  if (!withRanges || hasRange !== true || range === undefined || row.runs.length < 2) return shown;
  const [low, high] = range.map((value) => formatNumber(value, digits));
  return low === high ? shown : `${shown} (${low}–${high})`;
}

function footnote(rows: readonly Row[]): string {
  return rows.some((row) => row.isGeneratorBound) ? `${MARK.trim()} ${GENERATOR_BOUND_NOTE}` : '';
}

export function textTable(rows: readonly Row[], columns: readonly Column[]): string {
  const table = cells(rows, columns, false);
  const widths = (table[0] ?? []).map((_, n) => Math.max(...table.map((line) => (line[n] ?? '').length)));
  const lines = table.map((line) =>
    line
      .map((text, n) => (n === 0 ? text.padEnd(widths[n] ?? 0) : text.padStart(widths[n] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, footnote(rows)].filter((line) => line !== '').join('\n');
}

export function markdownTable(rows: readonly Row[], columns: readonly Column[]): string {
  const [header = [], ...body] = cells(rows, columns, true);
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  const rule = header.map((_, n) => (n === 0 ? '---' : '---:'));
  const table = [header, rule, ...body].map(line).join('\n');
  const note = footnote(rows);
  return note === '' ? table : `${table}\n\n${note}.`;
}

/** How the figures of so many runs were put together. */
export const runsText = (runs: number): string =>
  runs === 1 ? 'one run' : `medians of ${runs} runs (in brackets the lowest and the highest)`;
