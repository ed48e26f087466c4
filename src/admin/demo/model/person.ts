/** How a member of a room is shown: names that people chose are theirs, so all of it is checked and shortened. */
import { letters, tidyName } from './profile.ts';

const HUES = [25, 55, 90, 130, 155, 185, 215, 245, 270, 295, 325, 350];

export interface Person {
  readonly user: string;
  readonly name: string;
  readonly away: boolean;
  readonly sharing: boolean;
}

export function readPerson(user: string, state: unknown): Person {
  const { name, away, sharing } = (state ?? {}) as Record<string, unknown>;
  return {
    user,
    name: (typeof name === 'string' ? tidyName(name) : '') || tidyName(user) || 'somebody',
    away: away === true,
    sharing: sharing === true,
  };
}

/** One or two letters for an avatar. */
export function initials(name: string): string {
  const words = name.split(/[\s_.:-]+/).filter((word) => word !== '');
  const shown = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0] ?? '?'];
  return shown
    .map((word) => letters(word ?? '')[0] ?? '')
    .join('')
    .toUpperCase();
}

/** The same person has the same colour everywhere: a hue of oklch, in degrees. */
export function hueOf(user: string): number {
  // FNV-1a, which tells names apart that differ in one letter.
  let hash = 0x811c9dc5;
  for (let at = 0; at < user.length; at++) hash = Math.imul(hash ^ user.charCodeAt(at), 0x01000193) >>> 0;
  return HUES[hash % HUES.length] ?? 0;
}
