/** Protocols that do not put one message into one frame: counted the same however the stream is cut. */
import { describe, expect, it } from 'vitest';
import { centrifugo } from '../../bench/peers/centrifugo.ts';
import { nats } from '../../bench/peers/nats.ts';
import type { Wire } from '../../bench/generator/wire.ts';

/** Feeds `frames` byte by byte, in small pieces and in whole, expects the same of all. */
function count(wire: Wire, frames: readonly string[]) {
  const results = [1, 10, 17, 1_000_000].map((size) => {
    const heard: string[] = [];
    const counter = wire.counter?.((line) => heard.push(line));
    for (const frame of frames) {
      const bytes = Buffer.from(frame);
      for (let at = 0; at < bytes.length; at += size) {
        const to = Math.min(bytes.length, at + size);
        counter?.push(bytes, at, to, to === bytes.length);
      }
    }
    return { messages: counter?.messages, heard };
  });
  for (const other of results) expect(other).toEqual(results[0]);
  return results[0];
}

describe('the NATS counter', () => {
  it('counts messages across frames and skips payloads that look like the protocol', () => {
    const frames = [
      'INFO {}\r\nMSG room 1 9\r\nMSG a 1 1',
      '\r\nMSG room 1 2\r\nhi\r\nPING\r\n',
      'PONG\r\n',
      'MSG room 1 123\r\n',
    ];
    frames.push(`${'MSG room 1 1\r\n'.repeat(8)}...........\r\nPING\r\n`);
    expect(count(nats.wire, frames)).toEqual({ messages: 3, heard: ['INFO {}', 'PING', 'PONG', 'PING'] });
  });
});

describe('the Centrifugo counter', () => {
  it('counts pushes, one or many to a frame, and hears replies and pings', () => {
    const push = '{"push":{"channel":"r","pub":{"data":"x"}}}';
    const frames = [`${push}\n${push}`, push, '{}', '{"id":2,"subscribe":{}}'];
    expect(count(centrifugo.wire, frames)).toEqual({ messages: 3, heard: ['{}', '{"id":2,"subscribe":{}}'] });
  });
});
