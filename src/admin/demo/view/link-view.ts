/** The badge, the facts behind it, the buttons that break the connection, and the diary of what happened to it. */
import type { Chat } from '../model/chat.ts';
import { type LinkBadge, linkBadge } from '../model/link-badge.ts';
import { type Comeback, duration, type LinkEvent } from '../model/recovery.ts';
import { eachFrame, make, part, setText } from './element.ts';
import { List } from './list.ts';
import { speak } from './spoken.ts';

const SECOND_MS = 1000;
/** In the panel, and where that is folded away right under the badge. */
const BREAKERS = ['kill', 'kill-here'];
/** A diary, read by its seconds: AM and PM would only take the room of the words. */
const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

export function linkView(chat: Chat): void {
  const events = new List<LinkEvent>(part('events'), {
    key: ({ at, text }) => `${at} ${text}`,
    make: ({ at, tone, text }) =>
      make('li', { 'data-tone': tone }, make('span', {}, text), make('time', {}, clock.format(at))),
  });
  let spoken = '';
  const draw = eachFrame(() => {
    const badge = currentBadge(chat);
    const element = part('badge');
    element.dataset['tone'] = badge.tone;
    setText(part('badge-text'), badge.label);
    setText(part('link-detail'), badge.detail);
    if (spoken !== badge.spoken) speak(badge.spoken);
    spoken = badge.spoken;
    showFacts(chat);
    showButtons(chat);
    events.show(chat.recovery.events);
    for (const place of document.querySelectorAll<HTMLElement>('[data-comeback]'))
      showComeback(place, chat.recovery.comeback);
  });
  chat.changes.on('link', draw);
  chat.changes.on('transcript', draw);
  setInterval(() => {
    if (chat.client.state === 'waiting') draw();
  }, SECOND_MS / 4);

  for (const id of BREAKERS) part(id).addEventListener('click', () => chat.recovery.kill());
  part('offline').addEventListener('click', () => {
    if (chat.client.state === 'closed' || chat.client.state === 'waiting') chat.client.connect();
    else chat.client.close();
  });
  draw();
}

function currentBadge(chat: Chat): LinkBadge {
  const { client, retryAtMs, lastCode, lastReason } = chat;
  return linkBadge(
    {
      state: client.state,
      retryAtMs,
      code: lastCode,
      reason: lastReason,
      node: client.welcome?.node,
      redis: client.redis,
      room: chat.conversation?.room.status,
    },
    Date.now(),
  );
}

function showFacts(chat: Chat): void {
  const { client, conversation } = chat;
  const { welcome } = client;
  const position = conversation?.room.position;
  const waiting = chat.transcript?.unsent.length ?? 0;
  const facts: Record<string, string> = {
    Node: client.state === 'connected' ? (welcome?.node ?? '') : '',
    Connection: client.state === 'connected' ? (welcome?.connection ?? '') : '',
    Position: position ? `${position.seq} in ${position.epoch}` : '',
    Unsent: String(waiting),
    Server: welcome?.server ?? '',
  };
  const element = part('facts');
  for (const [name, value] of Object.entries(facts)) {
    const known = element.querySelector<HTMLElement>(`[data-fact="${name}"]`);
    const row = known ?? make('dd', { 'data-fact': name });
    if (!known) element.append(make('dt', {}, name), row);
    setText(row, value);
    // What is not known now is not there, instead of being called nothing.
    for (const cell of [row, row.previousElementSibling]) cell?.toggleAttribute('hidden', value === '');
  }
}

function showButtons({ client: { state } }: Chat): void {
  for (const id of BREAKERS) part<HTMLButtonElement>(id).disabled = state !== 'connected';
  setText(part('offline'), state === 'closed' ? 'Go online' : state === 'waiting' ? 'Try now' : 'Go offline');
}

/** How much was missed and how quickly it was there again, in one line with its number in front. */
function showComeback(place: HTMLElement, comeback: Comeback | undefined): void {
  const card = place.dataset['comeback'] === 'card';
  place.hidden = card && comeback === undefined;
  place.classList.toggle('nothing', comeback === undefined);
  if (comeback === undefined) return setText(place, 'Go on, break it. Nothing gets lost.');
  const { messages, tookMs, from, to } = comeback;
  const parts = [
    [
      'comeback-count',
      messages === 0 ? 'Nothing missed' : `${messages} ${messages === 1 ? 'message' : 'messages'} recovered`,
    ],
    ['comeback-time', duration(tookMs)],
    ['comeback-way', from === to ? to : `${from} → ${to}`],
  ] as const;
  const text = parts.map(([, said]) => said).join(' · ');
  if (place.dataset['said'] === text) return;
  place.dataset['said'] = text;
  place.replaceChildren(
    ...parts.flatMap(([name, said], at) => [
      ...(at === 0 ? [] : [make('span', { class: 'comeback-dot' }, ' · ')]),
      make('span', { class: name }, said),
    ]),
  );
}
