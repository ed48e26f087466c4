/**
 * Messages for one person's inbox, one thread per person. The server keeps them while somebody is away;
 * here they live as long as the page. A server without inboxes says so at the first hello, and then there
 * is nothing of this to be seen.
 */
import type { Client } from '../../../client/api.ts';
import { Changes } from './changes.ts';
import { failureText } from './failure.ts';
import { readMessage } from './payload.ts';
import type { Me } from './profile.ts';
import { Transcript } from './transcript.ts';

/** Beyond it those that were read go, oldest first. What was not read stays, and its number is that of the inbox. */
export const THREADS_MAX = 20;

export interface Thread {
  readonly user: string;
  /** As the other last called themselves. */
  name: string;
  readonly transcript: Transcript;
  unread: number;
}

export class DirectMessages {
  readonly changes = new Changes<'threads' | 'transcript'>();
  readonly #threads = new Map<string, Thread>();
  readonly #client: Client;
  readonly #me: Me;
  #refused = false;
  #newestSeq = 0;
  #readSeq = 0;
  /** Whose thread was looked at last. */
  #lookedAt: string | undefined;

  constructor(client: Client, me: Me) {
    this.#client = client;
    this.#me = me;
    client.on('error', ({ code }) => {
      if (code !== 'unsupported') return;
      this.#refused = true;
      this.changes.tell('threads');
    });
    client.on('state', () => this.changes.tell('threads'));
    client.inbox.on('message', (message) => {
      const said = readMessage(message, this.#me.profile.user);
      this.#newestSeq = message.seq;
      const thread = this.open(said.user, said.name ?? said.user);
      if (said.name !== undefined) thread.name = said.name;
      thread.transcript.say(said);
      thread.unread++;
      this.changes.tell('threads', 'transcript');
    });
    client.inbox.on('reset', ({ reason }) => {
      // The seqs of a stream that is gone say nothing about the one that follows it.
      this.#newestSeq = 0;
      this.#readSeq = 0;
      for (const { transcript } of this.#threads.values())
        transcript.notice(
          'bad',
          `The inbox was interrupted (${reason}): direct messages may be missing.`,
          Date.now(),
        );
      this.changes.tell('transcript');
    });
  }

  /** Whether the server has inboxes; asked anew at each hello, since nodes of two releases may stand side by side. */
  get available(): boolean {
    return !this.#refused && this.#client.welcome !== undefined;
  }

  get threads(): readonly Thread[] {
    return [...this.#threads.values()];
  }

  thread(user: string): Thread | undefined {
    return this.#threads.get(user);
  }

  open(user: string, name: string): Thread {
    const known = this.#threads.get(user);
    if (known) return known;
    if (this.#threads.size >= THREADS_MAX) this.#forgetOldest();
    const thread: Thread = { user, name, transcript: new Transcript(), unread: 0 };
    this.#threads.set(user, thread);
    this.changes.tell('threads');
    return thread;
  }

  say(user: string, text: string, key: string): boolean {
    const { transcript } = this.open(user, user);
    const now = Date.now();
    if (!transcript.write(`key-${key}`, text, now)) return false;
    this.changes.tell('transcript');
    const { user: me, name } = this.#me.profile;
    this.#client.send(user, { text, name }, { key }).then(
      ({ seq }) => {
        // It went into the other's inbox and does not come back from there: the receipt is all there is.
        transcript.say({
          kind: 'message',
          key: `key-${key}`,
          user: me,
          name,
          text,
          foreign: false,
          ts: now,
          seq,
        });
        this.changes.tell('transcript');
      },
      (error: unknown) => {
        transcript.fail(`key-${key}`, failureText(error));
        this.changes.tell('transcript');
      },
    );
    return true;
  }

  /** Marks a thread as seen; the shared mark moves only once nothing is left unseen, since it covers all threads. */
  seen(user: string): void {
    const thread = this.#threads.get(user);
    this.#lookedAt = user;
    if (!thread || thread.unread === 0) return;
    thread.unread = 0;
    this.changes.tell('threads');
    const all = this.threads.every(({ unread }) => unread === 0);
    if (!all || this.#newestSeq <= this.#readSeq) return;
    this.#readSeq = this.#newestSeq;
    this.#client.inbox.read(this.#newestSeq).catch(() => {
      // Not marked: another device shows them once more, which loses nothing.
    });
  }

  /** Without the condition a message nobody saw would be gone, and the read mark would move over it. */
  #forgetOldest(): void {
    const done = this.threads.find(
      ({ user, unread, transcript }) =>
        unread === 0 && transcript.unsent.length === 0 && user !== this.#lookedAt,
    );
    if (done !== undefined) this.#threads.delete(done.user);
  }
}
