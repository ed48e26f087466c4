/**
 * Runs checks and tells of each how it ended. Those that disturb nobody run a few at a time, because many
 * of them only wait; those that take Redis or a node away run alone, after the others, in their order.
 */
import type { Check, Topic } from './check.ts';
import { Lab, type LabParts } from './lab.ts';
import { Deviation, Skipped } from './outcome.ts';

export type Result =
  | { readonly check: string; readonly outcome: 'ok'; readonly ms: number }
  | { readonly check: string; readonly outcome: 'skipped'; readonly ms: number; readonly reason: string }
  | {
      readonly check: string;
      readonly outcome: 'failed';
      readonly ms: number;
      readonly expected: string;
      readonly came: string;
    };

export interface RunParts extends LabParts {
  readonly topics: readonly Topic[];
  /** Checks under way at the same time. */
  readonly parallel: number;
  /** Only checks whose name (topic included) holds this text, whatever the case. */
  readonly filter?: string;
  readonly onResult?: (result: Result) => void;
}

interface Named {
  readonly name: string;
  readonly check: Check;
}

/** In the order of the suite. */
export function checkNames(topics: readonly Topic[], filter?: string): string[] {
  return named(topics, filter).map(({ name }) => name);
}

/** One result for each check of the filter, as they end. Never rejects over what a server does. */
export async function runChecks(parts: RunParts): Promise<Result[]> {
  const all = named(parts.topics, parts.filter);
  const results: Result[] = [];
  const run = async (one: Named): Promise<void> => {
    const result = await runOne(one, parts);
    results.push(result);
    parts.onResult?.(result);
  };
  const waiting = all.filter(({ check }) => check.alone !== true);
  const lane = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await run(one);
  };
  await Promise.all(Array.from({ length: parts.parallel }, lane));
  for (const one of all.filter(({ check }) => check.alone === true)) await run(one);
  return results;
}

function named(topics: readonly Topic[], filter = ''): Named[] {
  const wanted = filter.toLowerCase();
  return topics
    .flatMap(({ title, checks }) => checks.map((check) => ({ name: `${title}: ${check.name}`, check })))
    .filter(({ name }) => name.toLowerCase().includes(wanted));
}

async function runOne({ name, check }: Named, parts: RunParts): Promise<Result> {
  const lab = new Lab(parts);
  const began = parts.clock.now();
  const told = (): { check: string; ms: number } => ({
    check: name,
    ms: Math.round(parts.clock.now() - began),
  });
  try {
    await check.run(lab);
    const deviation = lab.deviation();
    if (deviation !== undefined) throw deviation;
    return { ...told(), outcome: 'ok' };
  } catch (error) {
    // A promise broken on the way is the cause of what came after it.
    const cause = lab.deviation() ?? error;
    if (cause instanceof Deviation) {
      return { ...told(), outcome: 'failed', expected: cause.expected, came: cause.came };
    }
    if (cause instanceof Skipped) return { ...told(), outcome: 'skipped', reason: cause.message };
    const shown = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    return { ...told(), outcome: 'failed', expected: 'a check without a defect of its own', came: shown };
  } finally {
    await lab.end();
  }
}
