/**
 * The schemas of the fields that frames are made of. A `description` says what
 * a right value looks like, in words that complete "needs …": the same words
 * stand in the generated JSON Schema and in the `error` a client gets.
 *
 * Unknown members are allowed everywhere: each side ignores what it does not
 * know, so that a field can be added without a new protocol version.
 */
import Type from 'typebox';
import {
  CONNECTION_LENGTH_MAX,
  EPOCH_LENGTH_MAX,
  ID_LENGTH_MAX,
  INTEGER_MAX,
  KEY_LENGTH_MAX,
  ROOM_LENGTH_MAX,
  TOKEN_LENGTH_MAX,
  USER_LENGTH_MAX,
} from './limits.ts';
import { INBOX_PATTERN, ROOM_PATTERN, USER_PATTERN } from './names.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A request's own mark, given back in its one reply. */
export const Id = Type.Union(
  [
    Type.String({ minLength: 1, maxLength: ID_LENGTH_MAX }),
    Type.Integer({ minimum: -INTEGER_MAX, maximum: INTEGER_MAX }),
  ],
  { description: `a string of 1–${ID_LENGTH_MAX} characters or a safe integer` },
);

const ROOM_WORDS = `1–${ROOM_LENGTH_MAX} of A-Z a-z 0-9 _ . : / -`;

export const Room = Type.String({ pattern: ROOM_PATTERN, description: ROOM_WORDS });

export const User = Type.String({
  pattern: USER_PATTERN,
  description: `1–${USER_LENGTH_MAX} printable characters without { }, spaces only inside`,
});

const Inbox = Type.String({ pattern: INBOX_PATTERN, description: 'an inbox: @ and a user name' });

/** A room, or the inbox of a user: where the server names one, and where a client asks whether somebody is online. */
export const AnyRoom = Type.Union([Room, Inbox], { description: `${ROOM_WORDS}, or @ and a user name` });

/**
 * Without lone surrogates: they have no UTF-8 form, so two different keys would
 * become one key of the store, or an exception on the way there.
 */
export const Key = Type.String({
  pattern: `^\\P{Cs}{1,${KEY_LENGTH_MAX}}$`,
  description: `a string of 1–${KEY_LENGTH_MAX} characters`,
});

export const Token = Type.String({
  minLength: 1,
  maxLength: TOKEN_LENGTH_MAX,
  description: `a string of 1–${TOKEN_LENGTH_MAX} characters`,
});

export const Epoch = Type.String({
  minLength: 1,
  maxLength: EPOCH_LENGTH_MAX,
  description: `an epoch as the server told it, 1–${EPOCH_LENGTH_MAX} characters`,
});

export const Seq = Type.Integer({ minimum: 0, maximum: INTEGER_MAX, description: 'an integer from 0' });

export const Position = Type.Object(
  { epoch: Epoch, seq: Seq },
  { description: '{"epoch": string, "seq": integer from 0}' },
);

export const State = Type.Unsafe<JsonObject>({ type: 'object', description: 'a JSON object' });

export const Data = Type.Unknown({ description: 'any JSON value, null included' });

export const Connection = Type.String({
  minLength: 1,
  maxLength: CONNECTION_LENGTH_MAX,
  description: 'a connection id as the server told it',
});

/** Milliseconds, a duration. */
export const DurationMs = Type.Integer({ minimum: 0, maximum: INTEGER_MAX, description: 'milliseconds' });

/** Milliseconds since 1970, by the clock of Redis. */
export const TimeMs = Type.Integer({
  minimum: 0,
  maximum: INTEGER_MAX,
  description: 'milliseconds since 1970',
});

/** A number of things; as a limit, 0 means that there is none. */
export const Count = Type.Integer({ minimum: 0, maximum: INTEGER_MAX, description: 'an integer from 0' });

/** The sender, put there by its node: a client cannot claim another. */
export const From = Type.Object({ user: User, connection: Connection }, { description: 'who sent it' });

/** A user in a room, as members are told. */
export const Member = Type.Object({ user: User, state: State, since: TimeMs });

export const LeftReason = Type.Enum(['left', 'closed', 'node_lost', 'kicked', 'expired']);

export const PresenceVersion = Type.Integer({ minimum: 0, description: 'opaque: compare for equality only' });

/** A message inside of `joined` and of the reply to `history`. */
export const StoredMessage = Type.Object({
  seq: Seq,
  ts: TimeMs,
  from: Type.Optional(From),
  key: Type.Optional(Key),
  data: Data,
});
