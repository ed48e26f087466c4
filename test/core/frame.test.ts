/** Frames against an independent reader: the receiver of `ws`, which refuses what RFC 6455 does not allow. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PING_FRAME, pongFrame, textFrame } from '../../src/core/frame.ts';

/** `ws` exports it, its type package does not know. */
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable };

interface Read {
  readonly texts: string[];
  readonly binary: boolean;
}

/** Its events of one name, in order. */
function heard(event: 'ping' | 'pong', bytes: Buffer): string[] {
  const receiver = new Receiver({ isServer: false });
  const payloads: string[] = [];
  receiver.on(event, (payload: Buffer) => payloads.push(payload.toString()));
  receiver.write(bytes);
  return payloads;
}

function readBack(bytes: Buffer): Read {
  const receiver = new Receiver({ isServer: false, maxPayload: 0, allowSynchronousEvents: true });
  const texts: string[] = [];
  let binary = false;
  let fault: Error | undefined;
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    texts.push(data.toString());
    binary ||= isBinary;
  });
  receiver.on('error', (error) => {
    fault = error;
  });
  receiver.write(bytes);
  if (fault) throw fault;
  return { texts, binary };
}

describe('a text frame', () => {
  it.each([
    [0, 2],
    [1, 2],
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
    [200_000, 10],
  ])('of %i bytes has a header of %i, from a string and from bytes alike', (length, header) => {
    const text = 'x'.repeat(length);
    const fromText = textFrame(text);
    expect(fromText.length).toBe(header + length);
    expect(textFrame(Buffer.from(text)).equals(fromText)).toBe(true);
    expect(readBack(fromText)).toEqual({ texts: [text], binary: false });
  });

  it('counts bytes, not characters', () => {
    // 63 characters of two bytes: 126 bytes need the longer header.
    const text = 'é'.repeat(63);
    expect(textFrame(text).length).toBe(4 + 126);
    expect(readBack(textFrame(text)).texts).toEqual([text]);
  });

  it('is final, unmasked, not compressed and text', () => {
    const frame = textFrame('{}');
    expect(frame[0]).toBe(0x81);
    expect((frame[1] ?? 0xff) & 0x80).toBe(0);
  });

  it('can follow others in one buffer, as the fan-out writes them', () => {
    const texts = ['a', 'b'.repeat(126), '', 'c'.repeat(70_000), 'ü'];
    const bytes = Buffer.concat(texts.map((text) => textFrame(text)));
    expect(readBack(bytes).texts).toEqual(texts);
  });

  it('carries any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        const asRead = Buffer.from(text).toString();
        expect(readBack(textFrame(text)).texts).toEqual([asRead]);
        expect(readBack(textFrame(Buffer.from(text))).texts).toEqual([asRead]);
      }),
    );
  });
});

describe('control frames', () => {
  it('are an empty ping, and a pong with what the ping had, up to the 125 bytes it may have', () => {
    expect(heard('ping', Buffer.concat([PING_FRAME, PING_FRAME]))).toEqual(['', '']);
    const payloads = ['', 'a', 'x'.repeat(125)];
    const pongs = payloads.map((payload) => pongFrame(Buffer.from(payload)));
    expect(heard('pong', Buffer.concat(pongs))).toEqual(payloads);
  });
});
