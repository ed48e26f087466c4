import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createKeys, crc16 } from '../../../src/broker/redis/keys.ts';

const keys = createKeys('rc:');
const roomName = fc.oneof(
  fc.stringMatching(/^[\w.:/-]{1,20}$/),
  // Inboxes: users may contain colons, spaces and any language.
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map((user) => `@${user.replace(/[{}]/g, '')}`),
);
const userName = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const onceKey = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.constantFrom('a:b', '%3A'),
);
const incarnation = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}\.[0-9a-f]{4}$/);

describe('Redis keys', () => {
  test('the checksum is that of Redis Cluster', () => {
    expect(crc16('123456789')).toBe(0x31c3);
    expect(crc16('')).toBe(0);
    // Over UTF-8 bytes, not code units.
    expect(crc16('é') % 16_384).toBe(keyslotOf('é'));
  });

  test('every kind has the form that DESIGN gives it', () => {
    const room = 'general';
    const tag = `rc:{rc${crc16(room) % 128}}`;
    expect(keys.partitionOf(room)).toBe(crc16(room) % 128);
    expect(keys.meta(room)).toBe(`${tag}:meta:general`);
    expect(keys.log(room)).toBe(`${tag}:log:general`);
    expect(keys.once(room, 'a:b', 'k/1')).toBe(`${tag}:once:a%3Ab:k%2F1:general`);
    expect(keys.presence(room, 'n1.00ff')).toBe(`${tag}:presence:general:n1.00ff`);
    expect(keys.members(room)).toBe(`${tag}:members:general`);
    expect(keys.channel(room)).toBe(`${tag}:room:general`);
    expect(keys.connections('bob')).toBe(`rc:{rc${crc16('@bob') % 128}}:connections:bob`);
    expect(keys.rooms(7, 'n1.00ff')).toBe('rc:{rc7}:rooms:n1.00ff');
    expect([keys.live(7), keys.dead(7), keys.grace(7)]).toEqual([
      'rc:{rc7}:live',
      'rc:{rc7}:dead',
      'rc:{rc7}:grace',
    ]);
    expect([keys.canary(), keys.canary(3)]).toEqual(['rc:{rc0}:canary', 'rc:{rc3}:canary']);
    expect([keys.control(), keys.revoked()]).toEqual(['rc:{rc0}:control', 'rc:{rc0}:revoked']);
  });

  test('distinct (room, user, key) never share a once key', () => {
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(roomName, userName, onceKey, (room, user, key) => {
        const identity = JSON.stringify([room, user, key]);
        const built = keys.once(room, user, key);
        expect(seen.get(built) ?? identity).toBe(identity);
        seen.set(built, identity);
        // Read back: the colons that separate are the only ones before the room.
        const [, escapedUser, escapedKey] = /^rc:\{rc\d+\}:once:([^:]*):([^:]*):/.exec(built) ?? [];
        expect(built.endsWith(`:once:${escapedUser}:${escapedKey}:${room}`)).toBe(true);
        expect([unescape(escapedUser ?? ''), unescape(escapedKey ?? '')]).toEqual([user, key]);
      }),
      { numRuns: 3000 },
    );
  });

  test('pairs that share text across the separators keep apart', () => {
    const built = [
      ['r', 'a:b', 'c'],
      ['r', 'a', 'b:c'],
      ['c:r', 'a', 'b'],
      ['r', 'a%3Ab', 'c'],
      ['r', 'a', '\ud800'],
      ['r', 'a', '\ud801'],
      ['r', 'a', '\ufffd'],
      ['r', 'a', '%uD800'],
    ].map(([room = '', user = '', key = '']) => Buffer.from(keys.once(room, user, key)).toString('hex'));
    expect(new Set(built).size).toBe(built.length);
  });

  test('all keys and the channel of a room share one hash tag, and no two kinds or rooms share a key', () => {
    const owners = new Map<string, string>();
    fc.assert(
      fc.property(roomName, incarnation, (room, inc) => {
        const partition = keys.partitionOf(room);
        expect(partition).toBe(crc16(room) % 128);
        const built = {
          meta: keys.meta(room),
          log: keys.log(room),
          once: keys.once(room, 'u', 'k'),
          [`presence ${inc}`]: keys.presence(room, inc),
          members: keys.members(room),
          channel: keys.channel(room),
        };
        for (const [kind, key] of Object.entries(built)) {
          // Redis hashes what is between the first { and the next }.
          expect(/^[^{}]*\{([^}]+)\}/.exec(key)?.[1]).toBe(`rc${partition}`);
          const owner = `${kind} of ${room}`;
          expect(owners.get(key) ?? owner).toBe(owner);
          owners.set(key, owner);
        }
        for (const key of [keys.rooms(partition, inc), keys.live(partition), keys.dead(partition)]) {
          expect(key.startsWith(`rc:{rc${partition}}:`)).toBe(true);
          expect(owners.has(key)).toBe(false);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("a user's connections lie beside the leases of their partition", () => {
    fc.assert(
      fc.property(userName, (user) => {
        const partition = keys.partitionOf(`@${user}`);
        expect(keys.connections(user)).toBe(`rc:{rc${partition}}:connections:${user}`);
      }),
    );
  });

  test('a channel gives its room back, and nothing else does', () => {
    fc.assert(
      fc.property(roomName, (room) => {
        expect(keys.roomOfChannel(keys.channel(room))).toBe(room);
        expect(keys.roomOfChannel(Buffer.from(keys.channel(room)))).toBe(room);
        expect(createKeys('other:').roomOfChannel(keys.channel(room))).toBeUndefined();
        expect(keys.roomOfChannel(keys.meta(room))).toBeUndefined();
      }),
    );
    expect(keys.roomOfChannel(keys.canary())).toBeUndefined();
    expect(keys.roomOfChannel(keys.control())).toBeUndefined();
    expect(keys.roomOfChannel('rc:{rc5}:room:')).toBeUndefined();
    expect(keys.roomOfChannel('rc:{rc}:room:x')).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(keys.roomOfChannel(text)).toBeUndefined();
        expect(keys.roomOfChannel(`rc:{rc${text}`)).toSatisfy(
          (room) => room === undefined || /\}:room:/.test(text),
        );
      }),
    );
  });

  test('channels name their database where it is not 0, because Redis carries them to all', () => {
    const inThird = createKeys('rc:', 3);
    const tag = `rc:{rc${crc16('general') % 128}}`;
    expect(inThird.channel('general')).toBe(`${tag}:db3:room:general`);
    expect(inThird.canary()).toBe('rc:{rc0}:db3:canary');
    expect(inThird.control()).toBe('rc:{rc0}:db3:control');
    expect(inThird.meta('general')).toBe(keys.meta('general'));
    fc.assert(
      fc.property(roomName, fc.nat(65_535), fc.nat(65_535), (room, one, other) => {
        const [here, there] = [createKeys('rc:', one), createKeys('rc:', other)];
        expect(here.roomOfChannel(here.channel(room))).toBe(room);
        expect(there.roomOfChannel(here.channel(room))).toBe(one === other ? room : undefined);
      }),
    );
  });

  test('what would move the hash tag or split a key is refused', () => {
    expect(() => createKeys('a{b}:')).toThrow(RangeError);
    expect(() => createKeys('a}')).toThrow(RangeError);
    expect(() => keys.presence('general', 'node:1')).toThrow(RangeError);
    expect(() => keys.rooms(128, 'n1.00ff')).toThrow(RangeError);
    expect(() => keys.meta('@\ud800')).toThrow(RangeError);
  });

  test('the 128 partitions are about evenly used', () => {
    const counts = new Map<number, number>();
    for (let i = 0; i < 12_800; i++) {
      const partition = keys.partitionOf(`room-${i}`);
      counts.set(partition, (counts.get(partition) ?? 0) + 1);
    }
    expect(counts.size).toBe(128);
    expect(Math.max(...counts.values())).toBeLessThan(200);
  });
});

/** The inverse of the escaping, lone surrogates included. */
function unescape(text: string): string {
  return text.replace(/%u([0-9A-F]{4})|((?:%[0-9A-F]{2})+)/g, (_, unit: string | undefined, bytes: string) =>
    unit === undefined ? decodeURIComponent(bytes) : String.fromCharCode(Number.parseInt(unit, 16)),
  );
}

/** Bit by bit, from the definition: an independent second way. */
function keyslotOf(name: string): number {
  let crc = 0;
  for (const byte of Buffer.from(name)) {
    for (let bit = 7; bit >= 0; bit--) {
      const carry = ((crc >> 15) & 1) ^ ((byte >> bit) & 1);
      crc = ((crc << 1) & 0xffff) ^ (carry ? 0x1021 : 0);
    }
  }
  return crc % 16_384;
}
