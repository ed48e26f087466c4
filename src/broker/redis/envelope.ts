/**
 * What travels on a room's channel and what lies in its log. Both begin with a
 * format digit, so that a later release can change the rest: what cannot be read
 * decodes to undefined, and the caller counts it and treats it as a gap.
 * Messages and presence changes are written by the Lua scripts, signals here.
 *
 *   1M<epoch>:<seq>:<ms>\n<logged payload>         a message, as `publish.lua` made it
 *   1P<previous>:<version>:join\n<user>\n<since>\n<state>        (update: the same)
 *   1P<previous>:<version>:leave:<reason>\n<user>\n<user>…
 *   1S<JSON {"sender", "to"?}>\n<body>             a signal
 *   1C<counter>[:<run id of the Redis that wrote it>]   a canary
 *   logged payload: 1<body>
 *
 * Memory: ioredis hands out slices of the socket's read chunk (its decoder calls
 * `subarray`), up to 64 KiB that one retained message of 100 bytes would keep
 * alive. A message just heard is told as such a view, because the ring copies it
 * to where it is kept anyway; every other body returned here is a copy.
 */
import type { Entry, Signal } from '../broker.ts';
import type { LeftReason, PresenceChange } from '../presence.ts';

export type Envelope =
  | ({ readonly kind: 'message'; readonly epoch: string } & Entry)
  | { readonly kind: 'presence'; readonly change: PresenceChange }
  | { readonly kind: 'signal'; readonly signal: Signal }
  | {
      readonly kind: 'canary';
      readonly counter: number;
      /** Absent where the Redis does not tell it. */
      readonly runId?: string | undefined;
    };

const FORMAT = 0x31; // '1'
const MESSAGE = 0x4d; // 'M'
const PRESENCE = 0x50; // 'P'
const SIGNAL = 0x53; // 'S'
const CANARY = 0x43; // 'C'
const COLON = 0x3a;
const NEWLINE = 0x0a;
const DASH = 0x2d;

/** Present in both directions of the type check: a new reason that is missing here does not compile. */
const LEFT_REASONS: Readonly<Record<LeftReason, true>> = {
  left: true,
  closed: true,
  node_lost: true,
  kicked: true,
  expired: true,
};

/**
 * What `publish.lua` stores and relays for a body. Text, not bytes: one Buffer among the arguments of a
 * command makes ioredis build it from a dozen small ones, which was a tenth of all a publish allocates.
 */
export function encodeLogged(body: string): string {
  return `1${body}`;
}

/** The body of a logged payload, or undefined where its format is unknown. */
export function decodeLogged(raw: Buffer): Buffer | undefined {
  return loggedBody(raw, 0);
}

/** One element of a log: the stream id `<seq>-<ms>` and the logged payload. */
export function decodeEntry(id: Buffer, logged: Buffer): Entry | undefined {
  const dash = id.indexOf(DASH);
  const seq = integer(id, 0, dash);
  const ts = integer(id, dash + 1, id.length);
  const body = loggedBody(logged, 0);
  if (seq === undefined || ts === undefined || body === undefined) return undefined;
  return { seq, ts, body };
}

/** Never throws: undefined for everything that is not an envelope of this format. */
export function decodeEnvelope(raw: Buffer): Envelope | undefined {
  if (raw[0] !== FORMAT) return undefined;
  switch (raw[1]) {
    case MESSAGE:
      return decodeMessage(raw);
    case PRESENCE:
      return decodePresence(raw);
    case SIGNAL:
      return decodeSignal(raw);
    case CANARY:
      return decodeCanary(raw);
    default:
      return undefined;
  }
}

export function encodeSignal(signal: Signal): Buffer {
  const header = JSON.stringify({ sender: signal.sender, to: signal.to });
  return Buffer.concat([Buffer.from(`1S${header}\n`), signal.body]);
}

/** The hot path: positions are found by byte, and only the epoch becomes a string. */
function decodeMessage(raw: Buffer): Envelope | undefined {
  const epochEnd = raw.indexOf(COLON, 2);
  if (epochEnd <= 2) return undefined;
  const seqEnd = raw.indexOf(COLON, epochEnd + 1);
  if (seqEnd < 0) return undefined;
  const headerEnd = raw.indexOf(NEWLINE, seqEnd + 1);
  const seq = integer(raw, epochEnd + 1, seqEnd);
  const ts = integer(raw, seqEnd + 1, headerEnd);
  if (seq === undefined || ts === undefined) return undefined;
  if (raw[headerEnd + 1] !== FORMAT) return undefined;
  const body = raw.subarray(headerEnd + 2);
  return { kind: 'message', epoch: raw.toString('latin1', 2, epochEnd), seq, ts, body };
}

