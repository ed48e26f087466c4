/** What the generator sends is read by the library that roomcast reads clients with. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';
import { describe, expect, it } from 'vitest';
import { clientFrame, PING, TEXT } from '../../bench/generator/client-frame.ts';
import { ACCEPT, UpgradeResponse, upgradeRequest } from '../../bench/generator/handshake.ts';

/** Exported by the library and missing from its types. */
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

function received(frame: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const receiver = new Receiver({ isServer: true });
    receiver.on('message', (data: Buffer) => resolve(data.toString()));
    receiver.on('ping', (data: Buffer) => resolve(`ping ${data.toString()}`));
    receiver.on('error', reject);
    receiver.write(frame);
  });
}

describe('a client frame', () => {
  it.each([0, 1, 125, 126, 65_535, 65_536])('of %i bytes arrives unmasked', async (size) => {
    const text = 'q'.repeat(size);
    expect(await received(clientFrame(TEXT, text))).toBe(text);
  });

  it('counts bytes, not characters', async () => {
    expect(await received(clientFrame(TEXT, 'grüße 🙂'))).toBe('grüße 🙂');
  });

  it('may be a control frame made of bytes', async () => {
    expect(await received(clientFrame(PING, Buffer.from('x')))).toBe('ping x');
  });
});

describe('the handshake', () => {
  const head = (status: string, accept = ACCEPT) =>
    `HTTP/1.1 ${status}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;

  it('asks for what it is told to', () => {
    const request = upgradeRequest('127.0.0.1:1', '/ws', 'roomcast.v1');
    expect(request).toMatch(/^GET \/ws HTTP\/1\.1\r\n/);
    expect(request).toContain('Sec-WebSocket-Protocol: roomcast.v1\r\n');
    expect(request.endsWith('\r\n\r\n')).toBe(true);
  });

  it('waits for the end of the head and hands over what came behind it', () => {
    const response = new UpgradeResponse();
    const text = head('101 Switching Protocols');
    expect(response.push(Buffer.from(text.slice(0, 20)))).toBeUndefined();
    expect(response.push(Buffer.from(`${text.slice(20)}rest`))?.toString()).toBe('rest');
  });

  it('refuses another status and a wrong answer to the key', () => {
    expect(() => new UpgradeResponse().push(Buffer.from(head('503 Busy')))).toThrow(/503 Busy/);
    expect(() => new UpgradeResponse().push(Buffer.from(head('101 Yes', 'nonsense')))).toThrow(/Accept/);
  });
});
