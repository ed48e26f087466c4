/**
 * Where somebody looks: a room or the messages with one person. The address of the page says it behind `#`,
 * so a room is shared by sharing the address, and back and forward work as everywhere.
 */
export type Place =
  | { readonly kind: 'room'; readonly room: string }
  | { readonly kind: 'direct'; readonly user: string };

/** PROTOCOL, room names; a leading `@` is an inbox. */
const ROOM = /^[A-Za-z0-9_.:/-]{1,128}$/;
const USER_LENGTH_MAX = 128;

export const LOBBY: Place = { kind: 'room', room: 'lobby' };

export function placeOf(hash: string): Place | undefined {
  const text = decoded(hash.replace(/^#/, ''));
  if (text === undefined || text === '') return undefined;
  if (text.startsWith('@')) {
    const user = text.slice(1);
    return user !== '' && user.length <= USER_LENGTH_MAX ? { kind: 'direct', user } : undefined;
  }
  return ROOM.test(text) ? { kind: 'room', room: text } : undefined;
}

export function hashOf(place: Place): string {
  return place.kind === 'room' ? `#${place.room}` : `#@${encodeURIComponent(place.user)}`;
}

/** What somebody typed as the name of a room, made into one; undefined where nothing of it is left. */
export function roomNameFrom(text: string): string | undefined {
  const name = text
    .trim()
    .replace(/^#/, '')
    .normalize('NFKD')
    .replace(/[\p{M}]/gu, '')
    .replace(/\s+/g, '-')
    .replace(/[^A-Za-z0-9_.:/-]/g, '')
    .toLowerCase()
    .slice(0, 64);
  return ROOM.test(name) ? name : undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign: not an address that this page made.
    return undefined;
  }
}
