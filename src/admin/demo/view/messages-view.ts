/**
 * The messages of the place that is looked at. It stays at the newest while one reads there, and stays put
 * while one reads further up; its rows are as bounded as the transcript it shows.
 */
import type { Chat } from '../model/chat.ts';
import type { Entry } from '../model/transcript.ts';
import { avatar } from './avatar.ts';
import { eachFrame, make, part, setText } from './element.ts';
import { List } from './list.ts';

/** Messages of one person within this time stand together. */
const TOGETHER_MS = 5 * 60_000;
/** So near to the end counts as reading the newest. */
const NEAR_END_PX = 80;
const MINUTE_MS = 60_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export function messagesView(chat: Chat): void {
  const log = part('log');
  const latest = part('latest');
  let shown: readonly Entry[] = [];
  let place = chat.place;
  let atEnd = true;
  let list = listFor(chat, () => shown);

  const toEnd = () => {
    log.scrollTop = log.scrollHeight;
    latest.hidden = true;
  };
  const draw = eachFrame(() => {
    const before = shown;
    shown = chat.transcript?.entries ?? [];
    const moved = place !== chat.place;
    if (moved) {
      // Another place is not news: the live region is replaced in silence.
      log.setAttribute('aria-busy', 'true');
      part('messages').replaceChildren();
      list = listFor(chat, () => shown);
      place = chat.place;
    }
    list.show(shown);
    showEmpty(chat, shown.length === 0);
    const grew = shown.at(-1)?.key !== before.at(-1)?.key;
    const own = grew && shown.at(-1)?.kind === 'unsent';
    if (moved || atEnd || own) toEnd();
    else if (grew) latest.hidden = false;
    if (moved) requestAnimationFrame(() => log.removeAttribute('aria-busy'));
  });

  log.addEventListener('scroll', () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
    if (atEnd) latest.hidden = true;
  });
  new ResizeObserver(() => {
    if (atEnd) toEnd();
  }).observe(log);
  latest.addEventListener('click', toEnd);
  chat.changes.on('transcript', draw);
  chat.changes.on('place', draw);
  chat.changes.on('link', draw);
}

function listFor(chat: Chat, all: () => readonly Entry[]): List<Entry> {
  return new List<Entry>(part('messages'), {
    key: ({ key }) => key,
    make: (entry) => (entry.kind === 'notice' ? make('li', { class: 'notice' }) : messageRow(chat, entry)),
    update: (element, entry, index) => {
      if (entry.kind === 'notice') {
        element.dataset['tone'] = entry.tone;
        setText(element, entry.text);
      } else {
        const before = all()[index - 1];
        updateMessage(chat, element, entry, follows(before, entry, chat.me.profile.user));
        element.classList.toggle('same-minute', sameMinute(before, entry));
      }
    },
  });
}

type MessageEntry = Exclude<Entry, { kind: 'notice' }>;

function authorOf(entry: MessageEntry, me: string): string {
  return entry.kind === 'unsent' ? me : entry.user;
}

function follows(before: Entry | undefined, entry: MessageEntry, me: string): boolean {
  if (before === undefined || before.kind === 'notice') return false;
  return authorOf(before, me) === authorOf(entry, me) && entry.ts - before.ts < TOGETHER_MS;
}

/** The time is shown where it is news; a screen reader has it everywhere. */
function sameMinute(before: Entry | undefined, entry: MessageEntry): boolean {
  if (before === undefined || before.kind === 'notice') return false;
  return Math.floor(before.ts / MINUTE_MS) === Math.floor(entry.ts / MINUTE_MS);
}

function messageRow(chat: Chat, entry: MessageEntry): HTMLElement {
  const user = authorOf(entry, chat.me.profile.user);
  const name = nameOf(chat, entry);
  return make(
    'li',
    { class: 'message' },
    avatar({ user, name }),
    make(
      'p',
      { class: 'message-head' },
      make('span', { class: 'message-name' }, name),
      make('time', {}, clock.format(entry.ts)),
    ),
    make('p', { class: 'bubble', dir: 'auto' }, entry.text),
    make('p', { class: 'message-note' }),
  );
}

function nameOf(chat: Chat, entry: MessageEntry): string {
  const { user: me, name } = chat.me.profile;
  if (authorOf(entry, me) === me) return name;
  const user = authorOf(entry, me);
  const said = entry.kind === 'message' ? entry.name : undefined;
  if (chat.conversation?.room.members.has(user)) return chat.conversation.person(user).name;
  return said ?? (user === '' ? 'the server' : user);
}

function updateMessage(chat: Chat, element: HTMLElement, entry: MessageEntry, together: boolean): void {
  const mine = authorOf(entry, chat.me.profile.user) === chat.me.profile.user;
  const failure = entry.kind === 'unsent' ? entry.failure : undefined;
  element.classList.toggle('mine', mine);
  element.classList.toggle('follows', together);
  element.classList.toggle('foreign', entry.kind === 'message' && entry.foreign);
  element.classList.toggle('unsent', entry.kind === 'unsent');
  element.classList.toggle('failed', failure !== undefined);
  if (entry.kind === 'message') element.dataset['seq'] = String(entry.seq);
  const name = element.querySelector('.message-name');
  if (name) setText(name, nameOf(chat, entry));
  const note = element.querySelector('.message-note');
  if (note) updateNote(chat, note, entry, failure);
}

function updateNote(chat: Chat, note: Element, entry: MessageEntry, failure: string | undefined): void {
  if (failure === undefined) {
    const held = chat.client.state !== 'connected' || chat.client.redis === 'down';
    return setText(note, entry.kind === 'unsent' && held ? 'Waiting for the connection' : '');
  }
  if (note.querySelector('button')) return;
  const again = make('button', { type: 'button', class: 'text-button' }, 'Send again');
  again.addEventListener('click', () => {
    const taken = chat.transcript?.withdraw(entry.key);
    // Under its old key: what was stored all the same is not said twice.
    if (taken) chat.say(taken.text, entry.key.replace('key-', ''));
    chat.changes.tell('transcript');
  });
  note.replaceChildren(`Not sent: ${failure}`, again);
}

function showEmpty(chat: Chat, empty: boolean): void {
  const element = part('empty');
  element.hidden = !empty;
  setText(
    element,
    chat.place.kind === 'room'
      ? 'Nothing was said here lately.\nOpen this page in a second window, and talk to yourself.'
      : 'A message into this inbox is kept until it is read, also while its owner is away.',
  );
}