function decodePresence(raw: Buffer): Envelope | undefined {
  const previousEnd = raw.indexOf(COLON, 2);
  const versionEnd = raw.indexOf(COLON, previousEnd + 1);
  if (previousEnd < 0 || versionEnd < 0) return undefined;
  const previous = integer(raw, 2, previousEnd);
  const version = integer(raw, previousEnd + 1, versionEnd);
  const verbEnd = raw.indexOf(NEWLINE, versionEnd + 1);
  if (previous === undefined || version === undefined || verbEnd < 0) return undefined;
  const verb = raw.toString('latin1', versionEnd + 1, verbEnd);
  const rest = raw.toString('utf8', verbEnd + 1, raw.length);

  if (verb === 'join' || verb === 'update') {
    const member = memberOf(rest);
    if (member === undefined) return undefined;
    const kind = verb === 'join' ? 'joined' : 'updated';
    return { kind: 'presence', change: { previous, version, kind, member } };
  }
  const reason = verb.startsWith('leave:') ? verb.slice('leave:'.length) : '';
  if (!isLeftReason(reason) || rest === '') return undefined;
  return { kind: 'presence', change: { previous, version, kind: 'left', users: rest.split('\n'), reason } };
}

/** `<user>\n<since>\n<state>`; the state is the rest, whatever is in it. */
function memberOf(text: string): { user: string; since: number; state: string } | undefined {
  const userEnd = text.indexOf('\n');
  const sinceEnd = text.indexOf('\n', userEnd + 1);
  if (userEnd <= 0 || sinceEnd <= userEnd + 1) return undefined;
  const since = text.slice(userEnd + 1, sinceEnd);
  if (!/^\d{1,15}$/.test(since)) return undefined;
  return { user: text.slice(0, userEnd), since: Number(since), state: text.slice(sinceEnd + 1) };
}

function decodeSignal(raw: Buffer): Envelope | undefined {
  const headerEnd = raw.indexOf(NEWLINE, 2);
  if (headerEnd < 0) return undefined;
  const header = parseObject(raw.toString('utf8', 2, headerEnd));
  if (header === undefined || typeof header.sender !== 'string') return undefined;
  const signal = { sender: header.sender, body: Buffer.from(raw.subarray(headerEnd + 1)) };
  if (header.to === undefined) return { kind: 'signal', signal };
  const to = addressee(header.to);
  // An addressee of a form we do not know must not turn into "everybody".
  return to === undefined ? undefined : { kind: 'signal', signal: { ...signal, to } };
}

function addressee(to: unknown): Signal['to'] {
  if (typeof to !== 'object' || to === null) return undefined;
  if ('user' in to && typeof to.user === 'string') return { user: to.user };
  if ('connection' in to && typeof to.connection === 'string') return { connection: to.connection };
  return undefined;
}

function decodeCanary(raw: Buffer): Envelope | undefined {
  const colon = raw.indexOf(COLON, 2);
  const counter = integer(raw, 2, colon < 0 ? raw.length : colon);
  if (counter === undefined) return undefined;
  if (colon < 0 || colon + 1 === raw.length) return { kind: 'canary', counter };
  return { kind: 'canary', counter, runId: raw.toString('latin1', colon + 1, raw.length) };
}

/** A copy of the body of the logged payload that begins at `start`. */
function loggedBody(raw: Buffer, start: number): Buffer | undefined {
  return raw[start] === FORMAT ? Buffer.from(raw.subarray(start + 1)) : undefined;
}

/** Decimal digits of [start, end) as a safe integer; undefined for anything else, an empty or negative range included. */
function integer(raw: Buffer, start: number, end: number): number | undefined {
  // Presence versions are microseconds: 16 digits, and below 2^53 until the year 2255.
  if (end <= start || end - start > 16) return undefined;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = (raw[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

function isLeftReason(reason: string): reason is LeftReason {
  return Object.hasOwn(LEFT_REASONS, reason);
}

/** JSON text of an object. Bad text is not an error here: undefined makes the caller count it. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
