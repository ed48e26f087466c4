/** Who I am to the others: a name that can be changed at any time, and two states. */
import type { Chat } from '../model/chat.ts';
import { initials } from '../model/person.ts';
import { colour } from './avatar.ts';
import { part, setText } from './element.ts';

export function profileView({ me }: Chat): void {
  const name = part<HTMLInputElement>('my-name');
  const sign = part('my-avatar');
  colour(sign, me.profile.user);

  const show = () => {
    const { profile } = me;
    if (document.activeElement !== name) name.value = profile.name;
    setText(sign, initials(profile.name));
    sign.dataset['presence'] = profile.away ? 'away' : 'here';
    press('my-away', profile.away);
    press('my-sharing', profile.sharing);
    const states = [profile.away ? 'Away' : 'Active', ...(profile.sharing ? ['sharing'] : [])];
    setText(part('my-state'), states.join(', '));
  };
  const rename = () => {
    if (name.value.trim() !== me.profile.name) me.change({ name: name.value });
    name.value = me.profile.name;
  };
  name.addEventListener('change', rename);
  name.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') name.blur();
    if (event.key !== 'Escape') return;
    name.value = me.profile.name;
    name.blur();
  });
  part('my-away').addEventListener('click', () => me.change({ away: !me.profile.away }));
  part('my-sharing').addEventListener('click', () => me.change({ sharing: !me.profile.sharing }));
  me.changes.on('profile', show);
  show();
}

function press(id: string, pressed: boolean): void {
  const button = part(id);
  button.setAttribute('aria-pressed', String(pressed));
  button.title = button.getAttribute('aria-label') ?? '';
}
