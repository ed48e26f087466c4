/** The badge, the facts behind it, the buttons that break the connection, and the diary of what happened to it. */
import type { Chat } from '../model/chat.ts';
import { type LinkBadge, linkBadge } from '../model/link-badge.ts';
import type { LinkEvent } from '../model/recovery.ts';
import { eachFrame, make, part, setText } from './element.ts';
import { List } from './list.ts';
import { speak } from './spoken.ts';

const SECOND_MS = 1000;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

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
  });
  chat.changes.on('link', draw);
  chat.changes.on('transcript', draw);
  setInterval(() => {
    if (chat.client.state === 'waiting') draw();
  }, SECOND_MS / 4);

  part('kill').addEventListener('click', () => chat.recovery.kill());
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
    Node: client.state === 'connected' ? (welcome?.node ?? '') : 'none',
    Connection: client.state === 'connected' ? (welcome?.connection ?? '') : 'none',
    Position: position ? `${position.seq} in ${position.epoch}` : 'none',
    Unsent: String(waiting),
    Server: welcome?.server ?? 'unknown',
  };
  const element = part('facts');
  for (const [name, value] of Object.entries(facts)) {
    const known = element.querySelector(`[data-fact="${name}"]`);
    if (known) setText(known, value);
    else element.append(make('dt', {}, name), make('dd', { 'data-fact': name }, value));
  }
}

function showButtons({ client: { state } }: Chat): void {
  part<HTMLButtonElement>('kill').disabled = state !== 'connected';
  setText(part('offline'), state === 'closed' ? 'Go online' : state === 'waiting' ? 'Try now' : 'Go offline');
}
