/**
 * What was said in one place, newest last and bounded: a page that stays open for weeks holds no more than
 * one of an hour. What is sent and not yet confirmed stands at the end, under the key it is sent with, until
 * the message itself comes back; its place among the others is the server's to say.
 */
export const ENTRIES_MAX = 300;
export const UNSENT_MAX = 50;

export interface Said {
  readonly kind: 'message';
  /** Unique in its transcript; that of its unsent form, where it was written here. */
  readonly key: string;
  readonly user: string;
  readonly name: string | undefined;
  readonly text: string;
  /** Not text of this page but any JSON, shown as it came. */
  readonly foreign: boolean;
  readonly ts: number;
  readonly seq: number;
}

export interface Unsent {
  readonly kind: 'unsent';
  readonly key: string;
  readonly text: string;
  readonly ts: number;
  /** Why it was given up; undefined while it is tried. */
  readonly failure: string | undefined;
}

export interface Notice {
  readonly kind: 'notice';
  readonly key: string;
  readonly tone: 'plain' | 'good' | 'bad';
  readonly text: string;
  readonly ts: number;
}

export type Entry = Said | Unsent | Notice;

export class Transcript {
  #entries: (Said | Notice)[] = [];
  #unsent: Unsent[] = [];
  #notices = 0;

  get entries(): readonly Entry[] {
    return [...this.#entries, ...this.#unsent];
  }

  get unsent(): readonly Unsent[] {
    return this.#unsent;
  }

  say(message: Said): void {
    this.#unsent = this.#unsent.filter(({ key }) => key !== message.key);
    // Shown from its receipt before its own copy came.
    if (this.#entries.some(({ key }) => key === message.key)) return;
    this.#append(message);
  }

  notice(tone: Notice['tone'], text: string, ts: number): void {
    this.#notices++;
    this.#append({ kind: 'notice', key: `notice-${this.#notices}`, tone, text, ts });
  }

  /** False where too much waits already: the writer is told, and nothing is dropped. */
  write(key: string, text: string, ts: number): boolean {
    if (this.#unsent.length >= UNSENT_MAX) return false;
    this.#unsent.push({ kind: 'unsent', key, text, ts, failure: undefined });
    return true;
  }

  fail(key: string, failure: string): void {
    this.#unsent = this.#unsent.map((entry) => (entry.key === key ? { ...entry, failure } : entry));
  }

  /** Takes back what failed, for another try. */
  withdraw(key: string): Unsent | undefined {
    const found = this.#unsent.find((entry) => entry.key === key);
    this.#unsent = this.#unsent.filter((entry) => entry !== found);
    return found;
  }

  #append(entry: Said | Notice): void {
    this.#entries.push(entry);
    if (this.#entries.length > ENTRIES_MAX) this.#entries.shift();
  }
}
