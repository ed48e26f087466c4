/**
 * Server frames as bytes. What many people receive is put together from parts
 * that were encoded once: a message's body by its publisher's node, a member's
 * state by whoever set it. Nothing stored is parsed to be sent.
 *
 * Parts named `body`, `state` and `data` are JSON text and are trusted to be:
 * they came out of `JSON.stringify` on one of our nodes. `type` stands first in
 * every frame, so that a reader can look at the first bytes alone.
 *
 * Needs the global `Buffer`: for the server, never imported by the client.
 */
import type { ServerFrame } from './messages.ts';
import type { JoinReason } from './position.ts';

/** A stored message: the structure of a broker's entry. */
export interface EntryPart {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly ts: number;
  /** What `messageBody` made: the end of the object, its closing brace included. */
  readonly body: Buffer;
}

/** A member of a room, its state as JSON text of an object. */
export interface MemberPart {
  readonly user: string;
  readonly state: string;
  readonly since: number;
}

/** The changes of one window. A user in `left` is in none of the other two. */
export interface DiffPart {
  readonly previous: number;
  readonly version: number;
  readonly count: number;
  readonly joined: ReadonlyMap<string, MemberPart>;
  readonly left: ReadonlyMap<string, string>;
  readonly updated: ReadonlyMap<string, MemberPart>;
}

interface FromPart {
  readonly user: string;
  readonly connection: string;
}

type IdPart = string | number;

export interface JoinedPart {
  readonly id?: IdPart | undefined;
  readonly room: string;
  readonly epoch: string;
  readonly seq: number;
  readonly recovered?: boolean | undefined;
  readonly reason?: JoinReason | undefined;
  readonly count?: number | undefined;
  readonly version?: number | undefined;
  readonly members?: readonly MemberPart[] | undefined;
}

/** Any frame whose parts are plain values. */
export function encodeFrame(frame: ServerFrame): string {
  for (const first in frame) {
    if (first === 'type') return JSON.stringify(frame);
    break;
  }
  const { type, ...fields } = frame;
  return JSON.stringify({ type, ...fields });
}

/** The tail of a message: `"from":{…},"key":"k","data":…}`. `data` is JSON text. */
export function messageBody(parts: {
  readonly from?: FromPart;
  readonly key?: string;
  readonly data: string;
}): string {
  const { from, key, data } = parts;
  const told = `${from ? `${fromText(from)},` : ''}${key === undefined ? '' : `"key":${JSON.stringify(key)},`}`;
  return `${told}"data":${data}}`;
}

/** The tail of a signal: `"from":{…},"data":…}`. `data` is JSON text. */
export function signalBody(parts: { readonly from: FromPart; readonly data: string }): string {
  return `${fromText(parts.from)},"data":${parts.data}}`;
}

export function messageFrame(room: string, entry: EntryPart): Buffer {
  return spliceOne(messageHead(messageStart(room), entry), entry.body);
}

/** What every message of a room begins with. */
export function messageStart(room: string): string {
  return `{"type":"message","room":${JSON.stringify(room)},"seq":`;
}

/** What stands before a message's body. `start` is the room's `messageStart`. */
export function messageHead(start: string, { seq, ts }: Pick<EntryPart, 'seq' | 'ts'>): string {
  return `${start}${seq},"ts":${ts},`;
}

export function signalFrame(room: string, body: Buffer): Buffer {
  return spliceOne(`{"type":"signal","room":${JSON.stringify(room)},`, body);
}

/** `joined`, the entries as its `messages`. */
export function joinedFrame(parts: JoinedPart, entries: readonly EntryPart[]): Buffer {
  const { id, room, epoch, seq, recovered, reason, count, version, members } = parts;
  const head = JSON.stringify({ type: 'joined', id, room, epoch, seq, recovered, reason, count, version });
  return withMessages(open(head) + (members ? `,${membersText(members)}` : ''), entries);
}

/** The reply to `history`, the entries as its `messages`. */
export function historyFrame(
  parts: {
    readonly id: IdPart;
    readonly room: string;
    readonly epoch: string;
    readonly seq: number;
    readonly more: boolean;
  },
  entries: readonly EntryPart[],
): Buffer {
  const { id, room, epoch, seq, more } = parts;
  return withMessages(open(JSON.stringify({ type: 'ok', id, room, epoch, seq, more })), entries);
}

