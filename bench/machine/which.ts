/** Finds programs the way a shell does, and asks them their version. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The first program of that name on the PATH or in `more` folders. */
export function which(name: string, more: readonly string[] = []): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...more].filter(
    (folder) => folder !== '',
  );
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there or not ours to run: the next folder may have it.
    return false;
  }
}

/** The first match of `pattern` in what the program prints, both streams. */
export function versionOf(program: string, args: readonly string[], pattern = /\d+\.\d+[\w.+-]*/): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return pattern.exec(`${stdout}\n${stderr}`)?.[0] ?? 'unknown version';
}
