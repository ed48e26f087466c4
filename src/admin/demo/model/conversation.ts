/**
 * One room of this page: what was said in it, who is there, who types, where cursors are. It follows the
 * SDK's room and keeps what a view needs of it; everything it keeps is bounded, and `end` lets go of all of it.
 */
import type { Client, Reset, Room } from '../../../client/api.ts';
import { Changes } from './changes.ts';
import { failureText } from './failure.ts';
import { Passing } from './passing.ts';
import { readMessage, readSignal, type SignalData } from './payload.ts';
import { type Person, readPerson } from './person.ts';
import type { Me } from './profile.ts';
import { Transcript } from './transcript.ts';

const HISTORY_MESSAGES = 50;
const TYPING_LASTS_MS = 4000;
const TYPING_PEOPLE_MAX = 20;
const CURSOR_LASTS_MS = 8000;
const CURSOR_PEOPLE_MAX = 24;

export type ConversationTopic = 'transcript' | 'people' | 'typing' | 'cursors' | 'status' | 'over';

/** What a reset means to somebody who reads. */
const RESETS: Record<Reset['reason'], string> = {
  lost: 'Continuity broke here (lost): the storage behind this room is gone, and the room begins anew.',
  diverged: 'Continuity broke here (diverged): a failover lost messages that may still be shown above.',
  trimmed: 'Continuity broke here (trimmed): you were away for longer than messages are kept.',
  too_far: 'Continuity broke here (too_far): more was said meanwhile than one reply may carry.',
};

export class Conversation {
  readonly changes = new Changes<ConversationTopic>();
  readonly transcript = new Transcript();
  readonly typing = new Passing<true>({ lastMs: TYPING_LASTS_MS, peopleMax: TYPING_PEOPLE_MAX });
  readonly cursors = new Passing<{ readonly x: number; readonly y: number }>({
    lastMs: CURSOR_LASTS_MS,
    peopleMax: CURSOR_PEOPLE_MAX,
  });
  readonly room: Room;
  /** Messages that came while nobody looked. */
  unread = 0;
  /** Why the room cannot be used; the transcript says it too. */
  over: string | undefined;
  readonly #me: Me;
  readonly #ends: (() => void)[] = [];
  /** Until the first join is done, messages are history and not news. */
  #settled = false;

  constructor(client: Client, name: string, me: Me) {
    this.#me = me;
    this.room = client.join(name, { history: HISTORY_MESSAGES, presence: 'full', state: me.state });
    this.#follow();
  }

  get name(): string {
    return this.room.name;
  }

  /** Me first, then by name. */
  get people(): Person[] {
    const me = this.#me.profile.user;
    return [...this.room.members.values()]
      .map(({ user, state }) => readPerson(user, state))
      .sort((a, b) => Number(b.user === me) - Number(a.user === me) || a.name.localeCompare(b.name));
  }

  person(user: string): Person {
    return readPerson(user, this.room.members.get(user)?.state);
  }

  /** False where too much waits already. The message appears at once and is confirmed or fails in its place. */
  say(text: string, name: string, key: string): boolean {
    if (!this.transcript.write(`key-${key}`, text, Date.now())) return false;
    this.changes.tell('transcript');
    this.room.publish({ text, name }, { key }).then(
      ({ epoch, seq, duplicate }) => {
        // Stored by an attempt that was cut off, and beyond what the rejoin brought: its own copy never comes.
        if (!duplicate || !this.transcript.unsent.some((one) => one.key === `key-${key}`)) return;
        const { user } = this.#me.profile;
        const message = { epoch, seq, key, ts: Date.now(), from: { user }, data: { text, name } };
        this.transcript.say(readMessage(message, user));
        this.changes.tell('transcript');
      },
      (error: unknown) => {
        this.transcript.fail(`key-${key}`, failureText(error));
        this.changes.tell('transcript');
      },
    );
    return true;
  }

  signal(data: SignalData): void {
    this.room.signal(data).catch(() => {
      // Offline or shed: the next one tells the same, and nobody waits for this one.
    });
  }

  prune(nowMs: number): void {
    if (this.typing.prune(nowMs)) this.changes.tell('typing');
    if (this.cursors.prune(nowMs)) this.changes.tell('cursors');
  }

  leave(): void {
    this.end();
    this.room.leave().catch(() => {
      // Refused or unanswered: this page shows the room no more either way, and the connection's end is its own.
    });
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  #follow(): void {
    const { room, transcript, changes } = this;
    room.joined.then(
      () => changes.tell('status', 'people'),
      (error: unknown) => {
        // Offline before it was joined: with the next connection it is.
        if (room.status === 'left') this.#close(failureText(error));
      },
    );
    this.#ends.push(
      room.on('message', (message) => {
        const said = readMessage(message, this.#me.profile.user);
        transcript.say(said);
        if (this.#settled && said.user !== this.#me.profile.user) this.unread++;
        changes.tell('transcript');
        if (this.typing.forget(said.user)) changes.tell('typing');
      }),
      room.on('recovered', ({ messages }) => {
        transcript.notice('good', recoveredText(messages), Date.now());
        changes.tell('transcript');
      }),
      room.on('reset', ({ reason }) => {
        transcript.notice('bad', RESETS[reason], Date.now());
        changes.tell('transcript');
      }),
      room.on('signal', ({ from, data }) => this.#hear(from.user, readSignal(data))),
      room.on('presence', ({ left }) => {
        for (const { user } of left) {
          this.typing.forget(user);
          this.cursors.forget(user);
        }
        changes.tell('people', 'typing', 'cursors');
      }),
      room.on('status', (status) => {
        if (status === 'live') this.#settled = true;
        changes.tell('status');
      }),
      room.on('left', ({ reason, error }) => this.#close(error?.message ?? reason)),
    );
  }

  #hear(user: string, data: SignalData | undefined): void {
    // My other tabs signal too, and I know where I am.
    if (data === undefined || user === this.#me.profile.user) return;
    if (data.kind === 'typing') {
      if (data.typing) this.typing.set(user, true, Date.now());
      else this.typing.forget(user);
      return this.changes.tell('typing');
    }
    if (data.kind === 'cursor') this.cursors.set(user, { x: data.x, y: data.y }, Date.now());
    else this.cursors.forget(user);
    this.changes.tell('cursors');
  }

  #close(why: string): void {
    // A join that is refused says so twice: by its promise and as an event.
    if (this.over !== undefined) return;
    this.over = why;
    this.transcript.notice('bad', `You are no longer in this room: ${why}`, Date.now());
    this.changes.tell('transcript', 'status', 'over');
  }
}

export function recoveredText(messages: number): string {
  if (messages === 0) return 'Connection restored. Nothing was said meanwhile, nothing is missing.';
  return `Connection restored. ${messages} ${messages === 1 ? 'message' : 'messages'} recovered, nothing is missing.`;
}
