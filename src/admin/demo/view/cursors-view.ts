/**
 * Where others point. Positions are shares of the board, because every window has another size; mine is told
 * as often as an eye can follow and only while the page is looked at.
 */
import type { Chat } from '../model/chat.ts';
import { colour } from './avatar.ts';
import { eachFrame, icon, make, part, setText } from './element.ts';
import { List } from './list.ts';

const EVERY_MS = 50;
const EDGE_PX = 12;
const ARROW_PX = 18;
/** A label that stands on what somebody reads gives way once its cursor rests. */
const REST_MS = 1200;

interface Cursor {
  readonly user: string;
  readonly x: number;
  readonly y: number;
}

export function cursorsView(chat: Chat): void {
  const board = part('board');
  const list = new List<Cursor>(part('cursors'), {
    key: ({ user }) => user,
    make: ({ user }) => {
      const element = make(
        'div',
        { class: 'cursor' },
        icon('cursor'),
        make('span', { class: 'cursor-name' }, make('span')),
      );
      colour(element, user);
      return element;
    },
    update: (element, { user, x, y }) => {
      const name = element.querySelector('.cursor-name span');
      if (name) setText(name, chat.conversation?.person(user).name ?? user);
      const left = x * board.clientWidth;
      const where = `translate(${left}px, ${y * board.clientHeight}px)`;
      if (element.style.transform !== where) awaken(element);
      element.style.transform = where;
      // Near the right edge the name stands on the other side, where it can be read.
      const flipped = board.clientWidth - left < element.offsetWidth + EDGE_PX;
      element.classList.toggle('flipped', flipped);
      element.style.marginLeft = flipped ? `${ARROW_PX - element.offsetWidth}px` : '';
    },
  });
  const draw = eachFrame(() =>
    list.show(
      [...(chat.conversation?.cursors.entries ?? [])].map(([user, { value }]) => ({ user, ...value })),
    ),
  );
  for (const topic of ['cursors', 'people', 'place'] as const) chat.changes.on(topic, draw);
  followMine(chat, board);
}

const resting = new WeakMap<HTMLElement, number>();

function awaken(element: HTMLElement): void {
  clearTimeout(resting.get(element));
  element.classList.remove('resting');
  resting.set(
    element,
    setTimeout(() => element.classList.add('resting'), REST_MS),
  );
}

function followMine(chat: Chat, board: HTMLElement): void {
  let toldAt = Number.NEGATIVE_INFINITY;
  let waiting: number | undefined;
  let last = { x: 0, y: 0 };
  const tell = () => {
    waiting = undefined;
    toldAt = performance.now();
    if (chat.client.state === 'connected') chat.conversation?.signal({ kind: 'cursor', ...last });
  };
  board.addEventListener('pointermove', (event) => {
    const box = board.getBoundingClientRect();
    last = { x: share(event.clientX - box.left, box.width), y: share(event.clientY - box.top, box.height) };
    // The last position always arrives, late by one interval at most.
    waiting ??= setTimeout(tell, Math.max(0, toldAt + EVERY_MS - performance.now()));
  });
  board.addEventListener('pointerleave', () => {
    clearTimeout(waiting);
    waiting = undefined;
    if (chat.client.state === 'connected') chat.conversation?.signal({ kind: 'cursor-gone' });
  });
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round(Math.min(1, Math.max(0, part / whole)) * 10_000) / 10_000;
}
