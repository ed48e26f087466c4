/**
 * What may not leave the process in clear: passwords, tokens, and characters that a terminal or a log
 * collector would obey. Everything that prints something from outside (the logger, error lines, the
 * `config` command) passes it through here, so that one place decides. It cannot recognise a secret
 * that sits in the middle of a sentence without a URL around it or a name beside it; nothing of ours
 * builds such a sentence.
 */

const STRING_MAX = 256; // UTF-16 units of one field
const DEPTH_MAX = 4;
const ITEMS_MAX = 32; // entries of one array or object
const STACK_LINES_MAX = 24;

const MASK = '***';
const SECRET_NAME =
  /pass(word|wd|phrase|code)|pass$|secret|tokens?$|authorization|cookie|credential|api[-_]?key|private[-_]?key|bearer|jwt/i;

// Control characters (ANSI escapes and new lines among them), C1, line separators and the marks that
// reorder text: with these a value could fake log lines or repaint the terminal of who reads them.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Whether a field of this name holds something nobody may read. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/**
 * One URL: `redis://user:secret@host` -> `redis://user:***@host`. Everything up to the last @ is taken for
 * userinfo, because a password may hold an unencoded @ or /, and showing the half of it behind the first
 * one would be worse than hiding a bit of path.
 */
export function maskUrl(url: string): string {
  const start = url.indexOf('://') + 3;
  const at = url.lastIndexOf('@');
  if (start < 3 || at < start) return url;
  const colon = url.indexOf(':', start);
  // Without a colon the one part may be the user or the secret: hide it.
  const shown = colon < 0 || colon > at ? '' : `${url.slice(start, colon)}:`;
  return `${url.slice(0, start)}${shown}${MASK}${url.slice(at)}`;
}

/** The same for what should be an address but may lack its scheme: `user:secret@host` -> `***@host`. */
export function maskAddress(text: string): string {
  const masked = maskUrl(text);
  return masked === text && text.includes('@') ? `${MASK}${text.slice(text.lastIndexOf('@'))}` : masked;
}

/** `maskUrl` for every word of a text. Linear in its length, as the text may come from a peer. */
export function maskUrls(text: string): string {
  return text.includes('://') ? text.replace(/\S+/g, maskUrl) : text;
}

/** Unprintable characters as the visible text `\u001b`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Text from outside as one harmless line of bounded length. */
export function safeText(text: string, max: number = STRING_MAX): string {
  // Masked before cut, or a cut before the @ would leave the password standing. Bounded before masked,
  // so that a text of megabytes costs nothing: an @ further away than this is not userinfo.
  const cut = maskUrls(text.slice(0, max + 4096));
  if (cut.length <= max && text.length <= max + 4096) return printable(cut);
  return `${printable(dropHalfPair(cut.slice(0, max)))}... (${text.length} characters)`;
}

/** A cut between the halves of a surrogate pair would leave invalid Unicode behind. */
function dropHalfPair(text: string): string {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? text.slice(0, -1) : text;
}

/** A copy of the fields of a log line with secrets masked, strings cut and everything bounded. */
export function safeFields(fields: object): Record<string, unknown> {
  return safeObject(fields, 0);
}

function safeObject(value: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  let items = 0;
  for (const [name, item] of Object.entries(value)) {
    if (++items > ITEMS_MAX) {
      copy['...'] = 'more';
      break;
    }
    const safeName = safeText(name, 64);
    const shown = isSecretName(name) && item !== undefined ? MASK : safeValue(item, depth + 1);
    // defineProperty, because a plain assignment to `__proto__` would set the prototype instead.
    Object.defineProperty(copy, safeName, { value: shown, enumerable: true, configurable: true });
  }
  return copy;
}

function safeValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return safeText(value);
    case 'bigint':
      return value.toString();
    case 'symbol':
    case 'function':
      return safeText(String(value), 64);
    case 'object':
      return value === null ? null : safeNested(value, depth);
    default:
      return value;
  }
}

function safeNested(value: object, depth: number): unknown {
  if (value instanceof Error) return safeError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (value instanceof Map || value instanceof Set) return `${value.size} entries`;
  // Also what ends a cycle.
  if (depth >= DEPTH_MAX) return Array.isArray(value) ? '[...]' : '{...}';
  if (Array.isArray(value)) {
    const items: unknown[] = value.slice(0, ITEMS_MAX).map((item) => safeValue(item, depth + 1));
    if (value.length > ITEMS_MAX) items.push(`... (${value.length} items)`);
    return items;
  }
  return safeObject(value, depth);
}

/** Type, message, code, stack and cause. Other properties of an error (ioredis adds whole commands) stay out. */
function safeError(error: Error, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = { type: safeText(error.name, 64), message: safeText(error.message) };
  if ('code' in error && (typeof error.code === 'string' || typeof error.code === 'number')) {
    safe['code'] = safeValue(error.code, depth);
  }
  if (error.stack !== undefined) safe['stack'] = safeStack(error, error.stack);
  if (error.cause instanceof Error && depth < DEPTH_MAX) safe['cause'] = safeError(error.cause, depth + 1);
  return safe;
}

/**
 * The frames below the message. The message itself may come from a peer, and its line breaks would look
 * like log lines or like frames, so the head is written again, escaped, and only real frames follow.
 */
function safeStack(error: Error, stack: string): string {
  const at = stack.indexOf(error.message);
  const frames = (at < 0 ? stack : stack.slice(at + error.message.length))
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, STACK_LINES_MAX);
  const head = `${safeText(error.name, 64)}: ${safeText(error.message)}`;
  return [head, ...frames.map((line) => safeText(line))].join('\n');
}
