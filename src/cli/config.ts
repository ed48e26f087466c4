/** `roomcast config`: every setting as `roomcast serve` would take it here and now, and where it comes from. */
import { type ConfigInput, displayValue, loadConfig } from '../config.ts';
import { redisTarget } from '../config-redis.ts';
import { settings } from '../config-table.ts';
import { type Declaring, helpEnd, settingOptions } from './command.ts';
import { EXIT, type Terminal } from './terminal.ts';

export function addConfig({ program, terminal, done }: Declaring): void {
  const command = program
    .command('config')
    .description('Print every setting with its value, source, default and meaning. Secrets are masked.')
    .option('--json', 'Print JSON.')
    .addHelpText('after', helpEnd(terminal, ['config', 'config --json', 'config --lease-ms 20000']))
    .action(({ json, ...flags }: Record<string, string | undefined> & { json?: true }) => {
      done(config(flags, json === true, terminal));
    });
  for (const option of settingOptions()) command.addOption(option);
}

function config(flags: ConfigInput['flags'], json: boolean, terminal: Terminal): number {
  const {
    config: loaded,
    sources,
    warnings,
  } = loadConfig({ env: terminal.env, flags, hostname: terminal.hostname });
  const rows = settings.map((setting) => {
    const value = loaded[setting.key];
    const shown = displayValue(setting, loaded);
    return {
      name: setting.env,
      flag: setting.flag,
      value: typeof value === 'number' ? value : value === undefined ? null : shown,
      source: sources[setting.key],
      default: setting.type === 'name' ? 'host name' : (setting.default ?? null),
      min: setting.min,
      max: setting.max,
      choices: setting.choices,
      unit: setting.unit,
      meaning: setting.meaning,
      shown,
    };
  });
  for (const warning of warnings) terminal.err(`roomcast: ${warning}`);
  if (json) {
    terminal.out(
      JSON.stringify(
        rows.map(({ shown: _shown, ...row }) => row),
        null,
        2,
      ),
    );
    return EXIT.done;
  }
  const table = [
    ['SETTING', 'VALUE', 'SOURCE', 'DEFAULT', 'MEANING'],
    ...rows.map((row) => [row.name, row.shown, row.source, String(row.default ?? '-'), row.meaning]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  for (const row of table)
    terminal.out(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  const target = redisTarget(loaded);
  terminal.out(`\nbroker: ${target.mode === 'on' ? target.label : 'embedded (one node)'}`);
  return EXIT.done;
}
