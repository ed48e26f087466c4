/** What the commands share in how they are declared: examples, exit codes, and the options they have in common. */
import { type Command, Option } from 'commander';
import { clientUrl } from '../config.ts';
import { isLimit, type Setting, settings } from '../config-table.ts';
import { urlOption, userOption } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Where a command is declared: the program it joins, what it runs in, and whom it gives its exit code. */
export interface Declaring {
  readonly program: Command;
  readonly terminal: Terminal;
  readonly done: (code: number) => void;
}

export interface ClientFlags {
  readonly url?: string;
  readonly user?: string;
  readonly json?: boolean;
}

/** The end of every help text. */
export function helpEnd(terminal: Terminal, lines: readonly string[]): string {
  const examples = lines.map((line) => `  $ ${terminal.command} ${line}`).join('\n');
  return `\nExamples:\n${examples}\n\nExit codes: 0 done, 1 failed, 2 called wrongly.`;
}

/** A command that talks to a server. */
export function clientCommand({ program }: Declaring, usage: string, description: string): Command {
  return program
    .command(usage)
    .description(description)
    .option('--url <url>', `Server to connect to. [ROOMCAST_URL, ${clientUrl({})}]`)
    .option('--user <name>', 'Name to be known by, where the server does not authenticate.');
}

export function clientOptions(
  flags: ClientFlags,
  terminal: Terminal,
): { url: string; user: string | undefined } {
  return { url: urlOption(flags.url ?? clientUrl(terminal.env)), user: userOption(flags.user) };
}

/** A flag for every setting of the table, grouped as there. commander names the values by the same keys. */
export function settingOptions(): Option[] {
  return settings.map((setting) => {
    const text = `${setting.meaning} [${setting.env}${defaultText(setting)}]`;
    const group = `${setting.group}${isLimit(setting) ? ' (0 = off)' : ''}:`;
    return new Option(`${setting.flag} <${valueName(setting)}>`, text).helpGroup(group);
  });
}

function valueName(setting: Setting): string {
  return setting.choices?.join('|') ?? setting.unit.replaceAll(' ', '-').replace('://', '-url');
}

function defaultText(setting: Setting): string {
  if (setting.type === 'name') return ', the host name';
  return setting.default === undefined ? '' : `, ${setting.default}`;
}
