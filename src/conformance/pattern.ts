/**
 * Which frames a check waits for: an object with the fields that matter. A field is compared by value,
 * objects in part and arrays whole; `ANY` stands for whatever is there, `ABSENT` for nothing at all,
 * `some(x)` for a list with an x in it.
 */

export const ANY = Symbol('any');
export const ABSENT = Symbol('absent');

export interface Pattern {
  readonly type?: string;
  readonly [field: string]: unknown;
}

class Some {
  readonly item: unknown;

  constructor(item: unknown) {
    this.item = item;
  }
}

export function some(item: unknown): unknown {
  return new Some(item);
}

export function matches(pattern: unknown, value: unknown): boolean {
  if (pattern === ANY) return value !== undefined;
  if (pattern === ABSENT) return value === undefined;
  if (typeof pattern !== 'object' || pattern === null) return Object.is(pattern, value);
  if (typeof value !== 'object' || value === null) return false;
  if (pattern instanceof Some) return Array.isArray(value) && value.some((one) => matches(pattern.item, one));
  if (Array.isArray(pattern)) {
    return (
      Array.isArray(value) &&
      value.length === pattern.length &&
      pattern.every((item, at) => matches(item, value[at]))
    );
  }
  // An empty object is a value, not a wish: with "in part" it would match every state.
  if (Object.keys(pattern).length === 0) return Object.keys(value).length === 0;
  const fields = value as Readonly<Record<string, unknown>>;
  return Object.entries(pattern).every(([name, wanted]) => matches(wanted, fields[name]));
}

/** For reports: `{"type":"ok","id":<any>}`. */
export function describePattern(pattern: Pattern): string {
  const marked = JSON.stringify(pattern, (_name, value: unknown) => {
    if (value === ANY) return '<any>';
    if (value === ABSENT) return '<absent>';
    return value instanceof Some ? ['<among others>', value.item] : value;
  });
  return marked.replace(/"(<[a-z ]+>)"/g, '$1');
}
