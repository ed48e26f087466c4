/**
 * Every Redis key and channel of roomcast, and the only place that builds one.
 * All of a room shares one of 128 hash tags, `{rcN}` with N = crc16(room) mod
 * 128, so that each script touches one slot and a standalone Redis can become a
 * Cluster by configuration. The number 128 and the function are fixed for ever:
 * another choice would look for yesterday's rooms elsewhere.
 *
 * Keys belong to the database they are written in, but a channel is heard in
 * every database of a Redis. So channels name the database themselves, where it
 * is not 0: without that, two deployments told apart by their database alone
 * would hear each other's signals, presence and canaries.
 *
 * It does not judge names: who calls has parsed them (PROTOCOL "Room names").
 * Names that could break a key apart are escaped or, being a fault of ours, refused.
 */

/** Presence leases, canaries and reaping are kept per partition; a partition is one hash tag. */
export const PARTITIONS = 128;

export interface Keys {
  readonly partitions: typeof PARTITIONS;
  /** The partition of a room; a user's is that of the room `@<user>`. */
  partitionOf(room: string): number;

  /** Hash: epoch, seq, lineage, presence version, inbox read mark. */
  meta(room: string): string;
  /** Stream: the newest messages, ids `<seq>-<ms>`. */
  log(room: string): string;
  /** String: position of an idempotent publish. */
  once(room: string, user: string, key: string): string;
  /** Hash: user -> ms since one incarnation has them in the room. */
  presence(room: string, incarnation: string): string;
  /** Hash: user -> holders, since, state. */
  members(room: string): string;
  /** Hash: incarnation -> number of connections the user has there. */
  connections(user: string): string;

  /** Set: rooms to clean if the incarnation dies. */
  rooms(partition: number, incarnation: string): string;
  /** Sorted set: incarnations scored by their last heartbeat in Redis time. */
  live(partition: number): string;
  /** Set: incarnations to reap. */
  dead(partition: number): string;
  /** Hash: until when nobody may be judged dead. */
  grace(partition: number): string;

  /** Channel: messages, presence changes and signals of the room. */
  channel(room: string): string;
  /** Key and channel of the link heartbeat; one partition per shard, 0 on a standalone Redis. */
  canary(partition?: number): string;
  /** Channel: commands from node to node. */
  control(): string;
  /** Sorted set: revoked users and token ids scored by expiry. */
  revoked(): string;

  /**
   * The room of a channel, or undefined where it is no room's. The partition
   * number is not computed again: only what was subscribed is ever heard.
   */
  roomOfChannel(channel: Buffer | string): string | undefined;
}

/**
 * @param prefix put before every key, `rc:` by default; braces in it would move the hash tag and are refused.
 * @param db the database the keys are in.
 */
export function createKeys(prefix: string, db = 0): Keys {
  if (/[{}]/.test(prefix)) {
    throw new RangeError(`the Redis prefix must not contain { or }, got ${JSON.stringify(prefix)}`);
  }
  const tags = Array.from({ length: PARTITIONS }, (_, partition) => `${prefix}{rc${partition}}:`);
  const shared = (partition: number, kind: string): string => {
    const tag = tags[partition];
    if (tag === undefined) throw new RangeError(`there is no partition ${partition}`);
    return tag + kind;
  };
  const ofRoom = (room: string, kind: string): string => {
    // UTF-8 would fold every lone surrogate into U+FFFD: two rooms, one key.
    if (LONE_SURROGATE.test(room)) throw new RangeError(`not a room: ${JSON.stringify(room)}`);
    return shared(partitionOf(room), kind);
  };
  const inDb = db === 0 ? '' : `db${db}:`;
  const channelStart = `${prefix}{rc`;
  const channelKind = `}:${inDb}room:`;

  return {
    partitions: PARTITIONS,
    partitionOf,
    meta: (room) => ofRoom(room, `meta:${room}`),
    log: (room) => ofRoom(room, `log:${room}`),
    once: (room, user, key) => ofRoom(room, `once:${escapeName(user)}:${escapeName(key)}:${room}`),
    presence: (room, incarnation) => ofRoom(room, `presence:${room}:${unescaped(incarnation)}`),
    members: (room) => ofRoom(room, `members:${room}`),
    connections: (user) => ofRoom(`@${user}`, `connections:${user}`),
    rooms: (partition, incarnation) => shared(partition, `rooms:${unescaped(incarnation)}`),
    live: (partition) => shared(partition, 'live'),
    dead: (partition) => shared(partition, 'dead'),
    grace: (partition) => shared(partition, 'grace'),
    channel: (room) => ofRoom(room, `${inDb}room:${room}`),
    canary: (partition = 0) => shared(partition, `${inDb}canary`),
    control: () => shared(0, `${inDb}control`),
    revoked: () => shared(0, 'revoked'),
    roomOfChannel: (channel) => roomAfter(channelStart, channelKind, channel.toString()),
  };
}

function roomAfter(channelStart: string, channelKind: string, channel: string): string | undefined {
  if (!channel.startsWith(channelStart)) return undefined;
  // Looked for from the tag on, so that a room may itself contain "}:room:".
  const tagEnd = channel.indexOf('}', channelStart.length);
  if (tagEnd <= channelStart.length || tagEnd > channelStart.length + 3) return undefined;
  if (!channel.startsWith(channelKind, tagEnd)) return undefined;
  const room = channel.slice(tagEnd + channelKind.length);
  return room === '' ? undefined : room;
}

function partitionOf(room: string): number {
  return crc16(room) % PARTITIONS;
}

/**
 * Percent-encoding, so that neither a user nor an idempotency key can contain
 * the colon that separates them: without this, user `a:b` with key `c` and user
 * `a` with key `b:c` would answer for each other. A lone surrogate, which UTF-8
 * cannot carry and would fold into U+FFFD, becomes `%uD800`.
 */
function escapeName(name: string): string {
  if (/^[\w.~-]*$/.test(name)) return name;
  if (!LONE_SURROGATE.test(name)) return encodeURIComponent(name);
  let escaped = '';
  for (const character of name) {
    escaped += LONE_SURROGATE.test(character)
      ? `%u${character.charCodeAt(0).toString(16).toUpperCase()}`
      : encodeURIComponent(character);
  }
  return escaped;
}

/** With the `u` flag a proper pair is one character, so only halves match. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** An incarnation stands last in its keys behind a room that may contain colons, so it must contain none. */
function unescaped(incarnation: string): string {
  if (!/^[\w.-]+$/.test(incarnation)) {
    throw new RangeError(`not an incarnation: ${JSON.stringify(incarnation)}`);
  }
  return incarnation;
}

/** CRC16 of Redis Cluster (XMODEM: polynomial 0x1021, starts at 0) over the UTF-8 bytes of the name. */
export function crc16(name: string): number {
  let crc = 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0x7f) return crc16OfBytes(Buffer.from(name));
    crc = crcStep(crc, code);
  }
  return crc;
}

function crc16OfBytes(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) crc = crcStep(crc, byte);
  return crc;
}

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

function crcStep(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (CRC_TABLE[(crc >> 8) ^ byte] ?? 0);
}
