/**
 * Finds the setting that a mistyped environment variable most likely means. A server that ignores
 * `LIMIT_PUBLSH_BURST` in silence runs for months on a default that its operator believes to have changed.
 * Only close misses of long names count: short ones (`HOST`, `PORT`) are near to too much that is not ours.
 */
const LENGTH_MIN = 8;
const LENGTH_MAX = 64;

/** The one name at most two edits away, if any. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  if (given.length < LENGTH_MIN || given.length > LENGTH_MAX) return undefined;
  let best: string | undefined;
  let bestEdits = 3;
  for (const name of names) {
    if (name.length < LENGTH_MIN || Math.abs(name.length - given.length) >= bestEdits) continue;
    const edits = editsBetween(given, name);
    if (edits < bestEdits) {
      best = name;
      bestEdits = edits;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_none, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
