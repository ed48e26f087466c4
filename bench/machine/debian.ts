/**
 * Programs out of Debian packages, unpacked into the cache instead of installed:
 * it needs no root, starts no service (the nginx package would take port 80 on
 * every boot) and leaves nothing behind but a folder. A program that is on the
 * PATH already is preferred.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';

const DOWNLOAD_MS = 180_000;

export interface DebianProgram {
  /** Packages to unpack, libraries it needs included. */
  readonly packages: readonly string[];
  /** Files that must be there afterwards, relative to the root of the packages. */
  readonly files: readonly string[];
}

/** The folder the packages were unpacked to, or why they could not be. */
export function unpackDebian(
  name: string,
  { packages, files }: DebianProgram,
): { root: string } | { reason: string } {
  const root = join(cacheFolder('debian'), name);
  const isComplete = () => files.every((file) => existsSync(join(root, file)));
  if (isComplete()) return { root };
  const advice = `install ${packages.join(' ')} by hand`;
  if (!succeeds('apt-get', ['--version']) || !succeeds('dpkg-deb', ['--version'])) {
    return { reason: `needs the Debian packages ${packages.join(', ')} and there is no apt-get here` };
  }
  const folder = cacheFolder(join('debian', `${name}.packages`));
  const fetched =
    succeeds('apt-get', ['download', ...packages], folder) ||
    (succeeds('apt-get', ['update']) && succeeds('apt-get', ['download', ...packages], folder));
  if (!fetched)
    return { reason: `apt-get download ${packages.join(' ')} failed: run apt-get update, or ${advice}` };
  for (const file of readdirSync(folder)) {
    if (!succeeds('dpkg-deb', ['-x', join(folder, file), root]))
      return { reason: `dpkg-deb -x ${file} failed` };
  }
  rmSync(folder, { recursive: true, force: true });
  return isComplete()
    ? { root }
    : { reason: `the packages ${packages.join(', ')} do not hold ${files.join(', ')}` };
}

/** What the dynamic linker needs to find the libraries that were unpacked. */
export function libraryPath(root: string): Record<string, string> {
  const folders = ['usr/lib/x86_64-linux-gnu', 'usr/lib/aarch64-linux-gnu', 'usr/lib'];
  return { LD_LIBRARY_PATH: folders.map((folder) => join(root, folder)).join(':') };
}

function succeeds(program: string, args: readonly string[], cwd?: string): boolean {
  return spawnSync(program, args, { cwd, stdio: 'ignore', timeout: DOWNLOAD_MS }).status === 0;
}
