/**
 * What may be called a room, a user and an inbox. Names travel into keys of the
 * store, log lines, terminals and other people's screens, so the rules keep out
 * what could act there: braces (they choose the slot of a Redis key), control
 * characters (they forge log lines), and everything invisible or reordering
 * (two names that look the same, a name that looks empty).
 *
 * Not done here: no normalisation and no case folding. Names are equal when
 * their code points are equal; a name for people to read belongs in `state`.
 */
import { ROOM_LENGTH_MAX, USER_LENGTH_MAX } from './limits.ts';

/** ASCII only: a room name is typed, logged, put into URLs and compared by eye. */
export const ROOM_PATTERN = `^[A-Za-z0-9_.:/-]{1,${ROOM_LENGTH_MAX}}$`;

/**
 * Refused anywhere in a user name, by Unicode property so that the list does
 * not age: controls with DEL and C1 (Cc), format characters with the bidi
 * overrides (Cf), lone surrogates (Cs), private use (Co), noncharacters, what
 * renders as nothing (Default_Ignorable: zero-width, variation selectors,
 * Hangul fillers), separators of lines and paragraphs and every space except
 * U+0020 (Z), and the braces. Unassigned code points (Cn) are left alone: which
 * they are depends on the age of the engine, and two nodes must never disagree.
 */
const REFUSED = String.raw`\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\p{Z}{}`;

/** Spaces (U+0020) inside, never at an end, where nobody sees them. */
export const USER_PATTERN = `^[^${REFUSED}](?:(?:[^${REFUSED}]| ){0,${USER_LENGTH_MAX - 2}}[^${REFUSED}])?$`;

/** The inbox of a user is the room of this name. No room name can begin with it. */
export const INBOX_PREFIX = '@';

export const INBOX_PATTERN = `^${INBOX_PREFIX}${USER_PATTERN.slice(1)}`;

const ROOM = new RegExp(ROOM_PATTERN);
const USER = new RegExp(USER_PATTERN, 'u');

/** 1–128 of `A-Z a-z 0-9 _ . : / -`. PROTOCOL "Errors". */
export function isRoomName(name: unknown): name is string {
  return typeof name === 'string' && ROOM.test(name);
}

/** 1–128 printable characters, see `USER_PATTERN`. */
export function isUserName(name: unknown): name is string {
  // The length first: without it a megabyte is scanned before it is refused.
  return typeof name === 'string' && name.length <= 2 * USER_LENGTH_MAX && USER.test(name);
}

/** `@` and a valid user name. */
/** Whether a room's name, which was parsed before, is that of an inbox. */
export function isInboxRoom(room: string): boolean {
  return room.startsWith(INBOX_PREFIX);
}

/** The inbox of a user. Their online state is presence in the room of the same name. */
export function inboxOf(user: string): string {
  return `${INBOX_PREFIX}${user}`;
}

export function isInboxName(name: unknown): name is string {
  return typeof name === 'string' && name.startsWith(INBOX_PREFIX) && isUserName(name.slice(1));
}
