/**
 * The page's model: one connection, the rooms that were entered, the place that is looked at. Views read it
 * and are told when to read again; it knows nothing of them, nor of the document.
 */
import type { Client } from '../../../client/api.ts';
import { recall, remember } from './browser-storage.ts';
import { Changes } from './changes.ts';
import { failureText } from './failure.ts';
import { Conversation } from './conversation.ts';
import { DirectMessages, type Thread } from './direct-messages.ts';
import type { Person } from './person.ts';
import { LOBBY, type Place, placeOf } from './place.ts';
import type { Me } from './profile.ts';
import { Recovery } from './recovery.ts';
import type { Transcript } from './transcript.ts';

/** Entered at once; each costs presence and messages. */
export const ROOMS_MAX = 12;
const SUGGESTED = ['lobby', 'design', 'random'];
const STORED = 'rooms';

export type ChatTopic =
  | 'place'
  | 'rooms'
  | 'transcript'
  | 'people'
  | 'typing'
  | 'cursors'
  | 'link'
  | 'unread';

export class Chat {
  readonly changes = new Changes<ChatTopic>();
  readonly client: Client;
  readonly me: Me;
  readonly direct: DirectMessages;
  readonly recovery: Recovery;
  place: Place = LOBBY;
  /** When the next attempt to connect begins, by the page's clock. */
  retryAtMs: number | undefined;
  lastCode: number | undefined;
  lastReason: string | undefined;
  readonly #conversations = new Map<string, Conversation>();

  constructor(client: Client, me: Me) {
    this.client = client;
    this.me = me;
    this.recovery = new Recovery(client);
    this.direct = new DirectMessages(client, me);
    this.direct.changes.on('threads', () => this.changes.tell('rooms', 'unread'));
    this.direct.changes.on('transcript', () => this.#cameIn());
    this.recovery.changes.on('events', () => this.changes.tell('link'));
    client.on('state', ({ state, retryInMs, code, reason }) => {
      this.retryAtMs = retryInMs === undefined ? undefined : Date.now() + retryInMs;
      if (state !== 'connecting') {
        this.lastCode = code;
        this.lastReason = reason;
      }
      if (state !== 'connected')
        for (const { cursors, typing } of this.#conversations.values()) forgetAll(cursors, typing);
      this.changes.tell('link', 'typing', 'cursors');
    });
    client.on('redis', () => this.changes.tell('link'));
    client.on('error', ({ code, message }) => {
      // A server without inboxes is no fault: the page then has none.
      if (code !== 'unsupported') this.recovery.write('bad', message);
    });
    client.inbox.on('recovered', ({ messages }) => {
      // Most have an empty inbox, and its recovery is no news.
      if (messages > 0) this.recovery.recovered('Inbox', messages);
    });
    client.inbox.on('reset', ({ reason }) => this.recovery.reset('Inbox', reason));
    me.changes.on('profile', () => this.#tellState());
    for (const name of rememberedRooms()) this.#enter(name);
  }

  get conversation(): Conversation | undefined {
    return this.place.kind === 'room' ? this.#conversations.get(this.place.room) : undefined;
  }

  get thread(): Thread | undefined {
    return this.place.kind === 'direct' ? this.direct.thread(this.place.user) : undefined;
  }

  get transcript(): Transcript | undefined {
    return this.conversation?.transcript ?? this.thread?.transcript;
  }

  get conversations(): readonly Conversation[] {
    return [...this.#conversations.values()];
  }

  /** Rooms worth a visit that were not entered yet. */
  get suggestions(): readonly string[] {
    return SUGGESTED.filter((name) => !this.#conversations.has(name));
  }

  get unread(): number {
    return [...this.conversations, ...this.direct.threads].reduce((sum, { unread }) => sum + unread, 0);
  }

  go(place: Place): void {
    this.conversation?.signal({ kind: 'cursor-gone' });
    this.place = place;
    if (place.kind === 'room') this.#enter(place.room);
    else this.direct.open(place.user, this.nameOf(place.user));
    this.seen();
    this.changes.tell('place', 'rooms', 'transcript', 'people', 'typing', 'cursors', 'link');
  }

  /** The present place was looked at, unless the page is in the background. */
  seen(): void {
    const { conversation, thread } = this;
    const isLookedAt = document.visibilityState !== 'hidden';
    if (isLookedAt && conversation) conversation.unread = 0;
    if (isLookedAt && thread) this.direct.seen(thread.user);
    this.changes.tell('unread');
  }

  leave(name: string): void {
    this.#conversations.get(name)?.leave();
    this.#conversations.delete(name);
    this.#rememberRooms();
    this.changes.tell('rooms');
  }

  /** `key`: that of a message which is said again. */
  say(text: string, key = newKey()): boolean {
    if (this.place.kind === 'direct') return this.direct.say(this.place.user, text, key);
    return this.conversation?.say(text, this.me.profile.name, key) ?? false;
  }

  /** From whichever room has this person; undefined where none of mine does. */
  present(user: string): Person | undefined {
    return this.conversations.find(({ room }) => room.members.has(user))?.person(user);
  }

  nameOf(user: string): string {
    return this.present(user)?.name ?? this.direct.thread(user)?.name ?? user;
  }

  prune(nowMs: number): void {
    for (const conversation of this.#conversations.values()) conversation.prune(nowMs);
  }

  #enter(name: string): void {
    const known = this.#conversations.get(name);
    if (known && known.over === undefined) return;
    // Who was refused or put out may try again.
    known?.end();
    this.#conversations.delete(name);
    if (this.#conversations.size >= ROOMS_MAX) this.#leaveQuietest();
    const conversation = new Conversation(this.client, name, this.me);
    this.#conversations.set(name, conversation);
    this.#rememberRooms();
    const here = (...topics: ChatTopic[]) => {
      if (this.conversation === conversation) this.changes.tell(...topics);
    };
    conversation.changes.on('transcript', () => this.#cameIn());
    // Also where it is another room: somebody I write to directly may have come or gone there.
    conversation.changes.on('people', () => this.changes.tell('people', 'transcript'));
    conversation.changes.on('typing', () => here('typing'));
    conversation.changes.on('cursors', () => here('cursors'));
    conversation.changes.on('status', () => here('link'));
    conversation.room.on('recovered', ({ messages }) => this.recovery.recovered(`#${name}`, messages));
    conversation.room.on('reset', ({ reason }) => this.recovery.reset(`#${name}`, reason));
  }

  #cameIn(): void {
    this.seen();
    this.changes.tell('transcript', 'rooms');
  }

  #leaveQuietest(): void {
    const [first] = this.conversations.filter((conversation) => conversation !== this.conversation);
    if (first) this.leave(first.name);
  }

  #rememberRooms(): void {
    remember(STORED, [...this.#conversations.keys()]);
  }

  #tellState(): void {
    for (const { room } of this.#conversations.values()) {
      room.setState(this.me.state).catch((error: unknown) => {
        this.recovery.write('bad', `Your state was not taken: ${failureText(error)}`);
      });
    }
  }
}

function forgetAll(...parts: { clear(): void }[]): void {
  for (const part of parts) part.clear();
}

function rememberedRooms(): string[] {
  const kept = recall(STORED);
  if (!Array.isArray(kept)) return [];
  const names = kept.filter(
    (name): name is string => typeof name === 'string' && placeOf(name)?.kind === 'room',
  );
  return names.slice(0, ROOMS_MAX);
}

/** Of a message said for the first time: nobody else's may be the same within two minutes. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}
