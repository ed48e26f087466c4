/**
 * Counts the messages in a NATS client stream. Over WebSocket the server cuts
 * that stream into frames as it likes, so a frame may hold many messages, or
 * half of one: the lines `MSG <subject> <sid> <bytes>` say where each ends.
 */
import type { StreamCounter } from '../generator/wire.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const ZERO = 0x30;
/** `MSG `, as a number. */
const MSG = 0x4d534720;
const LINE_BYTES_MAX = 64 * 1024;
const LINE_END_BYTES = 2;

export class NatsCounter implements StreamCounter {
  messages = 0;
  readonly #heard: (line: string) => void;
  /** Bytes of a payload, its line end included, that have not come yet. */
  #rest = 0;
  /** A line that began in an earlier chunk. */
  #line = '';

  constructor(heard: (line: string) => void) {
    this.#heard = heard;
  }

  push(chunk: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.#rest > 0) {
        const skip = Math.min(this.#rest, to - at);
        this.#rest -= skip;
        at += skip;
        continue;
      }
      let end = at;
      while (end < to && chunk[end] !== NEWLINE) end += 1;
      if (end < to && this.#line === '' && end - at > 4 && chunk.readUInt32BE(at) === MSG) {
        // Nearly all lines: counted without making a string of them.
        this.messages += 1;
        this.#rest = lastNumber(chunk, end) + LINE_END_BYTES;
        at = end + 1;
        continue;
      }
      this.#line += chunk.toString('latin1', at, end);
      if (end === to) {
        if (this.#line.length > LINE_BYTES_MAX) throw new Error('a line of NATS has no end');
        return;
      }
      at = end + 1;
      const line = this.#line;
      this.#line = '';
      if (line.startsWith('MSG ')) {
        this.messages += 1;
        this.#rest = Number.parseInt(line.slice(line.lastIndexOf(' ') + 1), 10) + LINE_END_BYTES;
      } else {
        this.#heard(line.trimEnd());
      }
    }
  }
}

/** The number that ends at `end`, a carriage return behind it or not. */
function lastNumber(chunk: Buffer, end: number): number {
  let value = 0;
  let at = chunk[end - 1] === RETURN ? end - 2 : end - 1;
  for (let place = 1; chunk[at] !== SPACE; place *= 10, at -= 1)
    value += ((chunk[at] as number) - ZERO) * place;
  return value;
}
