/**
 * An example as a person uses it, whatever it is written in: type a line, see lines. The terminal
 * ones are processes, the page is a tab of a real Chromium; the tests are the same for all of them.
 */
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { findProgram } from '../../scripts/programs.mjs';
import { CliProcess, ROOT } from '../support/cli-process.ts';

export interface ExampleClient {
  type(line: string): Promise<void>;
  /** Waits for a line that contains the text. */
  line(text: string): Promise<void>;
  /** What it showed so far, in its order. */
  lines(): Promise<readonly string[]>;
  /** The messages among it, duplicates included: `#1 anna: "hello"`. */
  messages(): Promise<readonly string[]>;
}

export const LANGUAGES = ['node', 'python', 'bash', 'browser'] as const;
export type Language = (typeof LANGUAGES)[number];

interface Who {
  readonly url: string;
  readonly room: string;
  readonly user: string;
}

const isMessage = (line: string): boolean => line.startsWith('#');

export async function startExample(
  language: Language,
  who: Who,
  browser: () => Promise<Browser>,
  name: 'chat' | 'short' = 'chat',
): Promise<ExampleClient> {
  if (language === 'browser') return openExample(`${name}.html`, who, browser);
  const words = [who.url, who.room, who.user];
  switch (language) {
    case 'node':
      return terminal(process.execPath, [`examples/${name}.mjs`, ...words]);
    case 'python':
      return terminal(program('python3'), [`examples/${name}.py`, ...words]);
    case 'bash': {
      const folders = [`${ROOT}/node_modules/.bin`, dirname(program('jq')), process.env['PATH']];
      return terminal('bash', [`examples/${name}.sh`, ...words], { PATH: folders.join(':') });
    }
  }
}

function program(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is missing: node scripts/programs.mjs ${name}`);
  return path;
}

function terminal(path: string, words: readonly string[], env: Record<string, string> = {}): ExampleClient {
  const started = CliProcess.start(path, words, env);
  onTestFinished(async () => {
    // Runs before the SIGKILL: the one in bash has children to end.
    started.child.kill('SIGTERM');
    await started.exited;
  });
  return {
    type: async (line) => started.type(line),
    line: async (text) => void (await started.line(text)),
    lines: async () => started.out,
    messages: async () => started.out.filter(isMessage),
  };
}

/** The page from the file system, in a context of its own: another person's browser. `first` runs before its script. */
export async function openExample(
  file: string,
  who: Who,
  browser: () => Promise<Browser>,
  first = '',
): Promise<ExampleClient & { readonly page: Page }> {
  const context = await (await browser()).newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.addInitScript(first);
  const query = new URLSearchParams({ ...who }).toString();
  await page.goto(`${pathToFileURL(`${ROOT}/examples/${file}`).href}?${query}`);
  const lines = () => page.getByRole('listitem').allTextContents();
  return {
    type: async (line) => {
      await page.getByRole('textbox').fill(line);
      await page.getByRole('textbox').press('Enter');
    },
    line: async (text) => {
      await page.getByText(text).first().waitFor();
    },
    page,
    lines,
    messages: async () => (await lines()).filter(isMessage),
  };
}
