/**
 * What every benchmark message carries: the stream it belongs to (one publisher
 * in one room), its number there and when it was sent. Fixed width and ASCII, so
 * that it is the same bytes for every peer, survives JSON unescaped, and is read
 * by arithmetic instead of a parser.
 *
 * `#SSSSS.NNNNNNNNN.TTTTTTTTTTTTTTTT` and then padding: 33 bytes at least.
 */

const STREAM_DIGITS = 5;
const NUMBER_DIGITS = 9;
const TIME_DIGITS = 16;
export const MARKER_BYTES = 1 + STREAM_DIGITS + 1 + NUMBER_DIGITS + 1 + TIME_DIGITS;
export const STREAMS_MAX = 10 ** STREAM_DIGITS;
const HASH = 0x23;

/** Microseconds on a clock that all processes of the machine share. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** A payload of `bytes` bytes (at least MARKER_BYTES). */
export function payloadOf(stream: number, number: number, sentUs: number, bytes: number): string {
  const marker = `#${pad(stream, STREAM_DIGITS)}.${pad(number, NUMBER_DIGITS)}.${pad(sentUs, TIME_DIGITS)}`;
  return marker.padEnd(bytes, 'x');
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

export interface MarkerSeen {
  (stream: number, number: number, sentUs: number): void;
}

/** Finds the markers in the payload bytes of one connection, cut into chunks anywhere. */
export class MarkerReader {
  readonly #seen: MarkerSeen;
  #carry: Buffer = Buffer.alloc(0);

  constructor(seen: MarkerSeen) {
    this.#seen = seen;
  }

  push(chunk: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#carry.length > 0) {
      const take = Math.min(to - at, MARKER_BYTES - this.#carry.length);
      const joined = Buffer.concat([this.#carry, chunk.subarray(at, at + take)]);
      at += take;
      if (joined.length < MARKER_BYTES) {
        this.#carry = joined;
        return;
      }
      this.#carry = Buffer.alloc(0);
      this.#read(joined, 0);
    }
    while (at < to) {
      at = chunk.indexOf(HASH, at);
      if (at < 0 || at >= to) return;
      if (at + MARKER_BYTES > to) {
        this.#carry = Buffer.from(chunk.subarray(at, to));
        return;
      }
      this.#read(chunk, at);
      at += MARKER_BYTES;
    }
  }

  #read(from: Buffer, at: number): void {
    const stream = digits(from, at + 1, STREAM_DIGITS);
    const number = digits(from, at + 2 + STREAM_DIGITS, NUMBER_DIGITS);
    const sentUs = digits(from, at + 3 + STREAM_DIGITS + NUMBER_DIGITS, TIME_DIGITS);
    this.#seen(stream, number, sentUs);
  }
}

function digits(from: Buffer, at: number, count: number): number {
  let value = 0;
  for (let n = at; n < at + count; n += 1) value = value * 10 + ((from[n] as number) - 0x30);
  return value;
}
