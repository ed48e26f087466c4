/** The ways a check ends other than well: something came that should not, or it cannot be judged here. */

/** The server (or what stands in front of it) does not do what PROTOCOL says. */
export class Deviation extends Error {
  readonly expected: string;
  readonly came: string;

  constructor(expected: string, came: string) {
    super(`expected ${expected}; came ${came}`);
    this.name = 'Deviation';
    this.expected = expected;
    this.came = came;
  }
}

/** The check says nothing about this server: the reason. */
export class Skipped extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'Skipped';
  }
}

export function skip(reason: string): never {
  throw new Skipped(reason);
}

/** `came` is shown as JSON. */
export function must(holds: boolean, expected: string, came: unknown): void {
  if (!holds) throw new Deviation(expected, show(came));
}

export function same(came: unknown, wanted: unknown, what: string): void {
  must(JSON.stringify(came) === JSON.stringify(wanted), `${what}: ${show(wanted)}`, came);
}

const SHOWN_MAX = 400;

/** A value as one line of bounded length. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}… (${text.length} characters)`;
}
