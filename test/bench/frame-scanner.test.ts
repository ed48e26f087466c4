/** The counting that every figure rests on: the same frames, cut anywhere, give the same count and the same bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameScanner, type Probe } from '../../bench/generator/frame-scanner.ts';

const PROBE_BYTE = 'm'.charCodeAt(0);
const PROBE: Probe = { offset: 9, byte: PROBE_BYTE };

function serverFrame(payload: string, opcode = 1): Buffer {
  const body = Buffer.from(payload);
  const size = body.length;
  const header = size < 126 ? Buffer.alloc(2) : size < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10);
  header[0] = 0x80 | opcode;
  header[1] = header.length === 2 ? size : header.length === 4 ? 126 : 127;
  if (header.length === 4) header.writeUInt16BE(size, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([header, body]);
}

function scan(bytes: Buffer, cuts: readonly number[], probe: Probe = PROBE) {
  const others: { opcode: number; text: string }[] = [];
  let payload = '';
  let ends = 0;
  const scanner = new FrameScanner(probe, {
    payload: (chunk, from, to, isFrameEnd) => {
      payload += chunk.toString('latin1', from, to);
      if (isFrameEnd) ends += 1;
    },
    other: (opcode, body) => others.push({ opcode, text: body.toString() }),
  });
  // One buffer for all chunks, as the generator does it: what the scanner keeps it must have copied,
  // and old bytes behind the chunk look like the probe.
  const shared = Buffer.alloc(bytes.length);
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (cut <= at) continue;
    shared.fill(PROBE_BYTE);
    bytes.copy(shared, 0, at, cut);
    scanner.push(shared, cut - at);
    at = cut;
  }
  return { messages: scanner.messages, bytes: scanner.bytes, others, payload, ends };
}

const message = (size: number) => `{"type":"message"${'x'.repeat(size)}`;

describe('the frame scanner', () => {
  it('counts messages, hands over everything else, and does not care where chunks end', () => {
    const frame = fc.oneof(
      fc.integer({ min: 0, max: 300 }).map((size) => ({ opcode: 1, text: message(size) })),
      fc.constant({ opcode: 1, text: message(70_000) }),
      fc.constant({ opcode: 1, text: '{"type":"ok","id":1}' }),
      fc.constant({ opcode: 1, text: `{"type":"presence"${'p'.repeat(400)}` }),
      fc.constant({ opcode: 1, text: '2' }),
      fc.constant({ opcode: 9, text: 'ping' }),
      fc.constant({ opcode: 9, text: '' }),
    );
    const frames = fc.array(frame, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 30 }), (sent, positions) => {
        const bytes = Buffer.concat(sent.map(({ opcode, text }) => serverFrame(text, opcode)));
        const cuts = positions.map((position) => position % bytes.length).sort((a, b) => a - b);
        const scanned = scan(bytes, cuts);
        const messages = sent.filter(({ text }) => text.startsWith('{"type":"message"'));
        expect(scanned.messages).toBe(messages.length);
        expect(scanned.ends).toBe(messages.length);
        expect(scanned.payload).toBe(messages.map(({ text }) => text).join(''));
        expect(scanned.others).toEqual(sent.filter((one) => !messages.includes(one)));
        expect(scanned.bytes).toBe(bytes.length);
      }),
      { numRuns: 300 },
    );
  });

  it('counts byte by byte as it does in one piece', () => {
    const bytes = Buffer.concat([
      serverFrame(message(200)),
      serverFrame('pong', 10),
      serverFrame(message(5)),
    ]);
    const everyByte = Array.from({ length: bytes.length }, (_, n) => n);
    expect(scan(bytes, everyByte)).toEqual(scan(bytes, []));
  });

  it('counts all data frames, empty ones too, where everything is a message, and still no control frames', () => {
    const bytes = Buffer.concat([
      serverFrame('a', 2),
      serverFrame('', 2),
      serverFrame('', 9),
      serverFrame('b'),
    ]);
    const { messages, others } = scan(bytes, [1, 3], 'everything');
    expect(messages).toBe(3);
    expect(others).toEqual([{ opcode: 9, text: '' }]);
  });

  it('refuses to collect a frame without end', () => {
    const header = Buffer.alloc(10);
    header[0] = 0x81;
    header[1] = 127;
    header.writeBigUInt64BE(1n << 40n, 2);
    const bytes = Buffer.concat([header, Buffer.from('{"type":"presence"')]);
    expect(() => scan(bytes, [])).toThrow(/not a message/);
  });
});
