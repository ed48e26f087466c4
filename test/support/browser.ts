/**
 * The system's Chromium, driven by playwright-core: the program that CHROMIUM_BIN names, else the one on
 * PATH. One browser serves a whole test file; what has to be separate people are contexts of it, which
 * share no storage. Whoever launches it, closes it.
 */
import { type Browser, chromium } from 'playwright-core';
import { afterAll } from 'vitest';
import { findProgram } from '../../scripts/programs.mjs';

/** A first start reads a few hundred MB from a disk that may be busy with other tests. */
const LAUNCH_MS = 60_000;

export async function launchBrowser(): Promise<Browser> {
  const executablePath = findProgram('chromium');
  if (executablePath === undefined)
    throw new Error('no chromium: install it (apt-get install chromium) or set CHROMIUM_BIN');
  return chromium.launch({
    executablePath,
    timeout: LAUNCH_MS,
    // Root in a container has no user namespaces for the sandbox; the pages are our own.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
}

/** One browser for the tests of a file, started by the first that asks and closed after the last. */
export function browserForFile(): () => Promise<Browser> {
  let launched: Promise<Browser> | undefined;
  afterAll(async () => {
    await (await launched)?.close();
  });
  return () => {
    launched ??= launchBrowser();
    return launched;
  };
}
