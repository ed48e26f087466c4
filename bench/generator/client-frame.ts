/** WebSocket frames as a client sends them: whole, masked (RFC 6455 section 5.3). */

export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

/**
 * The mask keeps hostile pages from steering proxies, which a load generator does not need: any key
 * costs the server the same work, so a constant one will do.
 */
const MASK = [0x37, 0xfa, 0x21, 0x3d] as const;

export function clientFrame(opcode: number, payload: string | Buffer): Buffer {
  const size = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
  const header = size < 126 ? 6 : size < 65_536 ? 8 : 14;
  const frame = Buffer.allocUnsafe(header + size);
  frame[0] = 0x80 | opcode;
  if (header === 6) {
    frame[1] = 0x80 | size;
  } else if (header === 8) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(size, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(size), 2);
  }
  for (let n = 0; n < 4; n += 1) frame[header - 4 + n] = MASK[n] as number;
  if (typeof payload === 'string') frame.write(payload, header);
  else payload.copy(frame, header);
  for (let n = 0; n < size; n += 1) {
    frame[header + n] = (frame[header + n] as number) ^ (MASK[n & 3] as number);
  }
  return frame;
}
