/** Where one is: the address behind `#`, the title, and the link to share. The address leads; the model follows. */
import type { Chat } from '../model/chat.ts';
import { hashOf, LOBBY, type Place, placeOf } from '../model/place.ts';
import { part, setText } from './element.ts';
import { toast } from './spoken.ts';

/** Returns how to go somewhere: by changing the address, as a click on a link would. */
export function placeView(chat: Chat, arrived: () => void): (place: Place) => void {
  const follow = () => {
    const place = placeOf(location.hash);
    if (!place) return history.replaceState(null, '', hashOf(chat.place));
    chat.go(place);
    arrived();
  };
  const showTitle = () => {
    const { place } = chat;
    setText(part('title'), place.kind === 'room' ? `#${place.room}` : chat.nameOf(place.user));
    setText(part('subtitle'), subtitle(chat));
    part('share-link').hidden = place.kind !== 'room';
    const unread = chat.unread > 0 ? `(${chat.unread}) ` : '';
    const title = `${unread}${part('title').textContent} · roomcast`;
    if (document.title !== title) document.title = title;
  };
  for (const topic of ['place', 'people', 'link', 'unread'] as const) chat.changes.on(topic, showTitle);
  addEventListener('hashchange', follow);
  addEventListener('visibilitychange', () => chat.seen());
  part('share-link').addEventListener('click', () => void share(chat));

  const start = placeOf(location.hash) ?? LOBBY;
  history.replaceState(null, '', hashOf(start));
  chat.go(start);
  return (place) => {
    location.hash = hashOf(place);
  };
}

function subtitle(chat: Chat): string {
  if (chat.place.kind === 'direct') return 'Direct message, kept in the inbox until it is read';
  if (chat.client.state !== 'connected') return 'not connected';
  const count = chat.conversation?.room.count ?? 0;
  if (count === 0) return 'joining…';
  return count === 1 ? 'You are alone here' : `${count} people here`;
}

async function share(chat: Chat): Promise<void> {
  const address = new URL(hashOf(chat.place), location.href).href;
  try {
    await navigator.clipboard.writeText(address);
    toast('The link to this room was copied');
  } catch {
    // Refused, or not a secure page: the address is shown, to be copied by hand.
    toast(address);
  }
}
