/**
 * Who sits at this browser: one person, however many tabs. The user name is invented once and kept; what
 * others read is the display name, which can be changed at any time because it travels as presence state.
 * All tabs share one profile, so that a tab that reconnects does not tell an old one again.
 */
import { Changes } from './changes.ts';
import { recall, remember, whenRememberedElsewhere } from './browser-storage.ts';

export const NAME_LENGTH_MAX = 32;
const STORED = 'profile';
const MOODS = ['Amber', 'Brisk', 'Calm', 'Clever', 'Coral', 'Daring', 'Gentle', 'Jolly', 'Quiet', 'Swift'];
const ANIMALS = ['Otter', 'Heron', 'Lynx', 'Badger', 'Robin', 'Fox', 'Hare', 'Marten', 'Owl', 'Seal'];

export interface Profile {
  readonly user: string;
  readonly name: string;
  readonly away: boolean;
  readonly sharing: boolean;
}

/** What the members of a room see of a profile. */
export type ProfileState = { readonly name: string; readonly away: boolean; readonly sharing: boolean };

export class Me {
  readonly changes = new Changes<'profile'>();
  #profile: Profile;

  constructor() {
    this.#profile = read() ?? invent();
    remember(STORED, this.#profile);
    whenRememberedElsewhere(STORED, () => {
      const told = read();
      // Another user name is another person, who begins with the next load of the page.
      if (told?.user !== this.#profile.user) return;
      this.#profile = told;
      this.changes.tell('profile');
    });
  }

  get profile(): Profile {
    return this.#profile;
  }

  get state(): ProfileState {
    const { name, away, sharing } = this.#profile;
    return { name, away, sharing };
  }

  change(part: Partial<Omit<Profile, 'user'>>): void {
    const name = tidyName(part.name ?? this.#profile.name) || this.#profile.name;
    this.#profile = { ...this.#profile, ...part, name };
    remember(STORED, this.#profile);
    this.changes.tell('profile');
  }
}

export function tidyName(text: string): string {
  return letters(text.replace(/[\p{C}\s]+/gu, ' ').trim())
    .slice(0, NAME_LENGTH_MAX)
    .join('');
}

/** As people count them: a flag or a letter with two accents is one. */
export function letters(text: string): string[] {
  return Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);
}

function read(): Profile | undefined {
  const kept = recall(STORED);
  if (typeof kept !== 'object' || kept === null) return undefined;
  const { user, name, away, sharing } = kept as Record<string, unknown>;
  if (typeof user !== 'string' || !/^[a-z0-9-]{1,64}$/.test(user)) return undefined;
  if (typeof name !== 'string' || tidyName(name) === '') return undefined;
  return { user, name: tidyName(name), away: away === true, sharing: sharing === true };
}

function invent(): Profile {
  const chance = crypto.getRandomValues(new Uint32Array(4));
  const pick = (words: readonly string[], number = 0) => words[number % words.length] ?? '';
  const [first = 0, second = 0, ...rest] = chance;
  return {
    user: `guest-${rest.map((number) => number.toString(36)).join('')}`,
    name: `${pick(MOODS, first)} ${pick(ANIMALS, second)}`,
    away: false,
    sharing: false,
  };
}
