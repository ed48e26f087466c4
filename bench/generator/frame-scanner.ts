/**
 * Counts the messages in what a server sends, by walking from one WebSocket
 * frame header to the next (RFC 6455 section 5.2) without looking at payloads:
 * a load generator that parsed JSON would measure itself. Which data frames are
 * messages is told by one byte of their payload (`Probe`); whatever else comes,
 * control frames included, is put together and handed to `other`.
 *
 * A chunk may end anywhere. At most a header and the probed byte are ever
 * copied for a message, so the cost of a frame does not depend on its size.
 *
 * Not checked: masks, reserved bits, fragments. The servers under test are real
 * ones and send whole unmasked frames; a fragment would be counted as `other`
 * and show up as a missing delivery.
 */

/** A data frame is a message where payload[offset] === byte; `everything` means all data frames are. */
export type Probe = { readonly offset: number; readonly byte: number } | 'everything';

export interface PayloadTaker {
  (chunk: Buffer, from: number, to: number, isFrameEnd: boolean): void;
}

export interface ScannerEvents {
  /** Payload bytes of messages, in order, valid only during the call; the last of a frame are marked. */
  readonly payload?: PayloadTaker;
  /** A control frame, or a data frame that is not a message. */
  readonly other: (opcode: number, payload: Buffer) => void;
}

const HEADER_BYTES_MAX = 10;
/** Frames that are not messages are small: replies, pings, rosters of a room. */
const OTHER_BYTES_MAX = 16 * 1024 * 1024;

export class FrameScanner {
  messages = 0;
  bytes = 0;
  readonly #probeAt: number;
  readonly #probeByte: number;
  readonly #events: ScannerEvents;
  /** Payload bytes of a counted message that have not come yet. */
  #rest = 0;
  /** The beginning of a frame that cannot be told yet, or the whole of one that is collected. */
  #carry: Buffer = Buffer.alloc(0);

  constructor(probe: Probe, events: ScannerEvents) {
    this.#probeAt = probe === 'everything' ? -1 : probe.offset;
    this.#probeByte = probe === 'everything' ? -1 : probe.byte;
    this.#events = events;
  }

  /** Takes chunk[0..length). The chunk may be reused after the call. */
  push(chunk: Buffer, length: number): void {
    this.bytes += length;
    let at = 0;
    if (this.#rest > 0) at = this.#take(chunk, 0, length);
    if (this.#carry.length > 0) at = this.#resume(chunk, at, length);
    this.#walk(chunk, at, length);
  }

  #walk(chunk: Buffer, from: number, to: number): void {
    let at = from;
    const payload = this.#events.payload;
    const probeAt = this.#probeAt;
    while (at + 2 <= to) {
      const head = chunk[at] as number;
      let size = (chunk[at + 1] as number) & 0x7f;
      let body = at + 2;
      if (size === 126) {
        if (at + 4 > to) break;
        size = ((chunk[at + 2] as number) << 8) | (chunk[at + 3] as number);
        body = at + 4;
      } else if (size === 127) {
        if (at + HEADER_BYTES_MAX > to) break;
        size = chunk.readUInt32BE(at + 2) * 0x1_0000_0000 + chunk.readUInt32BE(at + 6);
        body = at + HEADER_BYTES_MAX;
      }
      const end = body + size;
      const isData = head === 0x81 || head === 0x82;
      if (isData && probeAt < size) {
        if (probeAt >= 0 && body + probeAt >= to) break;
        if (probeAt < 0 || chunk[body + probeAt] === this.#probeByte) {
          this.messages += 1;
          if (payload && body <= to) payload(chunk, body, end < to ? end : to, end <= to);
          if (end > to) {
            this.#rest = end - to;
            return;
          }
          at = end;
          continue;
        }
      }
      if (end > to) {
        if (size > OTHER_BYTES_MAX) throw new Error(`a frame of ${size} bytes that is not a message`);
        break;
      }
      this.#events.other(head & 0x0f, Buffer.from(chunk.subarray(body, end)));
      at = end;
    }
    if (at < to) this.#carry = Buffer.from(chunk.subarray(at, to));
  }

  /** Goes on with a message whose head was counted. Returns where the next frame begins. */
  #take(chunk: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#rest);
    this.#rest -= end - from;
    this.#events.payload?.(chunk, from, end, this.#rest === 0);
    return end;
  }

  /** Completes the frame in `#carry` byte by byte as far as needed. Returns where the next frame begins. */
  #resume(chunk: Buffer, from: number, to: number): number {
    let at = from;
    while (this.#carry.length > 0 && at < to) {
      const take = Math.min(to - at, this.#missing());
      const joined = Buffer.concat([this.#carry, chunk.subarray(at, at + take)]);
      this.#carry = Buffer.alloc(0);
      at += take;
      // Either counts the frame (leaving #rest), hands it over, or puts it back into #carry to grow.
      this.#walk(joined, 0, joined.length);
      if (this.#rest > 0) at = this.#take(chunk, at, to);
    }
    return at;
  }

  /** How many more bytes settle what the carried frame is, or complete it. At least 1. */
  #missing(): number {
    const carry = this.#carry;
    if (carry.length < 2) return 2 - carry.length;
    const short = (carry[1] as number) & 0x7f;
    const header = short === 126 ? 4 : short === 127 ? HEADER_BYTES_MAX : 2;
    if (carry.length < header) return header - carry.length;
    const size =
      short === 126
        ? carry.readUInt16BE(2)
        : short === 127
          ? carry.readUInt32BE(2) * 0x1_0000_0000 + carry.readUInt32BE(6)
          : short;
    const probed = header + this.#probeAt + 1;
    if (this.#probeAt < size && carry.length < probed) return probed - carry.length;
    return Math.max(1, header + size - carry.length);
  }
}
