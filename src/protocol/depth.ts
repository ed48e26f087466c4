/**
 * How deep a JSON text nests, found without recursion so that no input can
 * overflow the stack of the one who asks. `JSON.parse` itself is safe (V8's
 * parser is iterative, test/protocol/depth.test.ts proves it); what walks the
 * value afterwards, `JSON.stringify` first of all, is not.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{` differ from each other only in this bit, and so do `]` and `}`. */
const CURLY_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * Whether brackets outside of strings nest deeper than `max`. Meant for text
 * that `JSON.parse` accepts; of any other text the answer means nothing.
 */
export function textNestsDeeper(text: string, max: number): boolean {
  // One level too many takes max + 1 brackets to open and as many to close.
  if (text.length < 2 * (max + 1)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at + 1);
      if (at < 0) return false;
      continue;
    }
    const bracket = code | CURLY_BIT;
    if (bracket === OPEN) {
      depth += 1;
      if (depth > max) return true;
    } else if (bracket === CLOSE) {
      depth -= 1;
    }
  }
  return false;
}

/** Where the string that begins at `start` ends, -1 for nowhere. `indexOf` jumps over text far faster than a loop. */
function endOfString(text: string, start: number): number {
  let quote = text.indexOf('"', start);
  while (quote !== -1 && isEscaped(text, quote, start)) quote = text.indexOf('"', quote + 1);
  return quote;
}

/** An odd run of backslashes before a quote makes it part of the string. Each run belongs to one quote: linear in all. */
function isEscaped(text: string, quote: number, start: number): boolean {
  let first = quote;
  while (first > start && text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
  return (quote - first) % 2 === 1;
}

/** The same question of a parsed value. Recursion ends at `max`, which bounds it. */
export function valueNestsDeeper(value: unknown, max: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (max === 0) return true;
  for (const inner of Object.values(value)) if (valueNestsDeeper(inner, max - 1)) return true;
  return false;
}
