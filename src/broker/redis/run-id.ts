/**
 * Which Redis process is at the other end of a link: the `run_id` of INFO. Two
 * links of a node that reach different ones look healthy, each by itself, while
 * what is published on the first may never be heard on the second.
 */
import type { Outcome } from './outcome.ts';

/** Of the answer to INFO server; undefined where it was not allowed or tells none. */
export function runIdOf(info: Outcome): string | undefined {
  return info.kind === 'reply' ? /^run_id:(\w+)/m.exec(String(info.value))?.[1] : undefined;
}