/** The reply to `presence`. Without `members` where the room is too large to list. */
export function presenceReply(parts: {
  readonly id: IdPart;
  readonly room: string;
  readonly version: number;
  readonly count: number;
  readonly members?: readonly MemberPart[] | undefined;
}): Buffer {
  const { id, room, version, count, members } = parts;
  const head = open(JSON.stringify({ type: 'ok', id, room, version, count }));
  return Buffer.from(`${head}${members ? `,${membersText(members)}` : ''}}`);
}

export function presenceSnapshotFrame(
  room: string,
  version: number,
  count: number,
  members: readonly MemberPart[],
): Buffer {
  return Buffer.from(`${presenceHead(room, version, count)},${membersText(members)}}`);
}

export function presenceDiffFrame(room: string, diff: DiffPart): Buffer {
  let text = `${presenceHead(room, diff.version, diff.count)},"previous":${diff.previous}`;
  if (diff.joined.size > 0) text += `,"joined":[${each(diff.joined.values(), memberText)}]`;
  if (diff.left.size > 0) text += `,"left":[${each(diff.left, leftText)}]`;
  if (diff.updated.size > 0) text += `,"updated":[${each(diff.updated.values(), updatedText)}]`;
  return Buffer.from(`${text}}`);
}

export function presenceCountFrame(room: string, version: number, count: number): Buffer {
  return Buffer.from(`${presenceHead(room, version, count)}}`);
}

/** UTF-8 bytes of an encoded payload where they are more than `max` (0 = no limit), else 0. */
export function bytesOver(text: string, max: number): number {
  // A UTF-16 unit is at most three bytes: most payloads need no counting.
  if (max === 0 || text.length * 3 <= max) return 0;
  const bytes = Buffer.byteLength(text);
  return bytes > max ? bytes : 0;
}

function fromText(from: FromPart): string {
  return `"from":{"user":${JSON.stringify(from.user)},"connection":${JSON.stringify(from.connection)}}`;
}

function presenceHead(room: string, version: number, count: number): string {
  return `{"type":"presence","room":${JSON.stringify(room)},"version":${version},"count":${count}`;
}

function membersText(members: readonly MemberPart[]): string {
  return `"members":[${each(members, memberText)}]`;
}

function memberText({ user, state, since }: MemberPart): string {
  return `{"user":${JSON.stringify(user)},"state":${state},"since":${since}}`;
}

function updatedText({ user, state }: MemberPart): string {
  return `{"user":${JSON.stringify(user)},"state":${state}}`;
}

function leftText([user, reason]: readonly [string, string]): string {
  return `{"user":${JSON.stringify(user)},"reason":${JSON.stringify(reason)}}`;
}

function each<T>(items: Iterable<T>, text: (item: T) => string): string {
  return Array.from(items, text).join(',');
}

/** An object's JSON text without its closing brace, to be continued. */
function open(object: string): string {
  return object.slice(0, -1);
}

/** An opened object, completed by `messages`: `…,"messages":[{"seq":1,"ts":2,<body>,…]}`. */
function withMessages(head: string, entries: readonly EntryPart[]): Buffer {
  const parts: (string | Buffer)[] = [head, ',"messages":['];
  let separator = '';
  for (const { seq, ts, body } of entries) {
    parts.push(`${separator}{"seq":${seq},"ts":${ts},`, body);
    separator = ',';
  }
  parts.push(']}');
  return splice(parts);
}

/** Text and bytes in one buffer: measured first, so that 500 messages cost one allocation. */
function splice(parts: readonly (string | Buffer)[]): Buffer {
  let bytes = 0;
  for (const part of parts) bytes += Buffer.byteLength(part);
  const out = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const part of parts) {
    at += typeof part === 'string' ? out.write(part, at) : part.copy(out, at);
  }
  return out;
}

/** The same for the hot path, where every message of a room passes. */
function spliceOne(head: string, body: Buffer): Buffer {
  const headBytes = Buffer.byteLength(head);
  const out = Buffer.allocUnsafe(headBytes + body.length);
  out.write(head);
  body.copy(out, headBytes);
  return out;
}
