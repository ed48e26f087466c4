/**
 * The demo page: what roomcast does, to be seen and broken by hand. It is a client like any other, written
 * against the public SDK and nothing else, so whatever works here works for everybody. No framework, and
 * nothing that is not served by the node itself.
 */
import { connect } from '../../client/index.ts';
import { Chat } from './model/chat.ts';
import { Me } from './model/profile.ts';
import { composerView } from './view/composer-view.ts';
import { cursorsView } from './view/cursors-view.ts';
import { linkView } from './view/link-view.ts';
import { messagesView } from './view/messages-view.ts';
import { startPanels } from './view/panels.ts';
import { peopleView } from './view/people-view.ts';
import { placeView } from './view/place-view.ts';
import { profileView } from './view/profile-view.ts';
import { roomsView } from './view/rooms-view.ts';
import { applyTheme, themeButton } from './view/theme.ts';

/** How often what passes by itself (typing, cursors) is looked through. */
const PRUNE_EVERY_MS = 1000;

applyTheme();
document.addEventListener('DOMContentLoaded', start);

function start(): void {
  const me = new Me();
  const client = connect(new URL('/ws', location.href.replace(/^http/, 'ws')).href, {
    user: me.profile.user,
    inbox: true,
    client: { name: 'roomcast demo', version: '1' },
  });
  const chat = new Chat(client, me);
  themeButton();
  const closePanels = startPanels();
  profileView(chat);
  linkView(chat);
  messagesView(chat);
  peopleView(chat);
  composerView(chat);
  cursorsView(chat);
  // Last of all: it goes to the first place, which all the others then show.
  const go = placeView(chat, closePanels);
  roomsView(chat, go);
  setInterval(() => chat.prune(Date.now()), PRUNE_EVERY_MS);
}
