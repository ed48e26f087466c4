/**
 * The configuration chapter of docs/OPERATIONS.md, written from the table that the server itself obeys,
 * so that the page can neither miss a setting nor keep a removed one.
 */
import { isLimit, type Setting, settings } from './config-table.ts';

const KIB = 1024;

/** Markdown: one table per group, in the order of the settings. Ends with a new line. */
export function configTable(): string {
  const groups = [...new Set(settings.map((setting) => setting.group))];
  return groups
    .map((group) =>
      section(
        group,
        settings.filter((s) => s.group === group),
      ),
    )
    .join('\n');
}

function section(group: string, members: readonly Setting[]): string {
  return [
    `### ${group}`,
    '',
    ...(members.every(isLimit) ? ['0 switches a limit off.', ''] : []),
    '| Variable | Flag | Default | Allowed | Meaning |',
    '|---|---|---|---|---|',
    ...members.map(
      (s) =>
        `| \`${s.env}\` | \`${s.flag}\` | ${defaultText(s)} | ${allowedText(s)} | ${s.meaning.replaceAll('|', '\\|')} |`,
    ),
    '',
  ].join('\n');
}

function defaultText(setting: Setting): string {
  if (setting.type === 'name') return 'host name';
  if (setting.default === undefined) return '-';
  const human =
    typeof setting.default === 'number' && setting.unit === 'bytes' ? ` (${bytes(setting.default)})` : '';
  return `\`${setting.default}\`${human}`;
}

function bytes(count: number): string {
  return count >= KIB * KIB ? `${count / KIB / KIB} MiB` : `${count / KIB} KiB`;
}

function allowedText(setting: Setting): string {
  if (setting.choices !== undefined) return setting.choices.map((choice) => `\`${choice}\``).join(' ');
  if (setting.type === 'int')
    return `${setting.min} to ${setting.max} ${setting.unit}`.replace(/ (port|number)$/, '');
  return setting.unit;
}
