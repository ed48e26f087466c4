/** Who is here: one row per person however many tabs they have, with what they do; and whose screen is shared. */
import type { Chat } from '../model/chat.ts';
import type { Person } from '../model/person.ts';
import { hashOf } from '../model/place.ts';
import { avatar, colour } from './avatar.ts';
import { eachFrame, icon, make, part, setText } from './element.ts';
import { List } from './list.ts';

/** A room of a thousand is counted; only so many are drawn. */
const SHOWN_MAX = 100;
const SHARES_SHOWN_MAX = 6;

export function peopleView(chat: Chat): void {
  const people = new List<Person>(part('people'), {
    key: ({ user }) => user,
    make: (person) => personRow(chat, person),
    update: (element, person) => updatePerson(chat, element, person),
  });
  const shares = new List<Person>(part('shares'), {
    key: ({ user }) => user,
    make: ({ user }) => {
      const screen = make('span', { class: 'share-screen' }, icon('screen'));
      colour(screen, user);
      return make('li', { class: 'share' }, screen, make('span', { class: 'share-name' }));
    },
    update: (element, { user, name }) => {
      const label = element.querySelector('.share-name');
      const mine = user === chat.me.profile.user;
      if (label) setText(label, mine ? 'You are sharing your screen' : `${name} is sharing a screen`);
    },
  });

  const draw = eachFrame(() => {
    const conversation = chat.conversation;
    const present = conversation?.people ?? correspondent(chat);
    const count = Math.max(conversation?.room.count ?? 0, present.length);
    people.show(present.slice(0, SHOWN_MAX));
    const more = count - Math.min(present.length, SHOWN_MAX);
    setText(part('people-more'), moreText(more, present.length > 0));
    setText(part('people-count'), String(count));
    setText(part('people-title'), titleOf(chat, conversation ? count : undefined, present.length > 0));
    const sharing = present.filter((person) => person.sharing).slice(0, SHARES_SHOWN_MAX);
    part('shares').hidden = sharing.length === 0;
    shares.show(sharing);
  });
  for (const topic of ['people', 'typing', 'place', 'link'] as const) chat.changes.on(topic, draw);
  chat.direct.changes.on('threads', draw);
  chat.me.changes.on('profile', draw);
}

function titleOf(chat: Chat, count: number | undefined, here: boolean): string {
  // Without a connection nobody knows; what is shown is how it was.
  if (chat.client.state !== 'connected') return 'Last known';
  if (count !== undefined) return `Here now · ${count}`;
  return here ? 'Here now' : 'Not here now';
}

function moreText(more: number, listed: boolean): string {
  if (more <= 0) return '';
  const people = more === 1 ? '1 person' : `${more} people`;
  return listed ? `and ${people} more` : `${people} here`;
}

/** The one a direct message goes to, while one of my rooms has them. */
function correspondent(chat: Chat): Person[] {
  const person = chat.place.kind === 'direct' ? chat.present(chat.place.user) : undefined;
  return person ? [person] : [];
}

function personRow(chat: Chat, { user, name, away }: Person): HTMLElement {
  const row = make(
    'div',
    { class: 'row' },
    avatar({ user, name, away }),
    make(
      'span',
      { class: 'row-two' },
      make('span', { class: 'row-name' }),
      make('span', { class: 'row-note' }),
    ),
  );
  const element = make('li', {}, row);
  if (user === chat.me.profile.user) return element;
  const write = make(
    'a',
    { class: 'icon-button row-action', href: hashOf({ kind: 'direct', user }) },
    icon('mail'),
  );
  element.append(write);
  return element;
}

function updatePerson(chat: Chat, element: HTMLElement, person: Person): void {
  const sign = element.querySelector<HTMLElement>('.avatar');
  if (sign) {
    if (chat.client.state === 'connected') sign.dataset['presence'] = person.away ? 'away' : 'here';
    else delete sign.dataset['presence'];
    setText(sign, avatar(person).textContent ?? '');
  }
  const me = person.user === chat.me.profile.user;
  const name = element.querySelector('.row-name');
  if (name) setText(name, me ? `${person.name} (you)` : person.name);
  const note = element.querySelector('.row-note');
  if (note) {
    const typing = chat.conversation?.typing.entries.has(person.user) === true;
    note.classList.toggle('busy', typing || person.sharing);
    setText(note, chat.client.state === 'connected' ? noteOf(person, typing) : 'not connected');
  }
  const write = element.querySelector<HTMLElement>('.row-action');
  if (write) {
    write.hidden = !chat.direct.available;
    write.setAttribute('aria-label', `Message to ${person.name}`);
  }
}

function noteOf({ away, sharing }: Person, typing: boolean): string {
  if (typing) return 'typing…';
  if (sharing) return away ? 'sharing a screen, away' : 'sharing a screen';
  return away ? 'away' : 'active';
}
