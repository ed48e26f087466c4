/**
 * Server frames of RFC 6455, section 5.2: a text message in one unmasked frame, and pings and pongs (section 5.5).
 * A frame is made once per room and node and then written to every member, so
 * the header is not computed per recipient. Fragments and extensions do not
 * exist here; connections that negotiated one must not be written to this way.
 */
const FIN_TEXT = 0x81;
const FIN_PING = 0x89;
const FIN_PONG = 0x8a;
const LENGTH_16_BIT = 126;
const LENGTH_64_BIT = 127;

/** Without a payload: whatever its peer sends is an answer. */
export const PING_FRAME = Buffer.from([FIN_PING, 0]);

/** `payload`: of the ping that it answers, at most 125 bytes. */
export function pongFrame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([FIN_PONG, payload.length]), payload]);
}

export function textFrame(payload: string | Buffer): Buffer {
  return typeof payload === 'string' ? fromString(payload) : fromBuffer(payload);
}

/** Encodes straight behind the header: one allocation instead of two for the common short reply. */
function fromString(payload: string): Buffer {
  const length = Buffer.byteLength(payload);
  const header = headerBytes(length);
  const frame = Buffer.allocUnsafe(header + length);
  writeHeader(frame, length);
  frame.write(payload, header);
  return frame;
}

function fromBuffer(payload: Buffer): Buffer {
  const header = headerBytes(payload.length);
  const frame = Buffer.allocUnsafe(header + payload.length);
  writeHeader(frame, payload.length);
  payload.copy(frame, header);
  return frame;
}

/** A frame of text and of bytes behind it that are UTF-8 already: what every message of a room passes through, so one copy. */
export function splicedFrame(head: string, body: Buffer): Buffer {
  const headBytes = Buffer.byteLength(head);
  const length = headBytes + body.length;
  const header = headerBytes(length);
  const frame = Buffer.allocUnsafe(header + length);
  writeHeader(frame, length);
  frame.write(head, header);
  body.copy(frame, header + headBytes);
  return frame;
}

function headerBytes(length: number): number {
  if (length < LENGTH_16_BIT) return 2;
  return length <= 0xffff ? 4 : 10;
}

function writeHeader(frame: Buffer, length: number): void {
  frame[0] = FIN_TEXT;
  if (length < LENGTH_16_BIT) {
    frame[1] = length;
  } else if (length <= 0xffff) {
    frame[1] = LENGTH_16_BIT;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = LENGTH_64_BIT;
    frame.writeUInt32BE(Math.floor(length / 0x1_0000_0000), 2);
    frame.writeUInt32BE(length % 0x1_0000_0000, 6);
  }
}
