/**
 * Calls the Lua scripts one by one on a connection of the test's own, without the
 * lanes and retries of the product: the model tests judge the scripts alone.
 * Takes a changed source, so that a test can show that it notices a planted fault.
 */
import type { Redis } from 'ioredis';
import { loadScripts, type ScriptName } from '../../src/broker/redis/scripts.ts';

/** One planted fault: the text must occur in the script exactly once. */
export interface Mutation {
  readonly name: string;
  readonly script: ScriptName;
  readonly find: string;
  readonly put: string;
}

export type Sources = ReadonlyMap<ScriptName, string>;

export function sourcesWith(mutation?: Mutation): Sources {
  const sources = new Map<ScriptName, string>();
  for (const script of loadScripts().values()) sources.set(script.name, script.source);
  if (mutation !== undefined) {
    const pieces = (sources.get(mutation.script) ?? '').split(mutation.find);
    if (pieces.length !== 2) throw new Error(`mutation "${mutation.name}" occurs ${pieces.length - 1} times`);
    sources.set(mutation.script, pieces.join(mutation.put));
  }
  return sources;
}

export type Reply = string | number | null | Reply[];

export class ScriptCaller {
  readonly #client: Redis;
  readonly #hashes: ReadonlyMap<ScriptName, string>;

  private constructor(client: Redis, hashes: ReadonlyMap<ScriptName, string>) {
    this.#client = client;
    this.#hashes = hashes;
  }

  /** Loads every script on the server behind `client`; a restarted server needs a new caller. */
  static async on(client: Redis, sources: Sources = sourcesWith()): Promise<ScriptCaller> {
    const hashes = new Map<ScriptName, string>();
    for (const [name, source] of sources) {
      hashes.set(name, String(await client.script('LOAD', source)));
    }
    return new ScriptCaller(client, hashes);
  }

  async call(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Reply[]> {
    const reply = await this.#client.evalsha(this.#hashes.get(name) ?? '', keys.length, ...keys, ...args);
    return (Array.isArray(reply) ? reply : [reply]) as Reply[];
  }
}
