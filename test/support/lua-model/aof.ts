/**
 * The append-only file of a stopped test Redis: how long it is, and how to cut its
 * tail as a power loss does. A cut may fall inside the MULTI that a script's writes
 * are wrapped in; such a file is repaired before the start, as in production: Redis
 * 7.0 alone would drop the half transaction but go on writing inside of it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FOLDER = 'appendonlydir';

/** Length of the part that grows; 0 where there is none. */
export function aofBytes(dir: string): number {
  const file = growingFile(dir);
  return file === undefined ? 0 : statSync(file).size;
}

/**
 * Cuts at a random byte, near the end more often than far from it.
 * @param from nothing before this length is touched
 * @param fraction 0 cuts nothing, 1 everything behind `from`
 */
export function cutAofTail(dir: string, from: number, fraction: number): void {
  const file = growingFile(dir);
  if (file === undefined) throw new Error(`no append-only file in ${dir}`);
  const tail = statSync(file).size - from;
  truncateSync(file, from + tail - Math.floor(tail * fraction ** 3));
  const manifest = join(dir, FOLDER, 'appendonly.aof.manifest');
  const checked = spawnSync(checker(), ['--fix', manifest], { input: 'y\n', encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(`redis-check-aof failed: ${checked.error ?? checked.stdout}`);
}

function growingFile(dir: string): string | undefined {
  const folder = join(dir, FOLDER);
  if (!existsSync(folder)) return undefined;
  const name = readdirSync(folder).find((entry) => entry.endsWith('.incr.aof'));
  return name === undefined ? undefined : join(folder, name);
}

/** Stands beside the server it belongs to. */
function checker(): string {
  const server = process.env.REDIS_SERVER_BIN;
  return server === undefined ? 'redis-check-aof' : join(dirname(server), 'redis-check-aof');
}
