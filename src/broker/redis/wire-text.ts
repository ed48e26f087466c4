/**
 * Commands as RESP, the protocol of Redis: an array of bulk strings, each
 * `$<bytes>\r\n<bytes>\r\n`. ioredis makes the same, but of some sixty pieces per
 * publish; here what is the same for every call of a script is made once, and the
 * rest is joined.
 */
import type { Argument } from './commands.ts';

/** `$<n>` of strings up to a kilobyte, which nearly all are. */
const LENGTHS = Array.from({ length: 1025 }, (_, bytes) => `$${bytes}`);

/** Text where all arguments are, which is cheaper to send. */
export function commandWire(name: string, args: readonly Argument[]): string | Buffer {
  const pieces: Argument[] = [`*${1 + args.length}`, lengthOf(name), name];
  for (const arg of args) pieces.push(lengthOf(arg), arg);
  pieces.push('');
  if (args.every((arg) => typeof arg === 'string')) return pieces.join('\r\n');
  return Buffer.concat(
    pieces.flatMap((piece, index) => (index === 0 ? [bytesOf(piece)] : [CRLF, bytesOf(piece)])),
  );
}

/** What every EVALSHA of one script begins with, behind the number of its parts. */
export function scriptHead(sha1: string): string {
  return `$7\r\nEVALSHA\r\n${lengthOf(sha1)}\r\n${sha1}`;
}

/** EVALSHA of the script that `head` was made for. */
export function scriptWire(head: string, keys: readonly string[], args: readonly string[]): string {
  const count = String(keys.length);
  const pieces = [`*${3 + keys.length + args.length}`, head, lengthOf(count), count];
  for (const key of keys) pieces.push(lengthOf(key), key);
  for (const arg of args) pieces.push(lengthOf(arg), arg);
  pieces.push('');
  return pieces.join('\r\n');
}

const CRLF = Buffer.from('\r\n');

function bytesOf(piece: Argument): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece) : piece;
}

function lengthOf(argument: Argument): string {
  const bytes = Buffer.byteLength(argument);
  return LENGTHS[bytes] ?? `$${bytes}`;
}
