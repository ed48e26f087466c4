/** The field one writes in: sends on Enter, grows with the text, tells others that somebody types, and says who does. */
import type { Chat } from '../model/chat.ts';
import { eachFrame, make, part, setText } from './element.ts';
import { toast } from './spoken.ts';

/** Told again this often while somebody types; others forget it a little later. */
const TYPING_EVERY_MS = 2000;
const TYPISTS_NAMED_MAX = 3;

export function composerView(chat: Chat): void {
  const field = part<HTMLTextAreaElement>('composer-text');
  let toldAt = Number.NEGATIVE_INFINITY;
  let typing = false;

  const tell = (now: boolean) => {
    if (!now && !typing) return;
    if (now && typing && performance.now() - toldAt < TYPING_EVERY_MS) return;
    typing = now;
    toldAt = performance.now();
    chat.conversation?.signal({ kind: 'typing', typing: now });
  };
  const fit = () => {
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  };
  const send = () => {
    const text = field.value.trim();
    if (text === '') return;
    if (!chat.say(text)) return toast('Too much waits to be sent. Wait for the connection.');
    typing = false;
    field.value = '';
    fit();
  };

  field.addEventListener('input', () => {
    fit();
    tell(field.value.trim() !== '');
  });
  field.addEventListener('keydown', (event) => {
    // While a word is composed (Japanese, Chinese), Enter chooses it. Safari says so by the key code alone.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  });
  part('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    send();
    field.focus();
  });
  // The address is where one is, so the link within the page must not change it.
  part('skip').addEventListener('click', (event) => {
    event.preventDefault();
    field.focus();
  });
  chat.changes.on('place', () => {
    typing = false;
    const { place } = chat;
    const to = place.kind === 'room' ? `#${place.room}` : chat.nameOf(place.user);
    field.placeholder = `Message ${to}`;
    setText(part('composer-label'), `Message ${to}`);
  });
  chat.changes.on(
    'typing',
    eachFrame(() => showTypists(chat)),
  );
}

function showTypists(chat: Chat): void {
  const { conversation } = chat;
  const names = [...(conversation?.typing.entries.keys() ?? [])].map(
    (user) => conversation?.person(user).name ?? user,
  );
  const element = part('typing');
  const text = typistsText(names);
  if (element.textContent === text) return;
  if (text === '') return element.replaceChildren();
  const dots = make('span', { class: 'typing-dots', 'aria-hidden': 'true' }, make('i'), make('i'), make('i'));
  element.replaceChildren(dots, text);
}

function typistsText(names: readonly string[]): string {
  if (names.length === 0) return '';
  if (names.length > TYPISTS_NAMED_MAX) return `${names.length} people are typing`;
  if (names.length === 1) return `${names[0]} is typing`;
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are typing`;
}
