/** Where the bench keeps what it fetched or built: outside the repository, found again next time. */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder `name` of the cache, made where it is missing. */
export function cacheFolder(name: string): string {
  const root = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const folder = join(root, 'roomcast-bench', name);
  mkdirSync(folder, { recursive: true });
  return folder;
}
