/** The list of rooms and of direct messages, with what is unread, and the field that opens another room. */
import type { Chat } from '../model/chat.ts';
import type { Thread } from '../model/direct-messages.ts';
import { hashOf, type Place, roomNameFrom } from '../model/place.ts';
import { avatar } from './avatar.ts';
import { eachFrame, icon, make, part, setText } from './element.ts';
import { List } from './list.ts';

const UNREAD_SHOWN_MAX = 99;

interface RoomRow {
  readonly name: string;
  readonly unread: number;
  readonly entered: boolean;
}

export function roomsView(chat: Chat, go: (place: Place) => void): void {
  const rooms = new List<RoomRow>(part('rooms'), {
    key: ({ name, entered }) => `${name} ${entered}`,
    make: (row) => roomRow(row, chat, go),
    update: (element, { name, unread }) => {
      mark(element, unread, chat.place.kind === 'room' && chat.place.room === name);
      const leave = element.querySelector<HTMLElement>('.row-action');
      if (leave) leave.hidden = chat.conversations.length < 2;
    },
  });
  const threads = new List<Thread>(part('threads'), {
    key: ({ user }) => user,
    make: ({ user, name }) => make('li', {}, row({ kind: 'direct', user }, avatar({ user, name }), name)),
    update: (element, { user, name, unread }) => {
      const label = element.querySelector('.row-name');
      if (label) setText(label, name);
      mark(element, unread, chat.place.kind === 'direct' && chat.place.user === user);
    },
  });

  const draw = eachFrame(() => {
    const entered = chat.conversations.map(({ name, unread }) => ({ name, unread, entered: true }));
    const suggested = chat.suggestions.map((name) => ({ name, unread: 0, entered: false }));
    rooms.show([...entered, ...suggested]);
    part('threads-part').hidden = !chat.direct.available || chat.direct.threads.length === 0;
    threads.show(chat.direct.threads);
    part('rooms-dot').hidden = chat.unread === 0;
  });
  chat.changes.on('rooms', draw);
  chat.changes.on('unread', draw);
  chat.changes.on('place', draw);
  newRoomForm(go);
  draw();
}

function roomRow({ name, entered }: RoomRow, chat: Chat, go: (place: Place) => void): HTMLElement {
  const link = row(
    { kind: 'room', room: name },
    make('span', { class: 'row-sign', 'aria-hidden': 'true' }, '#'),
    name,
  );
  link.classList.toggle('row-idle', !entered);
  if (!entered) return make('li', {}, link);
  const leave = make('button', { type: 'button', class: 'icon-button row-action row-quiet' }, icon('close'));
  leave.setAttribute('aria-label', `Leave ${name}`);
  leave.addEventListener('click', () => {
    const wasHere = chat.conversation?.name === name;
    chat.leave(name);
    const [first] = chat.conversations;
    if (wasHere && first) go({ kind: 'room', room: first.name });
  });
  return make('li', {}, link, leave);
}

/** A link to the place: shared, opened in a tab and gone back from like any other. */
function row(place: Place, sign: HTMLElement, name: string): HTMLAnchorElement {
  return make(
    'a',
    { class: 'row', href: hashOf(place) },
    sign,
    make('span', { class: 'row-name' }, name),
    make('span', { class: 'unread' }),
  );
}

function mark(element: HTMLElement, unread: number, here: boolean): void {
  const link = element.querySelector('a');
  const count = element.querySelector<HTMLElement>('.unread');
  if (!link || !count) return;
  link.toggleAttribute('aria-current', here);
  if (here) link.setAttribute('aria-current', 'page');
  link.classList.toggle('row-new', unread > 0);
  count.hidden = unread === 0;
  setText(count, unread > UNREAD_SHOWN_MAX ? `${UNREAD_SHOWN_MAX}+` : String(unread));
  count.setAttribute('aria-label', `${unread} unread`);
}

function newRoomForm(go: (place: Place) => void): void {
  const field = part<HTMLInputElement>('new-room-name');
  const hint = part('new-room-hint');
  part('new-room').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = roomNameFrom(field.value);
    setText(hint, name === undefined ? 'A room is named with letters, digits and . _ - / :' : '');
    field.toggleAttribute('aria-invalid', name === undefined);
    if (name === undefined) return;
    field.value = '';
    go({ kind: 'room', room: name });
  });
}
