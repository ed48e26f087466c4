import fc from 'fast-check';
import { Command } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { commandWire, scriptHead, scriptWire } from '../../../src/broker/redis/wire-text.ts';

const argument = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '\r\n', '$3', '\u{1F600}', 'x'.repeat(1024), 'x'.repeat(1025), 'é'.repeat(600)),
);
const SHA1 = 'a'.repeat(40);

/** What ioredis would send. */
function expected(name: string, args: readonly (string | Buffer)[]): Buffer {
  return Buffer.from(new Command(name, [...args]).toWritable({}));
}

describe('a command as RESP', () => {
  it('is byte for byte what ioredis would send, text and bytes', () => {
    const any = fc.oneof(argument, fc.uint8Array({ maxLength: 40 }).map(Buffer.from));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), (args) => {
        expect(Buffer.from(commandWire('publish', args))).toEqual(expected('publish', args));
      }),
    );
  });

  it('calls a script with its keys and arguments', () => {
    fc.assert(
      fc.property(
        fc.array(argument, { maxLength: 5 }),
        fc.array(argument, { maxLength: 9 }),
        (keys, args) => {
          const wire = scriptWire(scriptHead(SHA1), keys, args);
          expect(Buffer.from(wire)).toEqual(
            expected('EVALSHA', [SHA1, String(keys.length), ...keys, ...args]),
          );
        },
      ),
    );
  });
});
