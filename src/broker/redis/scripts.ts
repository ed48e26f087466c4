/**
 * The Lua scripts of this folder with their SHA-1 and the number of keys and
 * arguments each takes. Everything that must be one atomic step for several
 * nodes happens in one of them; why, is said in each file's header.
 *
 * They are sent as raw EVALSHA after an explicit SCRIPT LOAD: a client that falls
 * back to EVAL on NOSCRIPT changes the order of a pipeline. This module only reads files.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

interface Arity {
  readonly keys: number;
  readonly args: number;
}

/** Compared by a test with each header and with the indices each body uses. */
const ARITIES = {
  publish: { keys: 3, args: 9 },
  read: { keys: 2, args: 4 },
  init: { keys: 2, args: 2 },
  history: { keys: 2, args: 3 },
  'read-mark': { keys: 1, args: 0 },
  'mark-read': { keys: 1, args: 4 },
  hold: { keys: 5, args: 9 },
  drop: { keys: 5, args: 8 },
  snapshot: { keys: 2, args: 1 },
  heartbeat: { keys: 3, args: 4 },
  expire: { keys: 3, args: 2 },
  reap: { keys: 6, args: 7 },
  audit: { keys: 4, args: 5 },
  'count-connections': { keys: 2, args: 4 },
  canary: { keys: 1, args: 3 },
} as const satisfies Record<string, Arity>;

/** The file `lua/<name>.lua`. */
export type ScriptName = keyof typeof ARITIES;

export interface Script extends Arity {
  readonly name: ScriptName;
  readonly source: string;
  /** Hexadecimal SHA-1 of the source: what EVALSHA takes and SCRIPT LOAD answers. */
  readonly sha1: string;
}

/** Reads every script once, synchronously, at start. Throws where a file is missing: the installation is broken. */
export function loadScripts(): ReadonlyMap<ScriptName, Script> {
  const scripts = new Map<ScriptName, Script>();
  for (const name of Object.keys(ARITIES) as ScriptName[]) {
    const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
    const sha1 = createHash('sha1').update(source).digest('hex');
    scripts.set(name, { name, source, sha1, ...ARITIES[name] });
  }
  return scripts;
}
