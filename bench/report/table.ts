/** Rows side by side: as aligned text for the terminal, as Markdown for the report. */
import type { Column } from '../scenarios/scenario.ts';
import type { Row } from './results.ts';

const UNKNOWN = '–';

export function formatNumber(value: number | string | undefined, digits: number): string {
  if (typeof value === 'string') return value;
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function cells(rows: readonly Row[], columns: readonly Column[]): string[][] {
  const header = ['peer', ...columns.map((column) => column.title)];
  const body = rows.map((row) => [
    row.peer,
    ...columns.map(({ key, digits }) => formatNumber(row.setting[key] ?? row.median[key], digits)),
  ]);
  return [header, ...body];
}

export function textTable(rows: readonly Row[], columns: readonly Column[]): string {
  const table = cells(rows, columns);
  const widths = (table[0] ?? []).map((_, n) => Math.max(...table.map((line) => (line[n] ?? '').length)));
  return table
    .map((line) =>
      line
        .map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function markdownTable(rows: readonly Row[], columns: readonly Column[]): string {
  const [header = [], ...body] = cells(rows, columns);
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  const rule = header.map((_, n) => (n === 0 ? '---' : '---:'));
  return [header, rule, ...body].map(line).join('\n');
}
